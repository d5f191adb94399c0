"""Let a real model do the evals, behind any OpenAI-compatible endpoint, and hold what it did to them.

    python -m evals.run_model --url http://localhost:8000/v1 --model NAME [ID …]
    python -m evals.run_model --url http://localhost:8000/v1 --model NAME --triggers

A key, where the endpoint wants one, is read from EVAL_API_KEY. The model gets SKILL.md, the tools and the
prompt; its calls are made for real, on the embedded engine or on the stand-in for OSMO. It passes when

- what each green step of the eval expects came about, in that order, by whichever calls, `run` among them;
- a near miss called nothing at all;
- the last words break no rule for messages, show the media of a complete run, and put the question to the
  user where the run needs one.

What the eval expects to be denied is not asked for: a model that never tried has done better. With
`--triggers` the model sees name and description of the skill alone, as hosts show them, and one tool that
loads it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from evals.check import EVALS, Eval, Mismatch, Room, load, say_unknown
from skill_tools import run_script
from skill_tools.access.endpoints import candidates
from skill_tools.policy.media_line import MEDIA_PREFIX
from skill_tools.registry import TOOLS, call
from skill_tools.schema_views import openai
from skill_tools.settings import own_skill_dir
from skill_tools.tool import ToolResult

KEY_VARIABLE = "EVAL_API_KEY"
MAX_TURNS = 40
TIMEOUT_S = 600.0
TRIGGERS = EVALS.with_name("trigger_queries.json")
WANTED = frozenset({"done", "running", "needs_input"})

SCRIPT_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "run_script",
        "description": "Do what a documented command line asks for, without a shell.",
        "parameters": {
            "type": "object",
            "properties": {"command": {"type": "string"}},
            "required": ["command"],
            "additionalProperties": False,
        },
    },
}
LOAD_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "load_skill",
        "description": "Load a skill whose description fits what the user wants.",
        "parameters": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
            "additionalProperties": False,
        },
    },
}

Message = dict[str, Any]


class EndpointFailed(Exception):
    """The endpoint can't be reached, refuses, or answers with something else than a completion."""


