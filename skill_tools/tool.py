"""What a tool is, and the one road that every call takes.

A command line, an MCP call, a `vda` command and a Python call all become `Tool.call`: validate the
input, ask the policy, take the steps, ask the policy about the outcome, and shape one `ToolResult`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from skill_tools.errors import EXIT_CODES, InputError, NeedsInput, PolicyDenied, Retry, VdaError

Status = Literal["done", "running", "needs_input", "denied", "failed"]
Verdict = Literal["fix", "note", "ask", "deny"]


class Closed(BaseModel):
    """A frozen model that refuses fields it doesn't know.

    Its checks are put together when they are first needed: most processes need few of all there are.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Effects(Closed):
    """What a tool may change, declared once and shown by every surface."""

    read_only: bool = False
    writes_local: bool = False
    changes_remote: bool = False
    idempotent: bool = True
    destructive: bool = Field(default=False, description="It may end or replace what is there.")
    open_world: bool = Field(default=True, description="It may ask something outside of this machine.")


class NextStep(Closed):
    """A call that comes next, complete with its arguments."""

    tool: str
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    why: str = ""


class Message(Closed):
    """One bubble that a chat assistant shows; a media bubble is one `MEDIA:` line and nothing else."""

    kind: Literal["text", "media"] = "text"
    body: str


class Decision(Closed):
    """What a rule decided about a call: more than a nod."""

    rule: str
    outcome: Verdict
    tool: str
    reason: str
    facts: dict[str, JsonValue] = Field(default_factory=dict)
    corrected: NextStep | None = None
    policy: str = Field("", description="The digest of the policy that decided.")
    at: float = Field(default_factory=time.time, description="Unix time, seconds.")


class Problem(Closed):
    """Why a call did not do what it was asked."""

    code: str
    message: str
    expected: str = ""
    remedy: str = ""
    retry: Retry = "never"

    @classmethod
    def of(cls, error: VdaError) -> Problem:
        """Return what an error says."""
        return cls(
            code=error.code,
            message=error.message,
            expected=error.expected,
            remedy=error.remedy,
            retry=error.retry,
        )

    @property
    def status(self) -> Status:
        """How a call ends that has this problem: its code's family says it."""
        family = self.code.partition(".")[0]
        known: Mapping[str, Status] = {NeedsInput.family: "needs_input", PolicyDenied.family: "denied"}
        return known.get(family, "failed")


class ToolResult(Closed):
    """The one shape that every call returns, from both engines and on every surface."""

    ok: bool
    tool: str
    run_id: str | None = None
    status: Status
    data: dict[str, JsonValue] = Field(default_factory=dict)
    decisions: list[Decision] = Field(default_factory=list)
    messages: list[Message] = Field(default_factory=list)
    next: list[NextStep] = Field(default_factory=list)
    problem: Problem | None = None

    @property
    def exit_code(self) -> int:
        """Return 0 done or running, 2 bad input, 3 needs the user, 4 denied, 5 engine, 6 artifact."""
        if self.ok or self.problem is None:
            return 0
        return EXIT_CODES.get(self.problem.code.partition(".")[0], 1)


InputT = TypeVar("InputT", bound=Closed)
OutputT = TypeVar("OutputT", bound=Closed)


@dataclass(frozen=True)
class Outcome(Generic[OutputT]):
    """What a tool's steps hand back; `Tool.call` makes the `ToolResult` of it.

    A `problem` beside `data` means that the tool did its work and what it found is a failure.
    """

    data: OutputT
    run_id: str | None = None
    status: Literal["done", "running"] = "done"
    messages: Sequence[Message] = ()
    next: Sequence[NextStep] = ()
    problem: Problem | None = None


@dataclass(frozen=True)
class Ruling(Generic[InputT]):
    """What the policy says of a call: the decisions, and the input as it should be."""

    input: InputT
    decisions: Sequence[Decision] = ()
    seen: Mapping[str, JsonValue] = field(default_factory=dict)
    """What the rules saw and the journal would not know otherwise; with it a decision can be made again."""
    facts: Any = None
    """The facts that the road gathered for this call, for it to judge the outcome with."""

    @property
    def refusal(self) -> Decision | None:
        """The first decision that stops the call, if there is one."""
        return next((d for d in self.decisions if d.outcome in {"deny", "ask"}), None)


class Road(Protocol):
    """What a call needs around it: the policy, the journal, and the mask for secrets."""

    def before(self, tool: AnyTool, arguments: Closed) -> Ruling[Any]:
        """Decide whether the call may go on, and with which input."""

    def after(self, tool: AnyTool, ruling: Ruling[Any], outcome: Outcome[Any] | Problem) -> Ruling[Any]:
        """Decide whether the outcome, or the problem instead of one, is what the policy asks for."""

    def record(
        self, arguments: Mapping[str, JsonValue], result: ToolResult, seen: Mapping[str, JsonValue]
    ) -> ToolResult:
        """Write the call, its result and what the rules saw, durably; return it without any known secret."""


