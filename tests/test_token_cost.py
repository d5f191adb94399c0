"""What the skill costs an agent stays within its budget, and the page that tells it is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.bench.tokens import PAGE, REPOSITORY, of_a_run, standing

# A figure may wander a little before the page is written anew.
WITHIN = 0.1
MOST = {"SKILL.md": 2_800, "openai": 4_500, "openai-strict": 5_000, "anthropic": 4_500, "mcp": 15_000}
MOST_BY_STEPS, MOST_AT_ONCE, MOST_CALLS = 4_000, 1_200, 8


def told() -> dict[str, int]:
    """Return the figures of the page by what they are of."""
    rows = re.findall(r"^\| (.+?) \| ([\d,]+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: int(count.replace(",", "")) for name, count in rows}


def test_what_is_paid_once_is_as_told_and_within_its_budget() -> None:
    """SKILL.md and the list of tools in each format cost what the page says, and no more than they may."""
    figures, page = standing(), told()
    for name, count in figures.items():
        assert page[name] == pytest.approx(count, rel=WITHIN), name
    for name, most in MOST.items():
        (count,) = [each for label, each in figures.items() if label == name or label.endswith(f"`{name}`")]
        assert count <= most, name


def test_a_run_s_results_are_within_their_budget(tmp_path: Path) -> None:
    """A default run takes eight calls at the most, whose results cost what the page says, and so does one."""
    steps, at_once = of_a_run(tmp_path)
    page = told()
    assert len(steps) <= MOST_CALLS
    by_steps = sum(count for _, count in steps)
    assert by_steps <= MOST_BY_STEPS
    assert at_once <= MOST_AT_ONCE
    assert page[f"all {len(steps)} calls"] == pytest.approx(by_steps, rel=WITHIN)
    assert page["one call of `run`"] == pytest.approx(at_once, rel=WITHIN)
    assert [f"{number}. `{tool}`" for number, (tool, _) in enumerate(steps, start=1)] == [
        name for name in page if re.match(r"\d+\. ", name)
    ]


def test_the_readme_gives_the_page_s_figures() -> None:
    """What README.md says in short is the page's, rounded."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    words = re.sub(r"\s+", " ", readme.partition("What it costs in tokens")[2])
    shown = [int(count.replace(",", "")) for count in re.findall(r"\d,\d{3}", words)[:4]]
    figures = told()
    (tools,) = [count for name, count in figures.items() if name.endswith("`openai`")]
    (by_steps,) = [count for name, count in figures.items() if name.startswith("all ")]
    wanted = [figures["SKILL.md"], tools, figures["one call of `run`"], by_steps]
    assert shown == [pytest.approx(count, abs=50) for count in wanted]
