"""The one road of a call: validate, ask the policy, take the steps, ask again, one result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import Field, JsonValue, ValidationError

from skill_tools.errors import (
    EXIT_CODES,
    ArtifactError,
    ClipError,
    EngineError,
    EngineUnavailable,
    InputError,
    NeedsInput,
    OutcomeUnknown,
    PolicyDenied,
    VdaError,
)
from skill_tools.tool import (
    AnyTool,
    Closed,
    Decision,
    Effects,
    Message,
    NextStep,
    Outcome,
    Problem,
    Ruling,
    Tool,
    ToolResult,
)

RUN = "run-0a1b2c3d"


class Wish(Closed):
    """What the tool of these tests takes."""

    run_id: str | None = None
    times: int = Field(1, ge=1, le=3)


class Grant(Closed):
    """What the tool of these tests gives."""

    times: int


Steps = Callable[[Wish, "Recorder"], Outcome[Grant]]


@dataclass
class Recorder:
    """A road that writes down what passes, and decides what it was told to."""

    before_it: Sequence[Decision] = ()
    after_it: Sequence[Decision] = ()
    fixed: Wish | None = None
    passed: list[str] = field(default_factory=list)
    recorded: list[tuple[Mapping[str, JsonValue], ToolResult]] = field(default_factory=list)

    def before(self, tool: AnyTool, arguments: Closed) -> Ruling[Any]:
        """Decide as told."""
        self.passed.append(f"before {tool.name}")
        return Ruling(self.fixed or arguments, self.before_it)

    def after(self, tool: AnyTool, ruling: Ruling[Any], outcome: Outcome[Any] | Problem) -> Ruling[Any]:
        """Decide as told."""
        came = outcome.code if isinstance(outcome, Problem) else repr(outcome.data)
        self.passed.append(f"after {tool.name} of {ruling.input!r} with {came}")
        return Ruling(ruling.input, self.after_it)

    def record(
        self, arguments: Mapping[str, JsonValue], result: ToolResult, seen: Mapping[str, JsonValue]
    ) -> ToolResult:
        """Mask one word and keep the call."""
        self.passed.append("record")
        clean = ToolResult.model_validate_json(result.model_dump_json().replace("hunter2", "***"))
        self.recorded.append((arguments, clean))
        self.seen = seen
        return clean


def grant(wish: Wish, road: Recorder) -> Outcome[Grant]:
    """Do what was asked for."""
    road.passed.append("steps")
    step = NextStep(tool="wish", arguments={"times": 1})
    return Outcome(Grant(times=wish.times), wish.run_id, messages=[Message(body="done")], next=[step])


def tool(steps: Steps = grant) -> Tool[Wish, Grant, Recorder]:
    """Return a tool with these steps."""
    return Tool("wish", "Grant a wish.", Wish, Grant, Effects(), steps)


def raising(error: Exception) -> Steps:
    """Return steps that fail."""

    def steps(_wish: Wish, _road: Recorder) -> Outcome[Grant]:
        raise error

    return steps


def decision(outcome: str, corrected: NextStep | None = None) -> Decision:
    """Return a decision with this outcome."""
    return Decision.model_validate(
        {"rule": "SOME-RULE", "outcome": outcome, "tool": "wish", "reason": "because", "corrected": corrected}
    )


def test_a_call_takes_the_whole_road_in_order() -> None:
    """Policy, steps, policy on the outcome, mask, journal: in this order and each once."""
    road = Recorder()
    result = tool().call({"run_id": RUN, "times": 2}, road)
    assert road.passed == [
        "before wish",
        "steps",
        "after wish of Wish(run_id='run-0a1b2c3d', times=2) with Grant(times=2)",
        "record",
    ]
    assert (result.ok, result.status, result.run_id, result.data) == (True, "done", RUN, {"times": 2})
    assert (result.exit_code, result.problem) == (0, None)
    assert [message.body for message in result.messages] == ["done"]
    assert result.next == [NextStep(tool="wish", arguments={"times": 1})]
    assert road.recorded == [({"run_id": RUN, "times": 2}, result)]


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ({"times": 0}, "times"),
        ({"times": 4}, "times"),
        ({"times": "many"}, "times"),
        ({"tims": 1}, "tims"),
        ({"run_id": 7}, "run_id"),
    ],
)
def test_arguments_that_do_not_fit_stop_at_the_door(arguments: dict[str, Any], where: str) -> None:
    """Neither policy nor steps see them; the result names the argument, and is on record."""
    road = Recorder()
    result = tool().call(arguments, road)
    assert road.passed == ["record"]
    assert result.problem
    assert (result.exit_code, result.problem.code) == (2, "input.invalid")
    assert where in result.problem.message
    assert "times" in result.problem.expected


@pytest.mark.parametrize(
    ("outcome", "status", "exit_code"), [("deny", "denied", 4), ("ask", "needs_input", 3)]
)
@pytest.mark.parametrize("when", ["before_it", "after_it"])
def test_a_refusal_carries_the_corrected_call(when: str, outcome: str, status: str, exit_code: int) -> None:
    """What a rule denies or asks about comes back with the rule, its reason and the right call in `next`."""
    right = NextStep(tool="wish", arguments={"times": 1}, why="as it should be")
    road = Recorder(**{when: [decision("note"), decision(outcome, right)]})
    result = tool().call({"run_id": RUN}, road)
    assert ("steps" in road.passed) == (when == "after_it")
    assert result.problem
    assert (result.status, result.exit_code, result.run_id) == (status, exit_code, RUN)
    assert (result.next, result.problem.message) == ([right], "because")
    assert result.problem.code.endswith(".SOME-RULE")
    assert [one.outcome for one in result.decisions] == ["note", outcome]
    assert result.data == {}
    assert road.recorded


@pytest.mark.parametrize("outcome", ["fix", "note"])
def test_a_fix_or_a_note_goes_on_and_is_in_the_result(outcome: str) -> None:
    """The steps see the input as the policy wants it, and the decision is told."""
    road = Recorder(before_it=[decision(outcome)], fixed=Wish(times=3))
    result = tool().call({"times": 1}, road)
    assert (result.ok, result.data) == (True, {"times": 3})
    assert [one.outcome for one in result.decisions] == [outcome]


@pytest.mark.parametrize(
    ("error", "status", "exit_code", "retry"),
    [
        (InputError("x"), "failed", 2, "after_fix"),
        (ClipError("x"), "failed", 2, "after_fix"),
        (NeedsInput("x"), "needs_input", 3, "after_fix"),
        (EngineError("x"), "failed", 5, "after_fix"),
        (EngineUnavailable("x", retry="now"), "failed", 5, "now"),
        (OutcomeUnknown("x"), "failed", 5, "inspect"),
        (ArtifactError("x"), "failed", 6, "after_fix"),
        (VdaError("x"), "failed", 1, "never"),
    ],
)
def test_an_error_of_the_steps_becomes_a_result(
    error: VdaError, status: str, exit_code: int, retry: str
) -> None:
    """No exception of the house leaves a call; its family decides status and exit code."""
    road = Recorder(before_it=[decision("note")])
    result = tool(raising(error)).call({"run_id": RUN}, road)
    assert result.problem
    assert (result.ok, result.status, result.exit_code, result.run_id) == (False, status, exit_code, RUN)
    assert (result.problem.message, result.problem.retry) == ("x", retry)
    assert [one.outcome for one in result.decisions] == ["note"]
    assert road.recorded[0][1] is result


def test_a_fault_of_the_program_is_not_hidden() -> None:
    """What nobody foresaw stays an exception: it is no caller's fault and no result."""
    with pytest.raises(ZeroDivisionError):
        tool(raising(ZeroDivisionError())).call({}, Recorder())


