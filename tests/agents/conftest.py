"""Workspaces at the stages of a run, and what a scripted agent does there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from skill_tools.dispatch import run_script
from skill_tools.registry import TOOLS, opened
from skill_tools.tool import NextStep, ToolResult
from tests.tools.workspace_bench import Workspace, make_clip

MAX_STEPS = 40


@dataclass
class Stage:
    """A workspace with a run that has come so far, and what an agent could know of it."""

    workspace: Workspace
    run_id: str
    values: dict[str, str] = field(default_factory=dict)

    def with_values(self, **changed: str | None) -> dict[str, str]:
        """Return the guarded values with some changed; None takes one away."""
        return {name: value for name, value in {**self.values, **changed}.items() if value is not None}

    def line(self, text: str) -> ToolResult:
        """Hand a command line in."""
        return run_script(text, settings=self.workspace.settings)

    def call(self, tool: str, **arguments: Any) -> ToolResult:
        """Call a tool for the run."""
        return self.workspace.call(tool, **{"run_id": self.run_id, **arguments})

    def would_pass(self, step: NextStep) -> list[str]:
        """Return the rules that would refuse a call, without taking its steps."""
        with opened(self.workspace.settings) as context:
            tool = TOOLS[step.tool]
            ruling = context.before(tool, tool.input_model.model_validate(step.arguments))
        return [one.rule for one in ruling.decisions if one.outcome in {"deny", "ask"}]

    def evidence(self) -> tuple[Any, ...]:
        """Return all that a refused call must leave as it was."""
        with self.workspace.journal() as journal:
            green = journal.passed_by_tool(self.run_id).numbers
            return (
                tuple(run.run_id for run in journal.runs()),
                tuple(journal.submissions(self.run_id)),
                tuple(
                    (tool, number) for tool, number in green.items() if tool not in {"check_message", "poll"}
                ),
                tuple(name for name in self.workspace.files if "journal" not in name),
            )


Act = Callable[[Stage], ToolResult]


def follow(stage: Stage, step: NextStep, *, until: str = "report") -> ToolResult:
    """Do what each result names, corrected calls too, up to a tool."""
    for _ in range(MAX_STEPS):
        result = stage.workspace.follow(step)
        if result.tool == until and result.ok:
            return result
        assert result.next, result.problem
        step = result.next[0]
    raise AssertionError(f"{stage.run_id} never came to {until}")


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Give a run that was just begun."""
    workspace = Workspace(tmp_path_factory.mktemp("begun"))
    return Stage(workspace, workspace.begin(workspace.clip(), flow="e2e"))


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Give a run that waits for its submit."""
    return guarded_in(Workspace(tmp_path_factory.mktemp("guarded")))


def guarded_in(workspace: Workspace) -> Stage:
    """Bring a run of one small clip before its submit."""
    run_id = workspace.begin(workspace.clip(), flow="auto_labeling")
    workspace.pass_until(run_id, "submit")
    with workspace.journal() as journal:
        guard: dict[str, Any] = journal.passed_by_tool(run_id)["check_submission"]
    return Stage(workspace, run_id, dict(guard["batches"][0]["values"]))


@dataclass
class Finished(Stage):
    """A run that was walked to its report by doing what `next` says, with every result on the way."""

    results: list[ToolResult] = field(default_factory=list)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Give a complete run, with variants and labels of both sides."""
    workspace = Workspace(tmp_path_factory.mktemp("finished"))
    results = [
        workspace.call("select_flow", clips=[workspace.clip()], engine="local", flow="e2e", variants=1)
    ]
    while results[-1].next and len(results) < MAX_STEPS:
        assert results[-1].ok, results[-1].problem
        results.append(workspace.step(results[-1].next[0]))
    assert results[-1].tool == "report", results[-1].problem
    return Finished(workspace, str(results[-1].run_id), results=results)


@pytest.fixture(scope="session")
def other_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a clip that no user named."""
    return make_clip(tmp_path_factory.mktemp("others") / "bus.mp4", shade=90)
