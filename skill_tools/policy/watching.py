"""A run that goes on: heard of every two minutes, never held up, its state the engine's own word."""

from __future__ import annotations

from skill_tools.engines.base import has_ended, has_failed
from skill_tools.policy.messages import finding_of
from skill_tools.policy.rule import Facts, Finding, Rule

HEARTBEAT_S = 110.0
"""The longest silence of a call: the rest of two minutes is for the answer's way."""


def _heartbeat(facts: Facts) -> Finding | None:
    wait_s = facts.arguments.get("wait_s") or 0
    if wait_s <= HEARTBEAT_S:
        return None
    return Finding(
        f"a word is due every two minutes, so this call waits {HEARTBEAT_S:.0f} s and the next one goes on",
        {"asked_s": wait_s, "wait_s": HEARTBEAT_S},
        fixed={"wait_s": HEARTBEAT_S},
    )


def _continue(facts: Facts) -> Finding | None:
    after = facts.after
    if after is None or after.problem is not None or after.next:
        return None
    state = after.data.get("state")
    if state != "COMPLETED" and not after.running:
        return None
    return Finding(
        "a heartbeat goes on and a green stage flows into the next, so a next call is named",
        {"state": state},
        facts.step("poll", "follows the run"),
    )


def _truth(facts: Facts) -> Finding | None:
    after = facts.after
    if after is None:
        return finding_of("POLL-TRUTH", facts)
    if "workflows" not in after.data or "state" not in after.data:
        return None
    states = [workflow["status"] for workflow in after.data["workflows"]]
    said = after.data["state"]
    told = {"state": said, "engine": states}
    again = facts.step("poll", "asks the engine")
    if after.data["ended"] != has_ended(said) or not states:
        return Finding("the state is not one that the engine reported", told, again)
    if has_ended(said) and not all(map(has_ended, states)):
        return Finding(f"the run is said to have ended as {said}, and the engine still runs it", told, again)
    if said == "COMPLETED" and any(map(has_failed, states)):
        return Finding("the run is said to be COMPLETED, and the engine says otherwise", told, again)
    return None


RULES = (
    Rule("POLL-HEARTBEAT", "fix", "A long run is reported on at least every two minutes.", _heartbeat),
    Rule("POLL-CONTINUE", "deny", "Heartbeats go on, green stages flow into the next.", _continue),
    Rule("POLL-TRUTH", "deny", "States come from the engine alone.", _truth),
)
