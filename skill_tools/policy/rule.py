"""A rule, the facts it looks at, and what it finds: the words that every family of rules is written in."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, TypeVar

from pydantic import JsonValue

from skill_tools.journal import RunRecord, SubmissionRecord
from skill_tools.tool import Message, NextStep, Problem, Verdict

T = TypeVar("T")


@dataclass(frozen=True)
class FileFact:
    """What is known of a file that a media line names."""

    exists: bool
    plays: bool


@dataclass(frozen=True)
class Aftermath:
    """What a tool's steps brought about; `witness` is what was read from disk apart from the tool."""

    data: Mapping[str, Any]
    messages: tuple[Message, ...] = ()
    next: tuple[NextStep, ...] = ()
    problem: Problem | None = None
    running: bool = False
    witness: Mapping[str, Any] = field(default_factory=dict)

    @property
    def question(self) -> str:
        """The rule under which the tool has to ask a person, empty where it doesn't."""
        family, _, rule = (self.problem.code if self.problem else "").partition(".")
        return rule if family == "needs_input" else ""


@dataclass(frozen=True)
class Facts:
    """All that a check may look at. Checks are pure: the same facts give the same finding.

    `passed` holds, by tool, the data of its newest green result in this run; `refusals` counts the submits
    of this run that the engine refused; `asked` is the last question to a person that nobody answered yet;
    `places` holds where the paths among the arguments lead, links and `~` followed.
    """

    tool: str
    arguments: Mapping[str, Any]
    workspace: Path
    run: RunRecord | None = None
    passed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    submissions: tuple[SubmissionRecord, ...] = ()
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    refusals: int = 0
    asked: str = ""
    files: Mapping[str, FileFact] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    after: Aftermath | None = None

    def __post_init__(self) -> None:
        """Begin with nothing worked out; other facts, and be it but in one argument, begin anew."""
        object.__setattr__(self, "_worked_out", {})

    def once(self, work: Callable[[Facts], T]) -> T:
        """Return what pure work makes of these facts, done once for all the rules that ask."""
        known: dict[Callable[[Facts], T], T] = vars(self)["_worked_out"]
        if work not in known:
            known[work] = work(self)
        return known[work]

    def text(self, name: str) -> str:
        """Return an argument that is a text, empty where it isn't given."""
        value = self.arguments.get(name)
        return value if isinstance(value, str) else ""

    @property
    def values(self) -> Mapping[str, str]:
        """The submit values that the call gives, empty where it gives none."""
        given = self.arguments.get("values")
        return given if isinstance(given, Mapping) else {}

    @property
    def bubbles(self) -> tuple[Message, ...]:
        """The messages that are about to be shown: those of a result, or those that were handed in."""
        if self.after is not None:
            return self.after.messages
        return tuple(Message.model_validate(one) for one in self.arguments.get("messages") or ())

    def place(self, path: str) -> str:
        """Return where a path leads: as it was looked up, else by its letters."""
        return self.places.get(path) or os.path.normpath(self.workspace / path)

    def is_inside(self, path: str) -> bool:
        """Tell whether a path, taken by its letters, lies in the workspace."""
        place = PurePath(path)
        return ".." not in place.parts and place.is_relative_to(self.workspace)

    @property
    def run_id(self) -> str:
        """The run that the call is about, empty where there is none."""
        return self.run.run_id if self.run else self.text("run_id")

    def again(self, why: str, **changed: Any) -> NextStep:
        """Return this very call with some arguments changed; None takes one away."""
        kept = {k: v for k, v in {**self.arguments, **changed}.items() if v not in (None, "", [], {})}
        return NextStep(tool=self.tool, arguments=kept, why=why)

    def step(self, tool: str, why: str, **arguments: JsonValue) -> NextStep:
        """Return a call of another tool for the same run."""
        return NextStep(tool=tool, arguments={"run_id": self.run_id, **arguments}, why=why)

    def anew(self, why: str) -> NextStep | None:
        """Return the call that begins another run with the same wishes as this one."""
        run = self.run
        if run is None:
            return None
        wishes: dict[str, JsonValue] = {
            "flow": run.flow,
            "clips": list(run.clips),
            "dataset_url": run.dataset_url,
            "storage_url": run.storage_url,
            "dataset": run.dataset,
            "cookbook": run.cookbook,
            "variants": run.n_augmentations,
            "variables": dict(run.variables),
            "engine": run.engine,
            "vlm_url": run.vlm_url,
            "llm_url": run.llm_url,
        }
        given = {name: value for name, value in wishes.items() if value not in (None, "", [], {})}
        return NextStep(tool="select_flow", arguments=given, why=why)


@dataclass(frozen=True)
class Finding:
    """What a check has to say: why, from which facts, and what would be right instead.

    `fixed` are arguments that the policy puts in place itself. `outcome` is set where a case is milder or
    harder than the rule's own: what can be mended is mended, what can't is refused.
    """

    reason: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    corrected: NextStep | None = None
    fixed: Mapping[str, JsonValue] = field(default_factory=dict)
    outcome: Verdict | None = None


Check = Callable[[Facts], Finding | None]


@dataclass(frozen=True)
class Rule:
    """A sentence of the policy as code. Which tools it guards is written with the tools."""

    id: str
    outcome: Verdict
    sentence: str
    check: Check
