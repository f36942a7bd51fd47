"""What a former sidecar of the pod has saved, or something else in its place."""

import os
from pathlib import Path

import pytest

from binding.ipc.codec import encode
from binding.sidecar import desired, state_file
from binding.sidecar.desired import Desired, Saved
from tests.samples import GUEST


def saved():
    return Saved(
        desired.VERSION,
        desired.netns(),
        Desired((GUEST,)),
        "{}",
        "<domain/>",
        {"eth0-nic": 3},
        {"default": (4,)},
    )


def test_what_was_saved_is_read_back(tmp_path):
    path = str(tmp_path / "desired.json")
    state_file.save(path, encode(saved()))
    assert desired.load(path) == saved()


def test_there_need_be_nothing(tmp_path):
    assert desired.load(str(tmp_path / "desired.json")) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "5",
        '{"version": 1}',
        '{"version": "1"}',
        "[" * 100_000,
        '{"a":' * 50_000,
        encode(saved()).replace('"version":1', '"version":2'),
        encode(saved()).replace('"mtu":', '"mtu":"x","mtv":'),
        encode(saved()).replace('"10.', '"1000.'),
        "\0" * 100,
        "\udcff\udcfe",
    ],
)
def test_what_cannot_be_read_is_as_good_as_nothing_and_named(text, tmp_path, caplog):
    path = tmp_path / "desired.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    assert desired.load(str(path)) is None
    assert str(path) in caplog.text
    state_file.save(str(path), encode(saved()))
    assert desired.load(str(path)) == saved()


def test_the_state_of_another_pod_is_not_ours(tmp_path):
    path = str(tmp_path / "desired.json")
    own = f'"netns":{desired.netns()}'
    state_file.save(path, encode(saved()).replace(own, '"netns":7'))
    assert desired.load(path) is None


def _fifo(path: Path):
    os.mkfifo(path)


def _link(path: Path):
    (path.parent / "elsewhere").write_text("secret")
    path.symlink_to(path.parent / "elsewhere")


def _directory(path: Path):
    (path / "inside").mkdir(parents=True)


def _huge(path: Path):
    with path.open("wb") as file:
        file.truncate(3 << 30)


def _device(path: Path):
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [_fifo, _link, _directory, _huge, _device])
def test_what_is_no_file_of_ours_is_named_and_replaced(make, tmp_path, caplog):
    path = tmp_path / "desired.json"
    make(path)
    assert state_file.load(str(path)) is None
    assert str(path) in caplog.text
    state_file.save(str(path), "ours")
    assert state_file.load(str(path)) == b"ours"
    elsewhere = tmp_path / "elsewhere"
    assert not elsewhere.exists() or elsewhere.read_text() == "secret"


@pytest.mark.parametrize("make", [_fifo, _link, _directory])
def test_what_stands_where_a_new_file_is_written_is_moved_away(make, tmp_path):
    make(tmp_path / "desired.json.new")
    state_file.save(str(tmp_path / "desired.json"), "ours")
    assert state_file.load(str(tmp_path / "desired.json")) == b"ours"


def test_a_disk_that_takes_nothing_is_named_and_costs_nothing_else(caplog):
    state_file.save("/proc/desired.json", "ours")
    assert "cannot save /proc/desired.json" in caplog.text
