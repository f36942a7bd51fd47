"""What a former process of the pod has saved, or something else in its place."""

import pytest

from binding.ipc.snapshot import Snapshot
from binding.sidecar import saved_state


def test_what_was_saved_is_read_back(tmp_path):
    snapshot = Snapshot(7, search=("a.example",))
    saved_state.save(tmp_path / "snapshot.json", snapshot)
    assert saved_state.load(tmp_path / "snapshot.json") == snapshot


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"links": 5}', '{"netns": 1, "links": [5]}'])
def test_what_cannot_be_read_is_as_good_as_nothing(text, tmp_path):
    (tmp_path / "snapshot.json").write_text(text)
    assert saved_state.load(tmp_path / "snapshot.json") is None


def test_there_need_be_nothing(tmp_path):
    assert saved_state.load(tmp_path / "snapshot.json") is None
