"""Clauses are read from SKILL.md by the id at their end."""

from __future__ import annotations

import pytest

from skill_tools.policy.clauses import Clause, clauses

TEXT = """\
# A skill

## Rules

Tools check these.

**Order**
- Look always comes
  before leap (LOOK-FIRST).
- Is it deep? Ask once (ASK-ONCE).

**Words**
- Say it plainly. Never shout (NEVER-SHOUT).
- Stop! (STOP-THERE).
- Why not? (WHY-NOT).
- All is said. (ALL-SAID).

## Examples
- Not a rule.
"""


def test_clauses_are_whole_sentences_in_order() -> None:
    """Each item becomes a clause with its id, its words in one line, and the bold line above it."""
    assert list(clauses(TEXT).values()) == [
        Clause("LOOK-FIRST", "Look always comes before leap.", "Order"),
        Clause("ASK-ONCE", "Is it deep? Ask once.", "Order"),
        Clause("NEVER-SHOUT", "Say it plainly. Never shout.", "Words"),
        Clause("STOP-THERE", "Stop!", "Words"),
        Clause("WHY-NOT", "Why not?", "Words"),
        Clause("ALL-SAID", "All is said.", "Words"),
    ]


def test_a_clause_above_all_bold_lines_stands_in_no_group() -> None:
    """An item may come first; it has no group then."""
    assert [clause.group for clause in clauses("## Rules\n- Look (LOOK-FIRST).\n").values()] == [""]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("# A skill\n", "^SKILL.md has no section '## Rules'$"),
        (TEXT.replace(" (ASK-ONCE)", ""), "Is it deep"),
        (TEXT.replace("ASK-ONCE", "LOOK-FIRST"), "LOOK-FIRST has two"),
    ],
)
def test_faults_are_named(text: str, complaint: str) -> None:
    """A missing section, an item without an id and an id that comes twice are refused by name."""
    with pytest.raises(ValueError, match=complaint):
        clauses(text)
