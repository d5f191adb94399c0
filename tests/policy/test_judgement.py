"""What makes a decision of a finding, and what the journal keeps for making it again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from skill_tools.access.secrets import MASK
from skill_tools.journal import Passed, SubmissionRecord
from skill_tools.policy import engine
from skill_tools.policy.engine import digest, judge
from skill_tools.policy.rule import Aftermath, Facts, FileFact
from skill_tools.policy.snapshot import outcome_of, restored, restored_after, snapshot, snapshot_after
from skill_tools.tool import Message, NextStep, Problem
from tests.policy.rule_bench import LOCAL_RUN, OSMO_RUN, facts

SENT = SubmissionRecord("0", "sent", "vda-7", {"video": "car"}, "gpu", 7, 2.0)
BEFORE = Facts(
    "submit",
    {"run_id": OSMO_RUN.run_id, "pool": "gpu"},
    Path("/clips"),
    OSMO_RUN,
    Passed([("preflight", 4, '{"data": {"pool": "gpu"}}'), ("report", 6, '{"data": {}}')]),
    (SENT,),
    frozenset({"hunter2-hunter2"}),
    2,
    "Which pool?",
    {"/clips/a.mp4": FileFact(exists=True, plays=False)},
    {"a": "/clips/a"},
)
CAME = Aftermath(
    {"state": "RUNNING"},
    (Message(body="going on"),),
    (NextStep(tool="poll"),),
    Problem(code="engine.down", message="it is down"),
    running=True,
    witness={"frames": {"a": 1}},
)


def test_a_decision_names_its_policy_and_its_moment() -> None:
    """The digest of the rules that decided, and the time by the clock that was handed over."""
    (decision,) = judge(["ETA-FIRST"], facts("prepare_dataset"), clock=lambda: 7.5).decisions
    assert (decision.policy, decision.at, decision.tool) == (digest(), 7.5, "prepare_dataset")


def test_the_digest_is_that_of_the_rules_own_source() -> None:
    """Another comma in a rule is another policy."""
    files = sorted(Path(engine.__file__).parent.glob("*.py"))
    source = b"\0".join(file.read_bytes() for file in files)
    assert digest() == hashlib.sha256(source).hexdigest()[:16]


def test_every_rule_is_asked_once_and_sees_what_was_fixed() -> None:
    """A guard that is named twice decides once; the rule behind a fix judges the mended call."""
    given = facts("select_flow", run=None, flow="augmentation_and_pl")
    judged = judge(["FLOW-ALIAS", "FLOW-ALIAS", "FLOW-DEFAULT"], given)
    assert [one.rule for one in judged.decisions] == ["FLOW-ALIAS"]
    assert judged.arguments == {"flow": "augmentation_and_al"}


def test_a_snapshot_holds_what_the_journal_would_not_know() -> None:
    """All but the secrets and the data of what was passed, which is kept by the calls' numbers."""
    assert snapshot(BEFORE) == {
        "tool": "submit",
        "arguments": {"run_id": OSMO_RUN.run_id, "pool": "gpu"},
        "workspace": "/clips",
        "run_id": OSMO_RUN.run_id,
        "passed": {"preflight": 4, "report": 6},
        "submissions": [
            {
                "batch": "0",
                "state": "sent",
                "workflow_id": "vda-7",
                "values": {"video": "car"},
                "pool": "gpu",
                "pid": 7,
                "at": 2.0,
            }
        ],
        "refusals": 2,
        "asked": "Which pool?",
        "files": {"/clips/a.mp4": {"exists": True, "plays": False}},
        "places": {"a": "/clips/a"},
    }


def test_a_snapshot_of_next_to_nothing_is_short() -> None:
    """What is not there is left out; tool, arguments, workspace, run and passed calls always stand there."""
    bare = Facts("select_flow", {}, Path("/clips"), passed={"preflight": {}})
    assert snapshot(bare) == {
        "tool": "select_flow",
        "arguments": {},
        "workspace": "/clips",
        "run_id": None,
        "passed": {},
    }
    again = restored(snapshot(bare), None, {})
    assert again == replace(bare, passed={}, secrets=frozenset({MASK}))


def test_the_facts_come_back_from_their_snapshot() -> None:
    """Through JSON, with the data of the calls by their numbers, and the mask where secrets were."""
    seen = json.loads(json.dumps(snapshot(BEFORE)))
    again = restored(seen, OSMO_RUN, {4: {"pool": "gpu"}, 6: {}})
    passed = {"preflight": {"pool": "gpu"}, "report": {}}
    assert again == replace(BEFORE, passed=passed, secrets=frozenset({MASK}))


def test_an_outcome_comes_back_beside_the_facts_of_its_call() -> None:
    """Data, bubbles, next calls, problem, whether it runs, what was read from disk, the files then."""
    after = replace(
        BEFORE, arguments={"pool": "cpu"}, after=CAME, files={"/b": FileFact(exists=False, plays=False)}
    )
    seen, came = json.loads(json.dumps([snapshot_after(after), outcome_of(CAME)]))
    assert seen == {
        "arguments": {"pool": "cpu"},
        "witness": {"frames": {"a": 1}},
        "files": {"/b": {"exists": False, "plays": False}},
    }
    assert restored_after(BEFORE, seen, came) == after
    well = outcome_of(replace(CAME, problem=None, running=False))
    assert restored_after(BEFORE, seen, well).after == replace(CAME, problem=None, running=False)
    assert snapshot_after(BEFORE)["witness"] == {}


def test_work_is_done_once_for_the_same_facts() -> None:
    """Rules that look at the same thing share it; facts that differ in anything begin anew."""
    asked: list[Facts] = []

    def work(given: Facts) -> int:
        asked.append(given)
        return len(asked)

    given = facts("poll", run=LOCAL_RUN)
    assert [given.once(work), given.once(work), replace(given, asked="x").once(work)] == [1, 1, 2]
