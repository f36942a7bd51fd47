"""argparse and tarfile without what they import and no command uses: import this before either."""

from __future__ import annotations

from binding.process.lazy import when_used

# 1.3 MiB of each command, of which five may run at once in a container of 64 MB.
when_used("bz2", "locale", "lzma", "shutil", "subprocess", "tempfile")
