"""The generated reference pages are those that tools and policy give now."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from skill_tools import pages
from skill_tools.policy.clauses import Clause, clauses
from skill_tools.policy.engine import EVERY_CALL, EVERY_OUTCOME, RULES
from skill_tools.registry import TOOLS
from skill_tools.tool import AnyTool

ROOT = Path(__file__).resolve().parents[2]
PAGES = pages.documents()


@pytest.fixture(scope="module")
def stated() -> Mapping[str, Clause]:
    """Give the clauses of the real SKILL.md."""
    return clauses((ROOT / "SKILL.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(PAGES))
def test_checked_in_page_is_current(name: str) -> None:
    """A generated page in the repository equals what `make pages` writes now."""
    assert ROOT.joinpath("references", name).read_text(encoding="utf-8") == PAGES[name], "run `make pages`"


def test_writing_leaves_only_whole_pages(tmp_path: Path) -> None:
    """Writing the pages gives exactly the documents, each under its name."""
    pages.write(tmp_path)
    assert {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()} == PAGES


@pytest.mark.parametrize("tool", TOOLS.values(), ids=lambda tool: tool.name)
def test_each_tool_has_its_section(tool: AnyTool) -> None:
    """The page of the tools shows each tool's summary, every argument, every output and every guard."""
    sections = re.split(r"^## ", PAGES["tools.md"], flags=re.MULTILINE)
    section = next(part for part in sections if part.startswith(f"{tool.name}\n"))
    fields = {*tool.input_model.model_fields, *tool.output_model.model_fields}
    assert tool.summary in section
    assert fields <= set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    assert set(re.findall(r"\[([A-Z-]+)\]", section)) == {*tool.guards, *tool.outcome_guards}


def test_each_rule_ties_sentence_to_tools(stated: Mapping[str, Clause]) -> None:
    """The policy page quotes the sentence of every rule, and says who asks it."""
    sections = {part.split("\n", 1)[0]: part for part in PAGES["policy.md"].split("### ")[1:]}
    assert list(sections) == list(stated)
    for rule in RULES.values():
        section = sections[rule.id]
        assert f"> {stated[rule.id].sentence}\n" in section
        assert rule.sentence in section
        asking = {tool.name for tool in TOOLS.values() if rule.id in (*tool.guards, *tool.outcome_guards)}
        always = rule.id in {*EVERY_CALL, *EVERY_OUTCOME}
        assert always == ("every call" in section)
        assert always or asking == set(re.findall(r"\(tools\.md#(\w+)\)", section))


def test_each_rule_shows_a_call_that_meets_it_and_its_tests() -> None:
    """A section holds the call with its decision, and names tests that are there, broken and kept."""
    tests = ROOT.joinpath("tests", "policy")
    there = {
        name for file in tests.glob("test_*.py") for name in re.findall(r"def test_(\w+)", file.read_text())
    }
    for section in PAGES["policy.md"].split("### ")[1:]:
        call, decision = section.split("```text\n")[1].split("```")[0].splitlines()[:2]
        assert call.split(" ")[0].rstrip(":") in {*TOOLS, "run_script"}
        assert re.match(r"(?:deny|ask|fix|note|brings): .", decision), section
        breaking, keeping = section.rsplit("Broken by ", 1)[1].split("; kept by ")
        assert set(re.findall(r"`(\w+)`", breaking)) <= there
        assert set(re.findall(r"`(\w+)`", keeping)) & there


def test_clauses_and_rules_are_the_same(stated: Mapping[str, Clause]) -> None:
    """No rule decides without a sentence that an agent could have read, and no sentence lacks its rule."""
    assert set(RULES) == set(stated)
