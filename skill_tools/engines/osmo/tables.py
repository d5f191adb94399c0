"""Read the text tables that `osmo` prints, by the columns of their header."""

from __future__ import annotations

import re

_RULE = re.compile(r"^={3,}$")
_HEADING = re.compile(r"\S+(?: {1,2}\S+)*")
"""Columns are at least three spaces apart; a heading such as `Submit Time` has one space inside."""


def read_table(text: str) -> tuple[dict[str, str], ...]:
    """Return the rows of the first table in `text`, each as heading to cell, in the order of the columns.

    The headings are in the one or two lines above the first rule of `=`; a second rule (with the sums under
    it), an empty line or the end of the text ends the table. Cells are cut where the headings start, so
    neither spaces in a cell nor a cell that reads like a heading matter.
    """
    lines = text.splitlines()
    rule = next((at for at, line in enumerate(lines) if at and _RULE.match(line.rstrip())), None)
    if rule is None:
        return ()
    headings = _headings(lines[max(rule - 2, 0) : rule])
    ends = [start for start, _ in headings[1:]]
    rows = []
    for line in lines[rule + 1 :]:
        if not line.strip() or _RULE.match(line.rstrip()):
            break
        spans = zip(headings, [*ends, len(line)], strict=True)
        rows.append({name: line[start:end].strip() for (start, name), end in spans})
    return tuple(rows)


def _headings(lines: list[str]) -> list[tuple[int, str]]:
    """Return where each column starts and its name; of two headings at one place the lower counts."""
    at: dict[int, str] = {}
    for line in lines:
        at.update((found.start(), found.group()) for found in _HEADING.finditer(line))
    return sorted(at.items())
