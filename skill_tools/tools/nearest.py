"""The nearest valid choice to something that isn't one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(given: str, choices: Iterable[str]) -> str:
    """Return `did you mean 'x'?`, or nothing where no choice is near."""
    found = difflib.get_close_matches(given, list(choices), n=1, cutoff=0.5)
    return f"did you mean {found[0]!r}?" if found else ""
