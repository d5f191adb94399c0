"""A whole run in one call, or in eight at the most: each step still takes the road, and all of them show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skill_tools.registry import call, opened
from skill_tools.replay import replay
from skill_tools.tool import ToolResult
from skill_tools.tools.context import Note
from skill_tools.tools.report import ReportOutput
from tests.tools.osmo_bench import TOKEN, OsmoWorkspace
from tests.tools.workspace_bench import Workspace, rules_in

MOST_CALLS = 8
IN_ORDER = [
    "select_flow",
    "estimate_time",
    "preflight",
    "derive_storage_url",
    "prepare_dataset",
    "check_submission",
    "ensure_cache",
    "check_submission",
    "submit",
    "poll",
    "stage_artifacts",
    "render_compare",
    "report",
]
MORE_CALLS = 100


def following(workspace: Workspace, tool: str, **arguments: Any) -> Iterator[ToolResult]:
    """Make a call and those that the results name, as they stand, until none is named."""
    result = workspace.call(tool, **arguments)
    yield result
    for _ in range(MORE_CALLS):
        if not result.next:
            return
        result = workspace.follow(result.next[0])
        yield result


def passed(workspace: Workspace, run_id: str | None) -> list[str]:
    """Return the steps of a run as the journal has them, those that only waited once."""
    with workspace.journal() as journal:
        tools = [one.tool for one in journal.calls(str(run_id)) if one.result.ok and one.tool != "run"]
    return once(tools)


def once(tools: list[str]) -> list[str]:
    """Return the tools without those that are the same as the one before: they only waited on."""
    return [tool for number, tool in enumerate(tools) if number == 0 or tools[number - 1] != tool]


def test_a_default_run_takes_eight_calls_at_the_most(workspace: Workspace) -> None:
    """In a new workspace, with empty caches, seven calls lead through every step in its order."""
    results = list(following(workspace, "select_flow", clips=[workspace.clip()], engine="local"))
    assert [result.problem for result in results if not result.ok] == []
    assert results[-1].messages[-1].body.startswith("Report: ")
    tools = [result.tool for result in results]
    assert len(once(tools)) == 7
    assert len(tools) <= MOST_CALLS
    assert passed(workspace, results[0].run_id) == IN_ORDER


def test_one_call_does_the_whole_run(workspace: Workspace) -> None:
    """`run` takes every step in its order, tells of each as it goes, and returns the report's own data."""
    notes: list[Note] = []
    wishes: dict[str, Any] = {
        "clips": [workspace.clip()],
        "engine": "local",
        "variables": {"weather": "rain"},
    }
    result = call("run", wishes, settings=workspace.settings, on_note=notes.append)
    assert (result.ok, result.status, result.next) == (True, "done", [])
    assert result.data["complete"] is True
    assert passed(workspace, result.run_id) == IN_ORDER
    report = ReportOutput.model_validate(result.data["report"])
    assert report.clips[0].variants[0].sampled_vars["weather"] == "rain"
    assert Path(report.report).is_file()
    assert any(note.phase == "estimate_time" and note.text.startswith("In all ") for note in notes)
    texts = [message.body for message in result.messages]
    overview = next(number for number, text in enumerate(texts) if text.startswith("Time overview"))
    submitted = next(number for number, text in enumerate(texts) if text.startswith("Submitted as "))
    assert overview < submitted
    assert sum(message.kind == "media" for message in result.messages) == 1
    checked = workspace.call("check_message", messages=[one.model_dump() for one in result.messages])
    assert checked.ok, checked.problem


def test_every_rule_is_asked_within_a_run(workspace: Workspace) -> None:
    """What the rules did stands in the result by step, and each decision is made again from the journal."""
    result = workspace.call("run", clips=[workspace.clip()], engine="local", request="label my source clips")
    decided = {step["tool"]: step["decided"] for step in result.data["steps"] if step["decided"]}
    assert decided["check_submission"] == ["CACHE-AUTO fix"]
    with opened(workspace.settings) as context:
        found = replay(str(result.run_id), context.journal)
    assert (found.same, found.calls) == (True, len(result.data["steps"]) + 1)


def test_a_run_that_takes_longer_than_its_caller_waits_goes_on_with_the_next_call(
    workspace: Workspace,
) -> None:
    """With no time at all a call takes one step and names the next; nothing is sent twice on the way."""
    wishes = {"clips": [workspace.clip()], "engine": "local", "flow": "auto_labeling"}
    taken: list[str] = []
    for result in following(workspace, "run", **wishes, wait_s=0):
        (step,) = result.data["steps"]
        taken.append(step["tool"])
        assert (result.status, result.next[0].tool) == ("running", "run")
        if taken[-1] == "submit":
            break
    assert once(taken) == IN_ORDER[: IN_ORDER.index("submit") + 1]
    ended = workspace.call("run", run_id=result.run_id)
    assert ended.data["complete"] is True
    with workspace.journal() as journal:
        sent = [one.batch for one in journal.submissions(str(result.run_id))]
    assert sorted(sent) == ["0", "cache"]


