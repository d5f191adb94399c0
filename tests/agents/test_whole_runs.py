"""From any start to the report: right agents are never stopped, wrong ones get there by listening."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from skill_tools.errors import EngineError
from skill_tools.registry import TOOLS, opened
from skill_tools.replay import replay
from skill_tools.tool import NextStep
from tests.agents.conftest import Finished, Stage, follow, guarded_in
from tests.tools.workspace_bench import Workspace, rules_in

SUBMITTER = """
import sys
from skill_tools.registry import call
from skill_tools.settings import Settings
sys.stdin.readline()
settings = Settings.read(workspace=sys.argv[1])
print(call("submit", {"run_id": sys.argv[2]}, settings=settings).model_dump_json())
"""


def test_a_right_agent_is_never_stopped(finished: Finished) -> None:
    """Whoever does what `next` says hears no denial and no question, and every tool is passed in order."""
    verdicts = [decision.outcome for result in finished.results for decision in result.decisions]
    assert not {"deny", "ask"} & {*verdicts}
    assert [result.tool for result in finished.results][-4:] == [
        "poll",
        "stage_artifacts",
        "render_compare",
        "report",
    ]


def test_what_the_tools_say_always_passes_their_own_check(finished: Finished) -> None:
    """Each result's bubbles, in the order of the run and all at once, go through as they are."""
    spoken = [message.model_dump() for result in finished.results for message in result.messages]
    assert len(spoken) > len(finished.results)
    for result in finished.results:
        if result.messages:
            bubbles = [message.model_dump() for message in result.messages]
            checked = finished.call("check_message", messages=bubbles)
            assert checked.ok, (result.tool, checked.problem)
    assert finished.call("check_message", messages=spoken).ok


def test_log_lines_are_quoted_so_that_none_speaks_for_the_skill(finished: Finished) -> None:
    """Whatever a task wrote, its lines pass as quotations."""
    logs = finished.call("logs")
    assert all(line.startswith("> ") for line in logs.messages[0].body.splitlines())
    assert finished.call("check_message", messages=[logs.messages[0].model_dump()]).ok


@pytest.mark.parametrize("stage", ["begun", "guarded", "finished"])
def test_every_decision_is_made_again_from_the_journal_alone(
    stage: str, begun: Stage, guarded: Stage, finished: Finished
) -> None:
    """Each call's verdicts, denials and corrected calls included, come out the same."""
    here = {"begun": begun, "guarded": guarded, "finished": finished}[stage]
    here.call("submit", values={"gpu_platform": "guessed", "vlm_url": "nvapi-" + "x" * 30})
    here.call("check_message", messages=[{"body": "Shall I go on with hf_" + "y" * 30 + "?"}])
    here.call("render_compare", run_local_dir="/etc")
    with opened(here.workspace.settings) as context:
        found = replay(here.run_id, context.journal)
        policies = {one.policy for one in context.journal.decisions(here.run_id)}
    assert (found.same, found.different, found.other_policy) == (True, [], 0)
    assert found.decisions >= 4
    assert policies == {found.policy}


