"""run_script: one documented command line in, one ToolResult out; no shell, and nothing else is known.

A line is read, never run: it is split into words, its program and options are looked up, and what they
mean is a call of a tool, which takes the road of every call.
"""

from __future__ import annotations

import argparse
import shlex
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NoReturn

from pydantic import JsonValue

from skill_tools.access.secrets import mask
from skill_tools.errors import InputError, PolicyDenied, VdaError
from skill_tools.flows.catalog import canonical_name
from skill_tools.journal import RunRecord
from skill_tools.policy.engine import RUN_SCRIPT_GUARDS, judge
from skill_tools.policy.media_line import MEDIA_PREFIX
from skill_tools.policy.rule import Facts
from skill_tools.policy.snapshot import snapshot
from skill_tools.registry import TOOLS, failed, opened
from skill_tools.settings import Settings
from skill_tools.tool import Decision, Problem, ToolResult
from skill_tools.tools.context import Context

MAX_LINE = 32_768
MAX_SHOWN = 2_000
UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Unicode's categories of what is not there to be read."""
SHELL_SIGNS = frozenset("();<>|&")
PLACES_EXPECTED = "paths inside the workspace or the skill, without '..'"

Arguments = dict[str, JsonValue]


class _Parser(argparse.ArgumentParser):
    """A parser that raises instead of leaving the process, and knows no abbreviations."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog=prog, add_help=False, allow_abbrev=False, exit_on_error=False)

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print."""
        raise InputError(
            f"{self.prog}: {message}",
            expected=" ".join(self.format_usage().split()).removeprefix("usage: "),
            remedy="correct the command line",
            code="input.command_line",
        )


def run_script(command: str | Sequence[str], *, settings: Settings | None = None) -> ToolResult:
    """Do what a documented command line asks for, through the same tools as every other call.

    Args:
        command: The line, or its words where they are split already.
        settings: Where to work; read from the process otherwise.

    Returns:
        The tool's result. A line that is not on the list is refused with the reason, and the journal has the
        refusal: under the run that the line names or that alone is open here, else under none.
    """
    try:
        with opened(settings or Settings.read()) as context:
            return _told(command, context)
    except VdaError as error:
        return failed("run_script", error)


def _told(command: str | Sequence[str], context: Context) -> ToolResult:
    words: list[str] = []
    seen: dict[str, JsonValue] = {}
    try:
        words = _words(command)
        # Whether a line is refused hangs on its words alone; what would be right instead, on its run.
        bare = Facts("run_script", {"words": words}, context.settings.workspace, secrets=context.secrets)
        if not judge(RUN_SCRIPT_GUARDS, bare).decisions:
            tool, arguments = _meaning(words, context)
            return TOOLS[tool].call(arguments, context)
        run = _run_in(words, context)
        facts = context.facts("run_script", {"words": words}, run)
        refused = _denied(judge(RUN_SCRIPT_GUARDS, facts).decisions)
        seen = {"before": snapshot(facts)}
    except VdaError as error:
        run = _run_in(words, context)
        refused = failed("run_script", error)
    refused = refused.model_copy(update={"run_id": run.run_id if run else None})
    return context.record({"line": _shown(command, context.secrets)}, refused, seen)


def _denied(decisions: Sequence[Decision]) -> ToolResult:
    """Return the refusal of a line, with the one right call where there is one."""
    first = decisions[0]
    problem = Problem(
        code=f"denied.{first.rule}",
        message=first.reason,
        expected=str(first.facts.get("command") or f"what `vda policy {first.rule}` explains"),
        remedy=f"call {first.corrected.tool} as given in `next`" if first.corrected else "leave it",
        retry="after_fix" if first.corrected else "never",
    )
    return ToolResult(
        ok=False,
        tool="run_script",
        status="denied",
        decisions=list(decisions),
        next=[first.corrected] if first.corrected else [],
        problem=problem,
    )


def _shown(command: str | Sequence[str], secrets: Collection[str]) -> str:
    """Return a line as the journal keeps it; what can't be written, such as half a character, escaped."""
    words = command if isinstance(command, Sequence) and not isinstance(command, str) else [command]
    text = " ".join(map(str, words))
    # Masked before it is cut: half a secret would be known by nobody.
    return mask(text, secrets)[:MAX_SHOWN].encode("utf-8", "backslashreplace").decode()


def _run_in(words: Sequence[str], context: Context) -> RunRecord | None:
    """Return the run that a line names, else the one that is open here."""
    for word in words:
        value = word.rpartition("=")[2]
        if value.startswith("run-") and (run := context.journal.find(value)):
            return run
    runs = context.journal.open_runs(limit=2)
    return runs[0] if len(runs) == 1 else None


