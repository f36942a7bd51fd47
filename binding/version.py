"""The version, once: pyproject.toml repeats it and a test compares the two."""

VERSION = "0.2.0"