def test_a_call_without_time_gets_past_a_run_that_has_ended(workspace: Workspace) -> None:
    """Once the engine said COMPLETED, the next call stages instead of asking again."""
    run_id = workspace.begin(workspace.clip(), flow="auto_labeling")
    workspace.pass_until(run_id, "poll")
    while workspace.call("poll", run_id=run_id, wait_s=100).status == "running":
        pass
    taken = [workspace.call("run", run_id=run_id, wait_s=0).data["steps"][0]["tool"] for _ in range(2)]
    assert taken == ["stage_artifacts", "report"]


def test_a_run_goes_on_from_wherever_it_was_left(workspace: Workspace) -> None:
    """A run that was begun step by step is completed by one call with its id."""
    run_id = workspace.begin(workspace.clip(), flow="auto_labeling")
    workspace.pass_until(run_id, "submit")
    workspace.call("check_message", run_id=run_id, messages=[{"body": "The clips are ready."}])
    result = workspace.call("run", run_id=run_id)
    assert result.data["complete"] is True
    assert next(step["tool"] for step in result.data["steps"]) == "submit"


def test_a_run_has_its_wishes_already(workspace: Workspace) -> None:
    """Naming a run and other wishes is refused, since a run's clips and values are never replaced."""
    run_id = workspace.begin(workspace.clip())
    result = workspace.call("run", run_id=run_id, variables={"weather": "rain"})
    assert result.problem
    assert (result.problem.code, result.exit_code) == ("input.two_inputs", 2)
    assert "variables" in result.problem.message


def test_a_longer_wait_is_cut_to_a_heartbeat(workspace: Workspace) -> None:
    """However long a caller would wait, a word comes within two minutes."""
    result = workspace.call("run", clips=["gone.mp4"], wait_s=3_600)
    assert rules_in(result) == ["POLL-HEARTBEAT"]


@pytest.mark.parametrize(
    ("wishes", "code", "status", "exit_code"),
    [
        ({"clips": ["gone.mp4"]}, "input.clip_missing", "failed", 2),
        (
            {"request": "no augmentation, but rain variants please"},
            "needs_input.FLOW-INTENT",
            "needs_input",
            3,
        ),
        ({"request": "which guidance scale shall I set in the container?"}, "denied.FLOW-SCOPE", "denied", 4),
    ],
)
def test_what_stops_a_step_stops_the_run_in_the_same_words(
    workspace: Workspace, wishes: dict[str, Any], code: str, status: str, exit_code: int
) -> None:
    """Bad input, a question and a denial are the call's own, with the corrected call where there is one."""
    alone = workspace.call("select_flow", **wishes)
    other = Workspace(workspace.folder / "other")
    result = other.call("run", **wishes)
    assert (result.status, result.exit_code) == (status, exit_code)
    assert result.problem == alone.problem
    assert result.problem is not None
    assert result.problem.code == code
    assert result.next == alone.next
    assert result.data["complete"] is False


def test_on_a_cluster_nothing_that_changes_it_is_taken_along(cluster: OsmoWorkspace) -> None:
    """The time overview is given alone there, and the caches are filled by a call of their own."""
    cluster.more |= {"HF_TOKEN": TOKEN, "MOCK_OSMO_RUN": "1"}
    workspace = cluster.workspace
    results = []
    wishes = {"clips": [workspace.clip(frames=4)], "engine": "osmo", "storage_url": "s3://lab"}
    for result in following(workspace, "select_flow", **wishes, flow="auto_labeling"):
        results.append(result)
        if result.tool == "submit":
            break
    assert [result.tool for result in results] == [
        "select_flow",
        "estimate_time",
        "preflight",
        "ensure_endpoints",
        "derive_storage_url",
        "prepare_dataset",
        "ensure_cache",
        "check_submission",
        "submit",
    ]


def test_the_rest_of_a_phase_stops_where_a_step_does(workspace: Workspace) -> None:
    """A clip that vanished after the choice of the flow fails the overview, or the preflight behind it."""
    clip = Path(workspace.clip())
    run_id = workspace.begin(str(clip))
    clip.write_bytes(b"no video")
    result = workspace.call("estimate_time", run_id=run_id, go_on=True)
    assert (result.ok, result.tool) == (False, "estimate_time")
    assert passed(workspace, run_id) == ["select_flow"]


def test_a_call_alone_takes_nothing_along(workspace: Workspace) -> None:
    """Without `go_on` each step is a call of its own, as documented line by line."""
    run_id = workspace.begin(workspace.clip())
    workspace.call("estimate_time", run_id=run_id)
    assert passed(workspace, run_id) == ["select_flow", "estimate_time"]