def test_work_that_found_a_failure_keeps_its_data() -> None:
    """A problem beside data is a failed result that still says what was found."""

    def steps(wish: Wish, _road: Recorder) -> Outcome[Grant]:
        problem = Problem(code="engine.task_failed", message="it broke")
        return Outcome(Grant(times=wish.times), problem=problem)

    result = tool(steps).call({}, Recorder())
    assert (result.ok, result.status, result.exit_code, result.data) == (False, "failed", 5, {"times": 1})


def test_results_and_records_hold_no_secret() -> None:
    """The result is masked before anybody sees it and before it is written."""
    road = Recorder()
    result = tool(raising(InputError("the key hunter2 is wrong"))).call({}, road)
    assert "hunter2" not in result.model_dump_json()
    assert "hunter2" not in road.recorded[0][1].model_dump_json()


@pytest.mark.parametrize("kind", [InputError, NeedsInput, PolicyDenied, EngineError, ArtifactError])
def test_every_family_of_errors_has_an_exit_code_of_its_own(kind: type[VdaError]) -> None:
    """Codes begin with their family, from which alone the exit code comes."""
    error = kind("what happened", expected="what was expected", remedy="what to do")
    assert error.code.partition(".")[0] == kind.family
    assert EXIT_CODES[kind.family] in {2, 3, 4, 5, 6}
    assert str(error) == "what happened. Expected: what was expected. Do: what to do."
    assert len(set(EXIT_CODES.values())) == len(EXIT_CODES)


def test_results_are_closed_and_frozen() -> None:
    """The one shape has no fields beside its own, and nobody changes it on the way."""
    result = tool().call({}, Recorder())
    with pytest.raises(ValidationError):
        result.ok = False  # type: ignore[misc]  # that it fails is what is tested
    with pytest.raises(ValidationError):
        ToolResult.model_validate({**result.model_dump(), "extra": 1})
