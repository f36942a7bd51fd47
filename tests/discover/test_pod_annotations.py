"""The pod's annotations as the kubelet writes them into a downward API volume."""

from __future__ import annotations

import os
import threading

import pytest

from binding.discover import pod_annotations
from binding.process import annotations_file


def test_a_value_is_read_as_go_quotes_it():
    text = 'a="x"\ndsbridge.io/default="{\\"mtu\\": 1400}"\nkubectl="one\\ntwo=\\"3\\""\n'
    assert pod_annotations.parse(text, "") == {
        "a": "x",
        "dsbridge.io/default": '{"mtu": 1400}',
        "kubectl": 'one\ntwo="3"',
    }


@pytest.mark.parametrize(
    ("quoted", "value"),
    [
        (r"\a\b\f\n\r\t\v\\\"", '\a\b\f\n\r\t\v\\"'),
        (r"\x00\x1f\x7f", "\x00\x1f\x7f"),
        (r"Zürich \u200b\U000e0001", "Zürich \u200b\U000e0001"),
        (r"\\n", "\\n"),
        (r"\U00110000", "\ufffd"),
        (r"\ud800", "?"),
    ],
)
def test_every_escape_of_go_is_known(quoted, value):
    assert pod_annotations.parse(f'x="{quoted}"', "x") == {"x": value}


@pytest.mark.parametrize(
    "text", ["", "\0", "x", 'x=""y', 'x="', 'x="\\"', '="1"', "x=1", "x='1'", ' x="1"', "\n\n"]
)
def test_other_lines_are_skipped(text):
    assert pod_annotations.parse(f'{text}\ny="2"', "") == {"y": "2"}


def test_a_value_cannot_pass_for_another_annotation():
    text = r'a="\ndsbridge.io/default=\"{}\""'
    assert pod_annotations.parse(text, "dsbridge.io/") == {}


def test_the_file_is_the_mounted_one_or_the_one_of_the_environment(tmp_path, monkeypatch):
    assert annotations_file.path() == "/etc/dsbridge/annotations"
    monkeypatch.setenv("DSBRIDGE_ANNOTATIONS", str(tmp_path / "annotations"))
    assert annotations_file.read() == ""
    (tmp_path / "annotations").write_bytes(b'a="\xff"')
    assert annotations_file.read() == 'a="\ufffd"'


def test_what_is_no_file_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setenv("DSBRIDGE_ANNOTATIONS", str(tmp_path))
    assert annotations_file.read() == ""
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.setenv("DSBRIDGE_ANNOTATIONS", str(tmp_path / "fifo"))
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(annotations_file.read()), daemon=True)
    reader.start()
    reader.join(20)
    assert read == [""]