def test_a_journal_that_was_meddled_with_is_found_out(guarded: Stage) -> None:
    """A verdict that the rules would not give stands out, with both."""
    guarded.call("submit", pool="guessed")
    with opened(guarded.workspace.settings) as context:
        calls = context.journal.calls(guarded.run_id)
        last = calls[-1]
        doctored = last.result.model_copy(update={"decisions": []})
        with context.journal._writing() as db:
            db.execute("UPDATE calls SET result = ? WHERE id = ?", (doctored.model_dump_json(), last.id))
        found = replay(guarded.run_id, context.journal)
        with context.journal._writing() as db:
            db.execute("UPDATE calls SET result = ? WHERE id = ?", (last.result.model_dump_json(), last.id))
    assert [one.call for one in found.different] == [last.id]
    assert found.different[0].then == []
    assert "POOL-ONLINE" in found.different[0].now[0]


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Give a workspace in which one run after the other is made."""
    return Workspace(tmp_path_factory.mktemp("busy"))


@pytest.mark.parametrize(
    ("first", "arguments"),
    [
        ("submit", {}),
        ("submit", {"values": {"gpu_platform": "h100"}, "pool": "default"}),
        ("submit", {"values": {"storage_url": "s3://my-bucket", "vlm_url": "https://api.example.com/v1"}}),
        ("prepare_dataset", {"clips": ["made-up.mp4"]}),
        ("prepare_demo", {}),
        ("derive_storage_url", {"storage_url": "s3://lab"}),
        ("stage_artifacts", {"run_local_dir": "/srv/out"}),
        ("render_compare", {"run_local_dir": "/srv/x"}),
        ("report", {}),
    ],
)
def test_a_wrong_agent_that_listens_reaches_the_end(
    busy: Workspace, first: str, arguments: dict[str, Any]
) -> None:
    """Whichever call it begins with, doing what each result names leads to the report, and to no question."""
    stage = Stage(busy, busy.begin(busy.clip(), flow="auto_labeling"))
    result = follow(stage, NextStep(tool=first, arguments={"run_id": stage.run_id, **arguments}))
    assert result.messages[-1].body.startswith("Report: ")


def test_two_at_once_send_one_workflow(workspace: Workspace) -> None:
    """Two processes submit a run at the same moment: one workflow is there, and both are told of it."""
    stage = guarded_in(workspace)
    command = [sys.executable, "-c", SUBMITTER, str(workspace.root), stage.run_id]
    environ = workspace.process_environ()
    racing = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, text=True)
        for _ in range(2)
    ]
    try:
        for process in racing:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        results = [json.loads(process.communicate(timeout=120)[0]) for process in racing]
    finally:
        stage.call("cancel")
    ids = [
        [one["workflow_id"] for one in result["data"].get("workflows", ())]
        for result in results
        if result["ok"]
    ]
    with workspace.journal() as journal:
        (sent,) = [one for one in journal.submissions(stage.run_id) if one.batch == "0"]
    assert ids
    assert all(one == [sent.workflow_id] for one in ids)
    for result in results:
        told = result["problem"]["code"] if result["problem"] else "sent"
        assert told in {"sent", "denied.SUBMIT-STAMP", EngineError.default_code, "engine.outcome_unknown"}


def test_a_contradiction_is_asked_about_once(workspace: Workspace) -> None:
    """Said again word for word, it is no second question: the default is taken, and the result says so."""
    wish: dict[str, Any] = {"clips": [workspace.clip()], "engine": "local"}
    wish["request"] = "no augmentation please, and make rain variants of it"
    first = workspace.call("select_flow", **wish)
    assert (first.status, rules_in(first)) == ("needs_input", ["FLOW-INTENT"])
    again = workspace.call("select_flow", **wish)
    assert (again.ok, rules_in(again), again.data["flow"]) == (True, ["FLOW-INTENT"], "augmentation_and_al")
    another = workspace.call("select_flow", **wish | {"request": "labels only, with fog variants"})
    assert another.status == "needs_input"


def test_every_tool_that_a_result_names_exists(finished: Finished) -> None:
    """No `next` leads nowhere."""
    named = {step.tool for result in finished.results for step in result.next}
    assert named <= set(TOOLS)


def test_the_command_line_audits_and_replays(begun: Stage) -> None:
    """`vda audit` shows decisions with the right calls, `vda replay` that they come out the same."""
    begun.call("submit")
    audit = begun.workspace.vda("audit", begun.run_id)
    assert audit.returncode == 0
    assert "ETA-FIRST" in audit.stdout
    assert "vda call estimate_time" in audit.stdout
    replayed = begun.workspace.vda("replay", begun.run_id, "--json")
    assert (replayed.returncode, json.loads(replayed.stdout)["same"]) == (0, True)
