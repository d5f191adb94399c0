"""Hold every eval to the tools themselves, without a model: `make evals`, or `python -m evals.check [ID …]`.

An eval's `steps` are what an agent that does as it should would do. They are done here, on the embedded
engine or on the stand-in for OSMO, and what comes back is compared with what each step expects.

    {"means": FLOW | "out_of_scope" | "contradiction" | null}    what the prompt's words lead to
    {"tool": NAME, "arguments": {…}, "expect": {…}}              one call; "$run" is the run's id
    {"follow": NAME, "through": [NAME, …], "expect": {…}}        do what `next` names until NAME is next
    {"passed": [NAME, …]}                                        the run's green steps so far, in order
    {"script": LINE, "expect": {…}}                              a documented command line
    {"vda": LINE}                                                a line that `vda` would take

`expect` holds any of: status, code, rules, next, data, says. What the last result would have an agent say
has to pass the rules for messages. Engine, files and what else is around the eval are in its `setting`.
"""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skill_tools import run_script
from skill_tools.cli import command_line
from skill_tools.flows import intent
from skill_tools.tool import ToolResult
from tests.mock_osmo.bench import MockOsmo
from tests.tools.workspace_bench import Workspace, make_clip

EVALS = Path(__file__).with_name("evals.json")
MAX_STEPS = 16
TOKEN = "hf_" + "a" * 34
CACHES = ("cosmos_transfer/model.bin", "auto_labeling/reid/model.bin")

Eval = dict[str, Any]


class Mismatch(Exception):
    """A step gave something else than the eval expects."""


def load() -> list[Eval]:
    """Return all evals, in their order."""
    found: list[Eval] = json.loads(EVALS.read_text(encoding="utf-8"))["evals"]
    return found


def say_unknown(ids: Sequence[str]) -> bool:
    """Say on standard error which of these are no evals, and return whether any is."""
    unknown = sorted({*ids} - {one["id"] for one in load()})
    if unknown:
        print(f"There is no eval {', '.join(unknown)}", file=sys.stderr)
    return bool(unknown)


