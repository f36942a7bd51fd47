"""Coverage-guided fuzzing of everything that reads what others wrote: one file per kind of reader.

A target has SEEDS, `run(data)`, which raises where a promise is broken, and maybe `mutate`, which
changes an input where random octets would stop at the first check. tests.fuzz.__main__ runs them
under atheris; test_targets.py runs seeds, saved crashes and seeded mutations without it.
"""