@dataclass
class ChatModel:
    """A model behind the chat completions protocol; `tokens` counts what the endpoint says it used."""

    client: httpx.Client
    name: str
    tokens: int = 0

    def answer(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> Message:
        """Return the assistant's next message.

        Raises:
            EndpointFailed: there is none.
        """
        body = {"model": self.name, "temperature": 0, "messages": list(messages), "tools": list(tools)}
        try:
            reply = self.client.post("chat/completions", json=body)
            reply.raise_for_status()
            document = reply.json()
            message: Message = document["choices"][0]["message"]
        except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
            raise EndpointFailed(f"{type(error).__name__}: {error}") from error
        self.tokens += int((document.get("usage") or {}).get("total_tokens") or 0)
        return message


@dataclass
class Attempt:
    """What a model did with a prompt: the tools it called, every step that came of them, its last words."""

    room: Room
    called: list[str] = field(default_factory=list)
    evidence: list[ToolResult] = field(default_factory=list)
    words: str = ""
    _seen: int = 0

    def make(self, name: str, text: str) -> str:
        """Make a call that the model asked for and return its result as text."""
        self.called.append(name)
        try:
            arguments: Any = json.loads(text or "{}")
        except ValueError as error:
            return json.dumps({"ok": False, "problem": {"message": f"The arguments are no JSON: {error}"}})
        settings = self.room.workspace.settings
        if name == "run_script":
            line = arguments.get("command") if isinstance(arguments, dict) else arguments
            result = run_script(line, settings=settings)
        else:
            result = call(name, arguments, settings=settings)
        self._gather(result)
        return result.model_dump_json()

    def _gather(self, result: ToolResult) -> None:
        """Keep what the journal holds of the call's steps, or, where it holds none, the result itself."""
        with self.room.workspace.journal() as journal:
            calls = [one for run in journal.runs(limit=100) for one in journal.calls(run.run_id)]
        fresh = sorted((one for one in calls if one.id > self._seen), key=lambda one: one.id)
        self.evidence += [one.result for one in fresh] or [result]
        self.room.run_id = result.run_id or self.room.run_id
        self._seen = max((one.id for one in calls), default=self._seen)


def attempt(one: Eval, model: ChatModel, folder: Path) -> Attempt:
    """Let the model do an eval's prompt in a folder of its own.

    Raises:
        EndpointFailed: the model did not answer.
        Mismatch: it went on calling without an end.
    """
    done = Attempt(Room(folder, one.get("setting", {}), one["prompt"], one.get("files", [])))
    skill = own_skill_dir().joinpath("SKILL.md").read_text(encoding="utf-8")
    files = "".join(f"- {folder / name}\n" for name in one.get("files", [])) or "- none\n"
    messages: list[Message] = [
        {"role": "system", "content": f"{skill}\n\nFiles in the user's folder:\n{files}"},
        {"role": "user", "content": one["prompt"]},
    ]
    tools = [*(openai(tool) for tool in TOOLS.values()), SCRIPT_TOOL]
    for _ in range(MAX_TURNS):
        message = model.answer(messages, tools)
        messages.append(message)
        calls = message.get("tool_calls") or []
        if not calls:
            done.words = message.get("content") or ""
            return done
        for asked in calls:
            function = asked["function"]
            content = done.make(function["name"], function["arguments"])
            messages.append({"role": "tool", "tool_call_id": asked["id"], "content": content})
    raise Mismatch(f"{MAX_TURNS} turns and no end: {done.called}")


def judge(one: Eval, done: Attempt) -> None:
    """Hold what a model did to an eval.

    Raises:
        Mismatch: something is missing or too much; the message says what.
    """
    if one["kind"] == "negative":
        if done.called:
            raise Mismatch(f"{one['prompt']!r} is not for this skill, and it called {done.called}")
        return
    at = 0
    for step in one["steps"]:
        at = _reached(step, done, at)
    _judge_words(done)


def _reached(step: Mapping[str, Any], done: Attempt, at: int) -> int:
    """Return the place in the evidence behind what a step expects."""
    status = step.get("expect", {}).get("status", "done")
    if status not in WANTED or not {"tool", "script", "follow", "passed"} & set(step):
        return at
    for name in step.get("through") or step.get("passed") or ():
        at = _find(name, None, done, at)
    if "tool" in step or "script" in step:
        return _find(step.get("tool"), step.get("expect", {}), done, at)
    return at


def _find(tool: str | None, expect: Mapping[str, Any] | None, done: Attempt, at: int) -> int:
    """Return the place behind the first result of a tool, or of any, that is green or as expected."""
    why = "it was never called"
    for number, result in enumerate(done.evidence[at:], start=at + 1):
        if tool not in {None, result.tool}:
            continue
        try:
            # Which call comes next is the tools' word, not the model's.
            wanted = expect if expect is not None else {"status": result.status if result.ok else "done"}
            done.room.compare(result, {name: value for name, value in wanted.items() if name != "next"})
        except Mismatch as mismatch:
            why = str(mismatch)
        else:
            return number
    raise Mismatch(f"{tool or 'the line'}: {why}; called: {done.called}")


def _judge_words(done: Attempt) -> None:
    lines = done.words.splitlines()
    if not done.words.strip():
        raise Mismatch("it ended without a word")
    last = done.evidence[-1] if done.evidence else None
    media = {line.strip() for line in lines if line.strip().startswith(MEDIA_PREFIX)}
    reports = [result for result in done.evidence if result.ok and result.tool == "report"]
    for message in reports[-1].messages if reports else ():
        if message.kind == "media" and message.body not in media:
            raise Mismatch(f"its last words don't show {message.body}")
    owed = last.problem.message if last and last.problem and last.status == "needs_input" else ""
    if owed and not any(sign in done.words for sign in ("?", "USER_INPUT_REQUIRED:", owed)):
        raise Mismatch(f"its last words don't ask: {owed}")
    texts = "\n".join(line for line in lines if line.strip() not in media).strip()
    bubbles = [{"kind": "text", "body": texts}] * bool(texts)
    bubbles += [{"kind": "media", "body": line} for line in sorted(media)]
    checked = done.room.workspace.call("check_message", messages=bubbles, **_about(done))
    if not checked.ok:
        raise Mismatch(f"its last words: {checked.problem.message if checked.problem else ''}")


def _about(done: Attempt) -> dict[str, str]:
    run_ids = [result.run_id for result in done.evidence if result.run_id]
    return {"run_id": run_ids[-1]} if run_ids else {}


def failures(model: ChatModel, wanted: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Let the model do the evals of these ids, or all, and yield each id with what is wrong, if anything."""
    for one in load():
        if wanted and one["id"] not in wanted:
            continue
        with tempfile.TemporaryDirectory(prefix="vda-eval-") as folder:
            try:
                judge(one, attempt(one, model, Path(folder)))
            except (Mismatch, EndpointFailed) as problem:
                yield one["id"], str(problem)
            else:
                yield one["id"], ""


def trigger_failures(model: ChatModel) -> Iterator[tuple[str, str]]:
    """Ask about each query of the trigger set, and yield it with what is wrong, if anything."""
    front = own_skill_dir().joinpath("SKILL.md").read_text(encoding="utf-8").split("---\n")[1]
    skill = yaml.safe_load(front)
    system = f"Skills that you may load:\n- {skill['name']}: {skill['description']}\nElse just answer."
    for query in json.loads(TRIGGERS.read_text(encoding="utf-8"))["queries"]:
        messages = [{"role": "system", "content": system}, {"role": "user", "content": query["query"]}]
        try:
            loaded = bool(model.answer(messages, [LOAD_TOOL]).get("tool_calls"))
        except EndpointFailed as problem:
            yield query["query"], str(problem)
            continue
        wrong = loaded is not query["should_trigger"]
        yield (
            query["query"],
            f"{query['query']!r} {'loaded' if loaded else 'did not load'} it" if wrong else "",
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line an eval and return 1 if any of them fails, or 2 if one that was asked for is none."""
    parser = argparse.ArgumentParser(prog="python -m evals.run_model", description=__doc__.split("\n")[0])
    parser.add_argument("--url", required=True, help="the endpoint's base URL")
    parser.add_argument("--model", required=True, help="the model's name there")
    parser.add_argument("--triggers", action="store_true", help="the trigger queries instead of the evals")
    parser.add_argument("ids", nargs="*", metavar="ID", help="evals to do; all otherwise")
    given = parser.parse_args(arguments)
    if say_unknown(given.ids):
        return 2
    key = os.environ.get(KEY_VARIABLE, "")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    wrong = total = 0
    with httpx.Client(base_url=candidates(given.url)[0], headers=headers, timeout=TIMEOUT_S) as client:
        model = ChatModel(client, given.model)
        for name, problem in trigger_failures(model) if given.triggers else failures(model, given.ids):
            total += 1
            wrong += bool(problem)
            print(f"{'FAILED' if problem else 'ok':6} {name}{': ' if problem else ''}{problem}", flush=True)
    print(f"{total - wrong} of {total} passed; {model.tokens} tokens")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
