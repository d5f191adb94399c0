"""What every tool is handed: settings, journal, engines, and the policy on its road."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from pydantic import BaseModel, JsonValue

from skill_tools.access.secrets import known_secrets, mask
from skill_tools.engines.base import Engine
from skill_tools.errors import InputError
from skill_tools.journal import Journal, RunRecord
from skill_tools.media.playable import plays
from skill_tools.policy.engine import EVERY_CALL, EVERY_OUTCOME, judge
from skill_tools.policy.media_line import MEDIA_PREFIX, media_path
from skill_tools.policy.rule import Aftermath, Facts, FileFact
from skill_tools.policy.snapshot import outcome_of, snapshot, snapshot_after
from skill_tools.settings import Settings
from skill_tools.tool import AnyTool, Closed, Message, Outcome, Problem, Ruling, ToolResult

T = TypeVar("T")


@dataclass(frozen=True)
class Note:
    """A word on how far something long is. `rate` is in units a second, `left_s` in seconds."""

    phase: str
    done: float = 0
    total: float | None = None
    unit: str = ""
    rate: float | None = None
    left_s: float | None = None
    text: str = ""


class Engines(Protocol):
    """Gives the engine of a name, and says which one `auto` means here."""

    def named(self, name: str) -> Engine:
        """Return an engine by its name."""

    def choose(self, wanted: str) -> tuple[str, str]:
        """Return the name of the engine to use, and why."""


def _silent(_note: Note) -> None:
    """Take a note and say nothing."""


@dataclass(frozen=True)
class Context:
    """The road of every call in one workspace."""

    settings: Settings
    journal: Journal
    engines: Engines
    on_note: Callable[[Note], None] = field(default=_silent)

    def engine(self, run: RunRecord) -> Engine:
        """Return the engine that a run runs on."""
        return self.engines.named(run.engine)

    def passed(self, run_id: str, tool: str) -> dict[str, Any]:
        """Return the data of a tool's newest green result in a run.

        Raises:
            InputError: the tool has not been called with success in this run.
        """
        result = self.journal.passed(run_id, tool)
        if result is None:
            raise InputError(
                f"{run_id} has not passed {tool} yet",
                expected=f"a green {tool} before this call",
                remedy=f'call {tool} with {{"run_id": "{run_id}"}}',
                code="input.order",
                first=(tool, {"run_id": run_id}),
            )
        return result.data

    def open_run(self, run_id: str | None, flow: str | None = None) -> RunRecord | None:
        """Return the run of an id, or, without one, the one run here that is not complete.

        Raises:
            InputError: no such run, or several are open and none was named.
        """
        if run_id:
            return self.journal.run(run_id)
        is_open = [run for run in self.journal.open_runs() if flow is None or run.flow == flow]
        if len(is_open) > 1:
            raise InputError(
                f"{len(is_open)} runs are open here",
                expected=f"run_id, one of {', '.join(run.run_id for run in is_open[:5])}",
                remedy="name the run that is meant",
                code="input.which_run",
            )
        return is_open[0] if is_open else None

    def before(self, tool: AnyTool, arguments: Closed) -> Ruling[Any]:
        """Ask the tool's guards about a call."""
        facts = self.facts(tool.name, arguments.model_dump(mode="json"), self._run_meant(arguments))
        found = judge((*EVERY_CALL, *tool.guards), facts)
        seen: dict[str, JsonValue] = {"before": snapshot(facts)}
        if found.arguments == facts.arguments:
            return Ruling(arguments, found.decisions, seen, facts)
        fixed = tool.input_model.model_validate(found.arguments)
        facts = replace(facts, arguments=fixed.model_dump(mode="json"))
        return Ruling(fixed, found.decisions, seen, facts)

    def after(self, tool: AnyTool, ruling: Ruling[Any], outcome: Outcome[Any] | Problem) -> Ruling[Any]:
        """Ask the tool's guards about what came of it, beside what was known before."""
        aftermath = _aftermath(tool, outcome)
        facts = replace(ruling.facts, after=aftermath, files=_file_facts(aftermath.messages))
        found = judge((*tool.outcome_guards, *EVERY_OUTCOME), facts)
        seen: dict[str, JsonValue] = {"after": snapshot_after(facts)}
        judged = Ruling(ruling.input, found.decisions, seen, facts)
        return replace(judged, seen=seen | {"refused": outcome_of(aftermath)}) if judged.refusal else judged

    def record(
        self, arguments: Mapping[str, JsonValue], result: ToolResult, seen: Mapping[str, JsonValue]
    ) -> ToolResult:
        """Write a call into the journal, under the run that it belongs to, without any known secret."""
        text = result.model_dump_json()
        if self._holds_secret(text):
            result = masked(result, self.secrets)
            text = result.model_dump_json()
        run_id = result.run_id if result.run_id and self.journal.knows(result.run_id) else None
        self.journal.append(run_id, result, self._json(arguments), text, self._json(seen) if seen else "")
        return result

    def _json(self, values: Mapping[str, JsonValue]) -> str:
        """Return values as JSON without any known secret; nearly always they hold none."""
        text = json.dumps(values, default=str)
        if self._holds_secret(text):
            text = json.dumps(masked(dict(values), self.secrets), default=str)
        return text

    def _holds_secret(self, text: str) -> bool:
        return mask(text, self.secrets) != text

    @cached_property
    def secrets(self) -> frozenset[str]:
        """The secrets that were known when this context was opened."""
        return frozenset(known_secrets(self.settings.environ))

    def facts(self, tool: str, given: dict[str, Any], run: RunRecord | None) -> Facts:
        """Return what the rules may look at: the call, and what is known of its run."""
        bubbles = [Message.model_validate(one) for one in given.get("messages") or ()]
        places = _places(given, self.settings.workspace)
        return Facts(
            tool=tool,
            arguments=given,
            workspace=self.settings.workspace,
            run=run,
            passed=self.journal.passed_by_tool(run.run_id) if run else {},
            submissions=tuple(self.journal.submissions(run.run_id)) if run else (),
            secrets=self.secrets,
            refusals=self.journal.refusals(run.run_id) if run and tool == "submit" else 0,
            asked=self.journal.last_question(run.run_id if run else None),
            files=_file_facts(bubbles) | _target_facts(given, places),
            places=places,
        )

    def _run_meant(self, arguments: Closed) -> RunRecord | None:
        """Return the run that a call names; bubbles that name none are about the newest."""
        run_id = getattr(arguments, "run_id", None)
        if run_id:
            return self.journal.find(run_id)
        newest = self.journal.runs(limit=1) if hasattr(arguments, "messages") else []
        return newest[0] if newest else None


