"""A run that goes on: heard of, never held up, told as the engine tells it; caches filled unasked."""

from __future__ import annotations

from typing import Any

import pytest

from tests.policy.rule_bench import LOCAL_RUN, facts, outcomes


def polled(state: str, *statuses: str, ended: bool, **more: Any) -> dict[str, Any]:
    """Return the facts after a poll."""
    data = {"state": state, "ended": ended, "workflows": [{"status": status} for status in statuses]}
    return {"data": data, **more}


@pytest.mark.breaks("POLL-HEARTBEAT")
@pytest.mark.parametrize("wait_s", [110.1, 600, 86_400])
def test_a_long_wait_is_cut_to_a_heartbeat(wait_s: float) -> None:
    """The call waits 110 s, says so, and the next one goes on."""
    judged = outcomes("POLL-HEARTBEAT", facts("poll", wait_s=wait_s))
    assert [one.outcome for one in judged.decisions] == ["fix"]
    assert judged.arguments["wait_s"] == 110


@pytest.mark.keeps("POLL-HEARTBEAT")
@pytest.mark.parametrize("given", [{}, {"wait_s": 0}, {"wait_s": 110.0}])
def test_a_wait_within_the_heartbeat_is_left_alone(given: dict[str, float]) -> None:
    """What is short enough stays as it was asked for."""
    assert not outcomes("POLL-HEARTBEAT", facts("poll", **given)).decisions


@pytest.mark.breaks("POLL-CONTINUE")
@pytest.mark.parametrize(("state", "running"), [("RUNNING", True), ("COMPLETED", False)])
def test_a_green_result_without_a_next_call_is_refused(state: str, *, running: bool) -> None:
    """A heartbeat or an end that names no next call would leave an agent to ask."""
    after = polled(state, state, ended=not running, running=running)
    assert [one.outcome for one in outcomes("POLL-CONTINUE", facts("poll", after=after)).decisions] == [
        "deny"
    ]


@pytest.mark.keeps("POLL-CONTINUE")
@pytest.mark.parametrize(
    "after",
    [
        polled("RUNNING", "RUNNING", ended=False, running=True, next=["poll"]),
        polled("COMPLETED", "COMPLETED", ended=True, next=["stage_artifacts"]),
        polled("FAILED", "FAILED", ended=True, problem="engine.task_failed"),
    ],
)
def test_a_result_that_goes_on_or_failed_is_fine(after: dict[str, Any]) -> None:
    """Green names what is next; what failed may end here."""
    assert not outcomes("POLL-CONTINUE", facts("poll", after=after)).decisions


@pytest.mark.breaks("POLL-TRUTH")
@pytest.mark.parametrize(
    "after",
    [
        polled("COMPLETED", "COMPLETED", "RUNNING", ended=True),
        polled("COMPLETED", "COMPLETED", "FAILED", ended=True),
        polled("RUNNING", "RUNNING", ended=True),
        polled("COMPLETED", "COMPLETED", ended=False),
        polled("COMPLETED", ended=True),
    ],
)
def test_a_state_that_the_engine_did_not_report_is_refused(after: dict[str, Any]) -> None:
    """An end that one workflow has not reached, or that none was asked about, is no state."""
    assert [one.outcome for one in outcomes("POLL-TRUTH", facts("poll", after=after)).decisions] == ["deny"]


@pytest.mark.keeps("POLL-TRUTH")
@pytest.mark.parametrize(
    "after",
    [
        polled("RUNNING", "COMPLETED", "RUNNING", ended=False),
        polled("COMPLETED", "COMPLETED", "COMPLETED", ended=True),
        polled("FAILED", "COMPLETED", "FAILED", ended=True),
        polled("CANCELLED", "FAILED_CANCELED", ended=False) | {"data": {"full": True, "state": "COMPLETED"}},
    ],
)
def test_what_the_engine_reported_is_told(after: dict[str, Any]) -> None:
    """The one state follows from those of the workflows."""
    assert not outcomes("POLL-TRUTH", facts("poll", after=after)).decisions


@pytest.mark.breaks("CACHE-AUTO")
def test_an_empty_cache_is_filled_without_a_question() -> None:
    """The guard names the cache workflow; a submit that comes too early is sent there."""
    guard = {"data": {"cache_full": False, "checks": []}}
    first = outcomes("CACHE-AUTO", facts("check_submission", after=guard)).decisions[0]
    assert (first.outcome, first.corrected and first.corrected.tool) == ("fix", "ensure_cache")
    early = facts("submit", passed={"check_submission": {"cache_full": False}})
    second = outcomes("CACHE-AUTO", early).decisions[0]
    assert (second.outcome, second.corrected and second.corrected.arguments) == (
        "deny",
        {"run_id": LOCAL_RUN.run_id},
    )


@pytest.mark.keeps("CACHE-AUTO")
def test_full_caches_need_nothing() -> None:
    """Neither the guard nor the submit says a word about caches that are full, nor does a red guard."""
    assert not outcomes(
        "CACHE-AUTO", facts("check_submission", after={"data": {"cache_full": True}})
    ).decisions
    assert not outcomes(
        "CACHE-AUTO", facts("check_submission", after={"data": {"cache_full": None}})
    ).decisions
    red = {"data": {"cache_full": False}, "problem": "input.guard"}
    assert not outcomes("CACHE-AUTO", facts("check_submission", after=red)).decisions
    assert not outcomes(
        "CACHE-AUTO", facts("submit", passed={"check_submission": {"cache_full": True}})
    ).decisions
