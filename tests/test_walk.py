"""Any process goes on with a run from the journal alone, and no walk goes in a circle."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from skill_tools import walk as walking
from skill_tools.registry import TOOLS, opened
from skill_tools.terminal import ProgressLine, phrase
from skill_tools.tool import Closed, Effects, NextStep, Outcome, Tool, ToolResult
from skill_tools.tools.context import Context, Note
from skill_tools.tools.walking import MAX_VISITS, next_step
from skill_tools.walk import resume, walk
from tests.tools.workspace_bench import Workspace


class AnyInput(Closed):
    """What the tool of these tests takes."""

    run_id: str = ""


def next_of(workspace: Workspace, run_id: str) -> NextStep:
    """Return the call that a run needs next, as another process would find it."""
    with opened(workspace.settings) as context:
        return next_step(run_id, context)


def test_after_each_step_another_process_knows_the_next(workspace: Workspace) -> None:
    """Whoever picks the run up after any call makes the call that the last green result named."""
    run_id = workspace.begin(workspace.clip(), flow="auto_labeling")
    step = next_of(workspace, run_id)
    passed = ["select_flow"]
    while step.tool != "submit":
        assert step.arguments["run_id"] == run_id
        result = workspace.step(step)
        assert result.ok, result.problem
        passed.append(result.tool)
        assert next_of(workspace, run_id) == result.next[0]
        step = result.next[0]
    assert passed[:5] == [
        "select_flow",
        "estimate_time",
        "preflight",
        "derive_storage_url",
        "prepare_dataset",
    ]


def test_a_refused_call_changes_nothing_about_what_is_next(workspace: Workspace) -> None:
    """A denial in between is on record, and the run still goes on where it was."""
    run_id = workspace.begin(workspace.clip())
    before = next_of(workspace, run_id)
    assert workspace.call("submit", run_id=run_id).status == "denied"
    assert next_of(workspace, run_id) == before


@pytest.mark.parametrize("tool", ["submit", "poll", "logs", "cancel"])
def test_a_run_that_was_sent_is_asked_after_and_revived(workspace: Workspace, tool: str) -> None:
    """After the submit the engine knows the truth, so it is asked, and a dead supervisor started anew."""
    run_id = workspace.begin(workspace.clip())
    workspace.pretend(ToolResult(ok=True, tool=tool, run_id=run_id, status="running"))
    step = next_of(workspace, run_id)
    assert (step.tool, step.arguments["revive"]) == ("poll", True)


def test_a_run_that_was_sent_before_its_result_was_written_is_asked_after(workspace: Workspace) -> None:
    """Whoever was killed between the sending and the writing has sent it; nobody sends it again."""
    run_id = workspace.begin(workspace.clip(), flow="auto_labeling")
    workspace.pass_until(run_id, "submit")
    assert next_of(workspace, run_id).tool == "submit"
    with workspace.journal() as journal:
        assert journal.claim(run_id, "0", {}, "local")
        assert next_of(workspace, run_id).tool == "submit"
        journal.settle(run_id, "0", "sent", "car-1")
    assert next_of(workspace, run_id).tool == "poll"


def test_an_unknown_run_is_not_resumed(workspace: Workspace) -> None:
    """Resuming nothing is bad input and makes nothing."""
    result = resume("run-00000000", settings=workspace.settings, on_result=print, on_note=print)
    assert (result.tool, result.exit_code) == ("resume", 2)
    assert not workspace.root.exists()


def test_a_walk_ends_with_the_first_result_that_is_not_green(workspace: Workspace) -> None:
    """What stops a run is the walk's own result; every result before was told."""
    told: list[ToolResult] = []
    result = walk({"clips": ["gone.mp4"]}, settings=workspace.settings, on_result=told.append, on_note=print)
    assert told == [result]
    assert (result.tool, result.exit_code) == ("select_flow", 2)


def test_a_circle_is_an_error_and_not_a_walk_without_end(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tool that keeps naming itself is called a few times and then named as what makes no progress."""

    def steps(_given: AnyInput, _context: Context) -> Outcome[AnyInput]:
        return Outcome(AnyInput(), next=[NextStep(tool="select_flow", arguments={})])

    again = Tool("select_flow", "Again.", AnyInput, AnyInput, Effects(), steps)
    monkeypatch.setattr(walking, "TOOLS", MappingProxyType({**TOOLS, "select_flow": again}))
    told: list[ToolResult] = []
    result = walk({}, settings=workspace.settings, on_result=told.append, on_note=print)
    assert result.problem
    assert (result.problem.code, result.exit_code) == ("engine.no_progress", 5)
    assert len(told) == MAX_VISITS + 1


@pytest.mark.parametrize(
    ("note", "words"),
    [
        (
            Note("augmentation", 30, 120, "frames", 15.0, 6.0),
            "augmentation · 25 % 30/120 frames · 15 fps · 6 s left",
        ),
        (Note("workflow", 1, 4, "tasks", text="setup"), "workflow · 25 % 1/4 tasks · setup"),
        (Note("staging", 512, 1024, "B", text="a.mp4"), "staging · 50 % · a.mp4"),
        (Note("data set", text="reading car.mp4"), "data set · reading car.mp4"),
        (Note("labels", 7, None, "frames"), "labels · 7 frames"),
    ],
)
def test_a_note_says_phase_share_speed_and_time_left(note: Note, words: str) -> None:
    """What is known of how far the work is stands in one line, and nothing else."""
    assert phrase(note) == words


class Sheet:
    """Takes what is written, as a pipe does."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        """Keep a text."""
        self.text += text
        return len(text)

    def flush(self) -> None:
        """Do nothing: it is kept already."""

    def isatty(self) -> bool:
        """Be no terminal."""
        return False


def test_a_pipe_gets_a_line_for_each_phase_and_then_one_now_and_again() -> None:
    """Lines come with a new phase at once, within a phase every ten seconds, and never when quiet."""
    sheet, quiet, now = Sheet(), Sheet(), [0.0]
    with (
        ProgressLine(stream=sheet, clock=lambda: now[0]) as progress,  # type: ignore[arg-type]  # all that is used of a stream
        ProgressLine(stream=quiet, quiet=True, clock=lambda: now[0]) as silent,  # type: ignore[arg-type]  # likewise
    ):
        for at, note in ((0, Note("a", 1)), (1, Note("a", 2)), (2, Note("b", 1)), (13, Note("b", 9))):
            now[0] = float(at)
            progress(note)
            silent(note)
    assert sheet.text.splitlines() == ["a · 1", "b · 1", "b · 9"]
    assert quiet.text == ""