def _words(command: str | Sequence[str]) -> list[str]:
    if not isinstance(command, str | Sequence) or not all(isinstance(word, str) for word in command):
        raise _refused("it is neither a text nor a list of texts")
    text = command if isinstance(command, str) else " ".join(command)
    if len(text) > MAX_LINE:
        raise _refused(f"the line is longer than {MAX_LINE} characters")
    if not text.isascii() and unicodedata.normalize("NFKC", text).isascii():
        raise _refused("it holds characters that only look like ASCII")
    if any(unicodedata.category(char) in UNSEEN for char in text):
        raise _refused("it holds line ends, NUL or other control characters")
    if not isinstance(command, str):
        return list(command)
    return _split(command)


def _split(line: str) -> list[str]:
    """Split a line into words as a shell would, and refuse what only a shell could do."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError as error:
        raise InputError(
            f"The line can't be read: {error}",
            expected="words with their quotes closed",
            remedy="close the quote",
            code="input.command_line",
        ) from error
    signs = [word for word in words if word and set(word) <= SHELL_SIGNS]
    if signs:
        raise _refused(f"{signs[0]!r} is for a shell, and there is none")
    if "`" in line or "$" in line:
        raise _refused("'$' and backticks are for a shell, and there is none")
    return words


def _refused(why: str) -> PolicyDenied:
    return PolicyDenied(
        f"This command line is not run: {why}",
        expected="one of the documented command lines: " + "; ".join(sorted(SCRIPTS)),
        remedy="`vda script --help` lists them; the tools can be called directly too",
        code="denied.run_script",
        retry="never",
    )


def _meaning(words: list[str], context: Context) -> tuple[str, Arguments]:
    """Return the tool and the arguments that a line stands for."""
    settings = context.settings
    if not words:
        raise _refused("it is empty")
    if words[0] == "osmo":
        return _osmo(words[1:], context)
    if words[0] not in {"bash", "python3", "python", "sh"}:
        raise _refused(f"{words[0]!r} is not among the programs that are known: bash, python3, osmo")
    if len(words) == 1:
        raise _refused("it names no script")
    name = _script_name(words[1], settings)
    script = SCRIPTS.get(name)
    program = "python3" if name.endswith(".py") else "bash"
    if script is None or words[0] not in {program, program.removesuffix("3")}:
        raise _refused(f"{words[0]} {words[1]} is not on the list")
    _check_places(words[2:], settings)
    return script(words[2:])


def _script_name(word: str, settings: Settings) -> str:
    path = Path(word)
    inside = path if path.is_absolute() else settings.skill_dir / path
    if ".." in path.parts or inside.parent != settings.skill_dir / "scripts":
        raise _refused(f"{word} is none of the skill's scripts")
    return path.name


def _check_places(words: Sequence[str], settings: Settings) -> None:
    """Refuse paths that leave workspace, skill and data roots."""
    roots = (settings.workspace, settings.skill_dir, *settings.data_roots)
    for word in words:
        value = word.partition("=")[2] if word.startswith("--") and "=" in word else word
        _refuse_climbing(word)
        if value.startswith("~"):
            raise _refused(f"{value} means another folder to each user; write it out")
        if value.startswith("/") and not any(Path(value).is_relative_to(root) for root in roots):
            raise _refused(f"{value} lies outside the workspace, the skill and the data roots")


def _refuse_climbing(word: str) -> None:
    if ".." in word.replace("=", "/").replace(",", "/").split("/"):
        raise _refused(f"{word} climbs out of its folder with '..'")


def _given(parsed: argparse.Namespace, **names: str) -> Arguments:
    """Return the parsed options as a tool's arguments, without those that were not given."""
    values = {names.get(key, key): value for key, value in vars(parsed).items()}
    # Not by equality: 0 equals False, and a caller who asks for 0 lines has to hear that it is too few.
    return {key: value for key, value in values.items() if value is not None and value is not False}


def _parsed(parser: _Parser, words: Sequence[str]) -> argparse.Namespace:
    try:
        return parser.parse_args(words)
    except argparse.ArgumentError as error:
        parser.error(str(error))


@cache
def _preflight_line() -> _Parser:
    parser = _Parser("bash scripts/preflight_credentials.sh")
    parser.add_argument("--workflow", metavar="FILE")
    parser.add_argument("--no-probe", action="store_true")
    parser.add_argument("--refresh", "--overwrite", action="store_true", dest="refresh")
    parser.add_argument("--run-id", metavar="R")
    return parser


