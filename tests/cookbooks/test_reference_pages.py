"""The pages for agents and engineers lead where they say, and agree with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from skill_tools.flows.catalog import ALIASES, CACHE_WORKFLOW, FLOWS, Flow

ROOT = Path(__file__).resolve().parents[2]
REFERENCES = ROOT / "references"
PAGES = sorted([*REFERENCES.rglob("*.md"), *(ROOT / "assets" / "cookbooks").glob("*.md")]) + sorted(
    (ROOT / "assets" / "cookbooks").glob("*/README.md")
)
WORKFLOWS = sorted((*FLOWS, *ALIASES, CACHE_WORKFLOW.removesuffix(".yaml")))


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Each link of a page names a file that is there, and an anchor that it has."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.is_relative_to(ROOT), target
        assert file.exists(), target
        assert not anchor or anchor in _anchors(file), target


def test_each_workflow_has_a_page() -> None:
    """There is a page for each flow, each old name and the cache workflow, and no other."""
    assert sorted(page.stem for page in (REFERENCES / "flows").iterdir()) == WORKFLOWS


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_page_draws_its_stages(name: str) -> None:
    """A workflow's page draws the graph, and a flow's names all its groups in it."""
    text = (REFERENCES / "flows" / f"{name}.md").read_text(encoding="utf-8")
    drawn = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    flow = FLOWS.get(ALIASES.get(name, name))
    assert any("──►" in block for block in drawn)
    assert flow is None or any(all(group in block for group in flow.groups) for block in drawn)


@pytest.mark.parametrize("flow", FLOWS.values(), ids=lambda flow: flow.name)
def test_pages_state_the_time_of_the_catalog(flow: Flow) -> None:
    """A flow's page and the overview in the setup page give the minutes that the tools give."""
    low, high = flow.run_minutes
    assert f"{low} to {high}" in (REFERENCES / "flows" / f"{flow.name}.md").read_text(encoding="utf-8")
    assert f"| `{flow.name}` | {low} to {high} |" in (REFERENCES / "setup.md").read_text(encoding="utf-8")