RoadT = TypeVar("RoadT", bound=Road)


@dataclass(frozen=True)
class Tool(Generic[InputT, OutputT, RoadT]):
    """A verb of the skill: its models, its effects, its rules and its steps."""

    name: str
    summary: str
    input_model: type[InputT]
    output_model: type[OutputT]
    effects: Effects
    steps: Callable[[InputT, RoadT], Outcome[OutputT]]
    guards: tuple[str, ...] = field(default=())
    outcome_guards: tuple[str, ...] = field(default=())
    witness: Callable[[Outcome[OutputT]], Mapping[str, JsonValue]] | None = None
    """Reads from disk, apart from the steps, what the outcome has to agree with."""

    def call(self, arguments: Mapping[str, JsonValue], road: RoadT) -> ToolResult:
        """Take the one road; never raises for what a caller can do wrong.

        Returns:
            The result, masked and recorded. `problem` is set exactly when `ok` is false.
        """
        seen: dict[str, JsonValue] = {}
        try:
            result = self._walk(arguments, road, seen)
        except VdaError as error:
            result = self._failed(Problem.of(error), _run_id_in(arguments))
        return road.record(arguments, result, seen)

    def _walk(
        self, arguments: Mapping[str, JsonValue], road: RoadT, seen: dict[str, JsonValue]
    ) -> ToolResult:
        ruling = road.before(self, self._validated(arguments))
        seen |= ruling.seen
        if ruling.refusal is not None:
            return self._refused(ruling.refusal, ruling.decisions, _run_id_in(arguments))
        try:
            outcome: Outcome[OutputT] | Problem = self.steps(ruling.input, road)
            first: list[NextStep] = []
        except VdaError as error:
            outcome = Problem.of(error)
            first = first_calls(error)
        found = road.after(self, ruling, outcome)
        seen |= found.seen
        if isinstance(outcome, Problem):
            failed = self._failed(outcome, getattr(ruling.input, "run_id", None))
            decisions = [*ruling.decisions, *found.decisions]
            return failed.model_copy(update={"decisions": decisions, "next": first})
        decisions = [*ruling.decisions, *found.decisions]
        if found.refusal is not None:
            return self._refused(found.refusal, decisions, outcome.run_id)
        return ToolResult(
            ok=outcome.problem is None,
            tool=self.name,
            run_id=outcome.run_id,
            status=outcome.problem.status if outcome.problem else outcome.status,
            problem=outcome.problem,
            data=outcome.data.model_dump(mode="json"),
            decisions=decisions,
            messages=list(outcome.messages),
            next=list(outcome.next),
        )

    def _validated(self, arguments: Mapping[str, JsonValue]) -> InputT:
        try:
            return self.input_model.model_validate(dict(arguments))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "arguments"
            known = ", ".join(self.input_model.model_fields)
            raise InputError(
                f"{self.name}: {where}: {first['msg']}",
                expected=f"arguments of {self.name}: {known}",
                remedy=f"`vda tools {self.name}` prints the schema",
            ) from error

    def _refused(self, by: Decision, decisions: Sequence[Decision], run_id: str | None) -> ToolResult:
        ask = by.outcome == "ask"
        corrected = [by.corrected] if by.corrected else []
        return ToolResult(
            ok=False,
            tool=self.name,
            run_id=run_id,
            status="needs_input" if ask else "denied",
            decisions=list(decisions),
            next=corrected,
            problem=Problem(
                code=f"{'needs_input' if ask else 'denied'}.{by.rule}",
                message=by.reason,
                expected=f"rule {by.rule}; `vda policy {by.rule}` explains it",
                remedy=f"call {by.corrected.tool} as given in `next`" if by.corrected else "",
                retry="after_fix",
            ),
        )

    def _failed(self, problem: Problem, run_id: str | None) -> ToolResult:
        return ToolResult(ok=False, tool=self.name, run_id=run_id, status=problem.status, problem=problem)


AnyTool = Tool[Any, Any, Any]


def _run_id_in(arguments: Mapping[str, JsonValue]) -> str | None:
    run_id = arguments.get("run_id")
    return run_id if isinstance(run_id, str) else None


def first_calls(error: VdaError) -> list[NextStep]:
    """Return the call that has to come before the one that failed, where the error names it."""
    if error.first is None:
        return []
    tool, arguments = error.first
    return [NextStep(tool=tool, arguments=dict(arguments), why="has to come first")]