def _preflight(words: Sequence[str]) -> tuple[str, Arguments]:
    return "preflight", _given(_parsed(_preflight_line(), words))


@cache
def _guard_line() -> _Parser:
    parser = _Parser("python3 scripts/pre_submit_guard.py")
    parser.add_argument("--workflow", metavar="FILE", required=True)
    parser.add_argument("--set-string", metavar="k=v", nargs="+", dest="values")
    parser.add_argument("--run-id", metavar="R")
    return parser


def _guard(words: Sequence[str]) -> tuple[str, Arguments]:
    parsed = _given(_parsed(_guard_line(), words))
    if pairs := parsed.get("values"):
        parsed["values"] = dict(_pairs(pairs))
    return "check_submission", parsed


def _pairs(words: object) -> Mapping[str, JsonValue]:
    pairs: dict[str, JsonValue] = {}
    for word in words if isinstance(words, list) else []:
        key, sign, value = str(word).partition("=")
        if not sign or not key:
            raise InputError(
                f"{word!r} is no pair",
                expected="name=value",
                remedy="write each value as name=value",
                code="input.pair",
            )
        pairs[key] = value
    return pairs


@cache
def _demo_line() -> _Parser:
    parser = _Parser("bash scripts/prepare_demo_assets.sh")
    parser.add_argument("directory", nargs="?", metavar="DIR")
    parser.add_argument("--run-id", metavar="R")
    return parser


def _demo(words: Sequence[str]) -> tuple[str, Arguments]:
    return "prepare_demo", _given(_parsed(_demo_line(), words))


@cache
def _stage_line() -> _Parser:
    parser = _Parser("bash scripts/stage_run_artifacts.sh")
    for option in ("--storage-url", "--dataset", "--run-id", "--video"):
        parser.add_argument(option, required=True)
    parser.add_argument("--run-local-dir", metavar="P")
    parser.add_argument("--input-local-video", metavar="F")
    return parser


def _stage(words: Sequence[str]) -> tuple[str, Arguments]:
    return "stage_artifacts", _given(_parsed(_stage_line(), words))


@cache
def _render_line() -> _Parser:
    parser = _Parser("bash scripts/render_side_by_side.sh")
    for option in ("--run-local-dir", "--dataset", "--video"):
        parser.add_argument(option, required=True)
    parser.add_argument("--aug-index", type=int, default=0)
    return parser


def _render(words: Sequence[str]) -> tuple[str, Arguments]:
    return "render_compare", vars(_parsed(_render_line(), words))


@cache
def _messages_line() -> _Parser:
    parser = _Parser("python3 scripts/check_message.py")
    parser.add_argument("--run-id", metavar="R")
    parser.add_argument("bubbles", nargs="+", metavar="BUBBLE")
    return parser


def _messages(words: Sequence[str]) -> tuple[str, Arguments]:
    parsed = _parsed(_messages_line(), words)
    bubbles: list[JsonValue] = [
        {"kind": "media" if bubble.startswith(MEDIA_PREFIX) else "text", "body": bubble}
        for bubble in parsed.bubbles
    ]
    return "check_message", {"messages": bubbles, **({"run_id": parsed.run_id} if parsed.run_id else {})}


SCRIPTS: Mapping[str, Callable[[Sequence[str]], tuple[str, Arguments]]] = {
    "preflight_credentials.sh": _preflight,
    "pre_submit_guard.py": _guard,
    "prepare_demo_assets.sh": _demo,
    "stage_run_artifacts.sh": _stage,
    "render_side_by_side.sh": _render,
    "check_message.py": _messages,
}


def _osmo(words: list[str], context: Context) -> tuple[str, Arguments]:
    """Return the guarded tool behind an `osmo` command line."""
    verb = " ".join(words[:2])
    known = OSMO_VERBS.get(verb)
    if known is None:
        raise _refused(f"`osmo {verb}` is not among the verbs that are known: {', '.join(OSMO_VERBS)}")
    for word in words:
        _refuse_climbing(word)
    return known(words[2:], context)


@cache
def _submit_line() -> _Parser:
    parser = _Parser("osmo workflow submit")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--pool", "-p")
    parser.add_argument("--set-string", nargs="+", required=True, metavar="k=v")
    parser.add_argument("--dry-run", action="store_true")
    return parser