@dataclass
class Room:
    """A place of its own for one eval: clips, workspace, and the OSMO that is there, if one is."""

    folder: Path
    setting: Mapping[str, Any]
    prompt: str
    files: list[str]
    run_id: str = ""
    last: ToolResult | None = None
    called: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the clips, and OSMO with what is in its storage."""
        for name in self.files:
            make_clip(self.folder / name)
        engine = self.setting.get("engine", "local")
        environ: dict[str, str] = {"VDA_ENGINE": engine}
        if engine == "osmo":
            (self.folder / "lab").mkdir()
            mock = MockOsmo(self.folder / "lab")
            for cache in CACHES if self.setting.get("caches", True) else ():
                mock.put(f"s3://lab/data/models/{cache}", b"weights")
            environ |= {**mock.environ, "HOME": str(self.folder), "VDA_DATA_ROOTS": str(self.folder / "data")}
            environ |= {"HF_TOKEN": TOKEN} if self.setting.get("token", True) else {}
        self.workspace = Workspace(self.folder, environ)

    def do(self, step: Mapping[str, Any]) -> None:
        """Do one step and compare.

        Raises:
            Mismatch: it came out otherwise.
        """
        if "means" in step:
            self._means(step["means"])
        elif "passed" in step:
            self._same("the run's steps", self._passed(), step["passed"])
        elif "vda" in step:
            command_line().parse_args(shlex.split(step["vda"])[1:])
        elif "script" in step:
            self._took(run_script(step["script"], settings=self.workspace.settings), step)
        elif "follow" in step:
            self._follow(step)
        else:
            arguments = self._filled(step.get("arguments", {}))
            self._took(self.workspace.call(step["tool"], **arguments), step)

    def _means(self, wanted: str | None) -> None:
        choice = intent.choose(self.prompt)
        declined = "out_of_scope" if choice.out_of_scope else None
        found = "contradiction" if choice.contradiction else declined or choice.flow
        self._same("the prompt's meaning", found, wanted)

    def _follow(self, step: Mapping[str, Any]) -> None:
        self.called = []
        result = self.last
        for _ in range(MAX_STEPS):
            if result is None or not result.ok or not result.next or result.next[0].tool == step["follow"]:
                break
            self.called.append(result.next[0].tool)
            result = self.workspace.follow(result.next[0])
        if result is None:
            raise Mismatch("there is nothing to follow yet")
        self._same("the calls", self.called, step["through"])
        self._took(result, step)

    def say(self) -> None:
        """Look whether the last result's words may be said to a person as they are.

        Raises:
            Mismatch: a rule for messages is against them.
        """
        last = self.last
        if last is None:
            return
        bubbles = [message.model_dump() for message in last.messages]
        if last.problem is not None:
            bubbles.append({"kind": "text", "body": last.problem.message})
        about = {"run_id": self.run_id} if self.run_id else {}
        checked = self.workspace.call("check_message", messages=bubbles, **about)
        if not checked.ok:
            raise Mismatch(f"the last words {bubbles}: {self._problem(checked)}")

    def _passed(self) -> list[str]:
        with self.workspace.journal() as journal:
            calls = journal.calls(self.run_id)
        return [call.tool for call in calls if call.result.ok]

    def _took(self, result: ToolResult, step: Mapping[str, Any]) -> None:
        self.last = result
        self.run_id = result.run_id or self.run_id
        self.compare(result, step.get("expect", {}))

    def compare(self, result: ToolResult, expect: Mapping[str, Any]) -> None:
        """Compare a result with what is expected of it.

        Raises:
            Mismatch: it is something else.
        """
        wanted = {"status": "done", **expect}
        text = "\n".join([*(message.body for message in result.messages), self._problem(result)])
        found: dict[str, Any] = {
            "status": result.status,
            "code": result.problem.code if result.problem else None,
            "next": result.next[0].tool if result.next else None,
        }
        for name in found.keys() & wanted.keys():
            self._same(f"{name} of {result.tool} ({self._problem(result)})", found[name], wanted[name])
        for name, value in wanted.get("data", {}).items():
            self._same(f"data.{name} of {result.tool}", result.data.get(name), self._filled(value))
        rules = {decision.rule for decision in result.decisions}
        for rule in set(wanted.get("rules", ())) - rules:
            raise Mismatch(f"{result.tool} was not decided by {rule} but by {sorted(rules)}")
        for words in wanted.get("says", ()):
            if words not in text:
                raise Mismatch(f"{result.tool} does not say {words!r} but: {text}")

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._filled(part) for name, part in value.items()}
        if isinstance(value, list):
            return [self._filled(part) for part in value]
        if value == "$run":
            return self.run_id
        if value == "$prompt":
            return self.prompt
        return str(self.folder / value) if value in self.files else value

    @staticmethod
    def _problem(result: ToolResult) -> str:
        return f"{result.problem.code}: {result.problem.message}" if result.problem else ""

    @staticmethod
    def _same(what: str, found: object, wanted: object) -> None:
        if found != wanted:
            raise Mismatch(f"{what}: {found!r}, expected {wanted!r}")


def check(one: Eval, folder: Path) -> None:
    """Do the steps of an eval in a folder of its own.

    Raises:
        Mismatch: a step came out otherwise than the eval says; the step's number is in the message.
    """
    room = Room(folder, one.get("setting", {}), one["prompt"], one.get("files", []))
    for number, step in enumerate(one["steps"], start=1):
        try:
            room.do(step)
        except Mismatch as mismatch:
            raise Mismatch(f"{one['id']}, step {number}: {mismatch}") from mismatch
    room.say()


def failures(wanted: list[str]) -> Iterator[tuple[str, str]]:
    """Check the evals of these ids, or all, and yield each one's id with what is wrong, if anything."""
    for one in load():
        if wanted and one["id"] not in wanted:
            continue
        with tempfile.TemporaryDirectory(prefix="vda-eval-") as folder:
            try:
                check(one, Path(folder))
            except Mismatch as mismatch:
                yield one["id"], str(mismatch)
            else:
                yield one["id"], ""


def main(wanted: list[str]) -> int:
    """Print a line an eval and return 1 if any of them fails, or 2 if one that was asked for is none."""
    if say_unknown(wanted):
        return 2
    wrong = total = 0
    for name, problem in failures(wanted):
        total += 1
        wrong += bool(problem)
        print(f"{'FAILED' if problem else 'ok':6} {problem or name}", flush=True)
    print(f"{total - wrong} of {total} evals hold")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
