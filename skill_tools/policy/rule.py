"""A rule, the facts it looks at, and what it finds: the words that every family of rules is written in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from skill_tools.journal import RunRecord, SubmissionRecord
from skill_tools.tool import Message, NextStep, Verdict


@dataclass(frozen=True)
class FileFact:
    """What is known of a file that a media line names."""

    exists: bool
    plays: bool


@dataclass(frozen=True)
class Aftermath:
    """What a tool's steps brought about."""

    data: Mapping[str, Any]
    messages: tuple[Message, ...] = ()
    files: Mapping[str, FileFact] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """All that a check may look at. Checks are pure: the same facts give the same finding.

    `passed` holds, by tool, the data of its newest green result in this run.
    """

    tool: str
    arguments: Mapping[str, Any]
    workspace: Path
    run: RunRecord | None = None
    passed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    submissions: tuple[SubmissionRecord, ...] = ()
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    after: Aftermath | None = None

    def text(self, name: str) -> str:
        """Return an argument that is a text, empty where it isn't given."""
        value = self.arguments.get(name)
        return value if isinstance(value, str) else ""

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


@dataclass(frozen=True)
class Finding:
    """What a check has to say: why, from which facts, and what would be right instead.

    `fixed` are arguments that the policy puts in place itself; only a rule whose outcome is *fix* has any.
    """

    reason: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    corrected: NextStep | None = None
    fixed: Mapping[str, JsonValue] = field(default_factory=dict)


Check = Callable[[Facts], Finding | None]


@dataclass(frozen=True)
class Rule:
    """A sentence of the policy as code. Which tools it guards is written with the tools."""

    id: str
    outcome: Verdict
    sentence: str
    check: Check