def _osmo_submit(words: Sequence[str], context: Context) -> tuple[str, Arguments]:
    parsed = _parsed(_submit_line(), words)
    values = dict(_pairs(parsed.set_string))
    run = _run_in(words, context)
    _check_workflow(parsed.file, run, context.settings)
    return "submit", {
        "run_id": values.get("run_id") or (run.run_id if run else ""),
        "values": values,
        "dry_run": parsed.dry_run,
        **({"pool": parsed.pool} if parsed.pool else {}),
    }


def _check_workflow(file: str, run: RunRecord | None, settings: Settings) -> None:
    """Refuse a file that isn't the workflow of the run: what is submitted is what was checked."""
    path = (settings.skill_dir / file).resolve()
    if run is None or path == settings.skill_dir / run.workflow_file:
        return
    if path.parent == settings.workflows_dir and canonical_name(path.stem) == run.flow:
        return
    raise InputError(
        f"{file} is not the workflow of {run.run_id}",
        expected=run.workflow_file,
        remedy="submit that file, or begin another run with select_flow",
        code="input.other_flow",
        first=("submit", {"run_id": run.run_id}),
    )


def _run_of(workflow_id: str, context: Context) -> str:
    run_id = context.journal.run_of_workflow(workflow_id)
    if run_id is not None:
        return run_id
    raise InputError(
        f"{workflow_id} belongs to no run of this workspace",
        expected="a workflow that was submitted here",
        remedy="`vda runs` lists the runs; poll takes a run_id",
        code="input.unknown_workflow",
    )


def _osmo_query(words: Sequence[str], context: Context) -> tuple[str, Arguments]:
    parser = _Parser("osmo workflow query")
    parser.add_argument("workflow_id")
    _format_option(parser)
    return "poll", {"run_id": _run_of(_parsed(parser, words).workflow_id, context)}


def _osmo_logs(words: Sequence[str], context: Context) -> tuple[str, Arguments]:
    parser = _Parser("osmo workflow logs")
    parser.add_argument("workflow_id")
    parser.add_argument("--task", "-t")
    parser.add_argument("-n", type=int, dest="tail")
    parsed = _given(_parsed(parser, words))
    run_id = _run_of(str(parsed.pop("workflow_id")), context)
    return "logs", {**parsed, "run_id": run_id}


def _osmo_cancel(words: Sequence[str], context: Context) -> tuple[str, Arguments]:
    parser = _Parser("osmo workflow cancel")
    parser.add_argument("workflow_id")
    return "cancel", {"run_id": _run_of(_parsed(parser, words).workflow_id, context)}


def _osmo_list(words: Sequence[str], _context: Context) -> tuple[str, Arguments]:
    parser = _Parser("osmo data list")
    parser.add_argument("url")
    parser.add_argument("--no-pager", action="store_true")
    parser.add_argument("-r", action="store_true")
    return "inspect_engine", {"what": "storage", "url": _parsed(parser, words).url}


def _inspect(verb: str, what: str) -> Callable[[Sequence[str], Context], tuple[str, Arguments]]:
    def meaning(words: Sequence[str], _context: Context) -> tuple[str, Arguments]:
        parser = _Parser(f"osmo {verb}")
        _format_option(parser)
        if verb == "config show":
            parser.add_argument("kind", choices=["POD_TEMPLATE"])
        _parsed(parser, words)
        return "inspect_engine", {"what": what}

    return meaning


def _format_option(parser: _Parser) -> None:
    parser.add_argument("--format-type", "-t", choices=["json", "text"])


def _instead(tool: str, why: str) -> Callable[[Sequence[str], Context], tuple[str, Arguments]]:
    def meaning(_words: Sequence[str], _context: Context) -> tuple[str, Arguments]:
        raise PolicyDenied(
            why,
            expected=f"the tool {tool}, which verifies what it moves",
            remedy=f'call {tool} with {{"run_id": "run-…"}}',
            code="denied.run_script",
        )

    return meaning


OSMO_VERBS: Mapping[str, Callable[[Sequence[str], Context], tuple[str, Arguments]]] = {
    "workflow submit": _osmo_submit,
    "workflow query": _osmo_query,
    "workflow logs": _osmo_logs,
    "workflow cancel": _osmo_cancel,
    "data list": _osmo_list,
    "data download": _instead("stage_artifacts", "A run's files are brought here by stage_artifacts"),
    "data upload": _instead("prepare_dataset", "Clips are put into the storage by prepare_dataset"),
    "pool list": _inspect("pool list", "pools"),
    "credential list": _inspect("credential list", "credentials"),
    "config show": _inspect("config show", "pod_templates"),
}
