"""The warnings that stand, as the container's termination message."""

import pytest

from binding.sidecar.status import StatusPages
from binding.sidecar.termination import TerminationMessage, message
from tests.samples import GUEST
from tests.sidecar.test_status import NO_DNS, TAP_DOWN, report


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "termination-log"
    path.touch()
    monkeypatch.setenv("DSBRIDGE_TERMINATION_LOG", str(path))
    return path


def test_it_says_what_status_warns_of_and_nothing_that_is_mended(file):
    pages = StatusPages(TerminationMessage().say)
    no_dns, rogue = (f"network {GUEST.network}: {text}\n" for text in ("no DNS", "rogue RA"))
    pages.open((GUEST,), (NO_DNS,))
    assert file.read_text() == no_dns
    pages.take(report("rogue RA"))
    assert file.read_text() == no_dns + rogue
    pages.fault(GUEST.network, {"tap": TAP_DOWN})
    assert "tap0 is down" in file.read_text()
    pages.fault(GUEST.network, {})
    pages.open((GUEST,), ())
    assert file.read_text() == rogue


def test_it_takes_no_more_than_the_kubelet_and_whole_lines(file):
    many = [f"{number}: {'ü' * 100}" for number in range(60)]
    TerminationMessage().say(many)
    assert 3500 < file.stat().st_size <= 4096
    *lines, last = file.read_text().splitlines()
    assert lines == many[: len(lines)]
    assert last == f"and {60 - len(lines)} more, see dsbridge status"


def test_control_characters_are_left_out():
    assert message(["a\x1b[31m\nb"]) == "a[31mb\n"


def test_without_the_file_nothing_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("DSBRIDGE_TERMINATION_LOG", str(tmp_path / "none"))
    TerminationMessage().say(["x"])
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "target").write_text("kept")
    monkeypatch.setenv("DSBRIDGE_TERMINATION_LOG", str(tmp_path / "link"))
    TerminationMessage().say(["x"])
    assert (tmp_path / "target").read_text() == "kept"
    assert not (tmp_path / "none").exists()
