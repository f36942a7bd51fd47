"""Files of the state directory that somebody removes, made again however long that takes."""

from __future__ import annotations

from pathlib import Path

from binding.process.loop import Loop
from binding.sidecar.state_watch import StateWatch


def test_what_cannot_be_made_again_yet_is_tried_again_and_logged_once(caplog, tmp_path: Path):
    directory, loop = tmp_path / "state", Loop()
    saved = directory / "saved"
    directory.touch()  # somebody's file stands where the directory has to be made
    watch = StateWatch(
        loop,
        str(directory),
        lambda: "" if saved.exists() else "saved",
        lambda: saved.write_text("again"),
    )
    watch.signalled()
    loop.run_while(lambda: not caplog.records, 30)
    loop.after(7.0, directory.unlink)  # after the second try
    loop.run_while(lambda: not saved.exists(), 60)
    assert saved.read_text() == "again"
    assert watch.removed is not None
    failed, made = [record.getMessage() for record in caplog.records]
    assert "cannot be made again yet: File exists" in failed
    assert made.endswith("made again")
