"""The clauses of SKILL.md: for each rule, the sentence that an agent reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_SECTION = re.compile(r"^## Rules\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_GROUP = re.compile(r"^\*\*(.+)\*\*$")
_RULE_ID = r"[A-Z]+(?:-[A-Z]+)+"
_ENDS_WITH_ID = re.compile(rf"^(?P<sentence>.+) \((?P<rule>{_RULE_ID})\)\.$", re.DOTALL)


@dataclass(frozen=True)
class Clause:
    """A sentence of SKILL.md that a rule stands behind."""

    rule: str
    sentence: str
    group: str
    """The bold line above it."""


def clauses(skill_text: str) -> Mapping[str, Clause]:
    """Return the clauses of a SKILL.md by the rules' ids, in the order of the page.

    Raises:
        ValueError: there is no section `## Rules`, an item of it ends with no id, or an id comes twice.
    """
    section = _SECTION.search(skill_text)
    if section is None:
        raise ValueError("SKILL.md has no section '## Rules'")
    found: dict[str, Clause] = {}
    for group, item in _items(section.group(1)):
        match = _ENDS_WITH_ID.match(item)
        if match is None:
            raise ValueError(f"this item of '## Rules' ends with no rule's id: {item}")
        if match["rule"] in found:
            raise ValueError(f"{match['rule']} has two clauses")
        found[match["rule"]] = Clause(match["rule"], _whole_sentence(match["sentence"]), group)
    return found


def _items(section: str) -> Iterator[tuple[str, str]]:
    """Give each list item in one line, with the bold line that it stands under."""
    group, item = "", ""
    for line in [*section.splitlines(), ""]:
        if item and (not line.startswith("  ")):
            yield group, item
            item = ""
        if heading := _GROUP.match(line):
            group = heading.group(1)
        elif line.startswith("- "):
            item = line.removeprefix("- ")
        elif item:
            item = f"{item} {line.strip()}"


def _whole_sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