def _places(given: Mapping[str, Any], workspace: Path) -> dict[str, str]:
    """Look up where the paths among the arguments lead; clips may be named from the current folder."""
    clips = (*(given.get("clips") or ()), given.get("input_local_video"), given.get("clip"))
    named = {path: Path() for path in clips if path}
    named |= {given[name]: workspace for name in ("run_local_dir", "output") if given.get(name)}
    places = {}
    for path, base in named.items():
        # A path that can't be one leads nowhere: the rules then judge its letters.
        with suppress(OSError, ValueError, RuntimeError):
            places[path] = str((base / Path(path).expanduser()).resolve())
    return places


def _aftermath(tool: AnyTool, outcome: Outcome[Any] | Problem) -> Aftermath:
    if isinstance(outcome, Problem):
        return Aftermath({}, problem=outcome)
    return Aftermath(
        outcome.data.model_dump(mode="json"),
        tuple(outcome.messages),
        tuple(outcome.next),
        outcome.problem,
        running=outcome.status == "running",
        witness=tool.witness(outcome) if tool.witness else {},
    )


def _file_facts(messages: Sequence[Message]) -> dict[str, FileFact]:
    lines = [
        line[max(line.find(MEDIA_PREFIX), 0) :].strip() for one in messages for line in one.body.splitlines()
    ]
    paths = [media_path(line) for line in lines]
    return {path: FileFact(Path(path).is_file(), plays(Path(path))) for path in paths if path}


def _target_facts(given: Mapping[str, Any], places: Mapping[str, str]) -> dict[str, FileFact]:
    """Look whether something lies where a call would write."""
    place = places.get(given.get("output") or "")
    return {place: FileFact(Path(place).exists(), plays(Path(place)))} if place else {}


def masked(value: T, secrets: Collection[str]) -> T:
    """Return a value of the same shape with every text in it masked, names of arguments too."""
    clean: Any = value
    if isinstance(value, str):
        clean = mask(value, secrets)
    elif isinstance(value, list):
        clean = [masked(item, secrets) for item in value]
    elif isinstance(value, dict):
        clean = {mask(key, secrets): masked(item, secrets) for key, item in value.items()}
    elif isinstance(value, BaseModel):
        clean = value.model_copy(update={name: masked(item, secrets) for name, item in value})
    return cast("T", clean)
