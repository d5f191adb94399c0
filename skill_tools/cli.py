"""`vda …`: the skill for people at a terminal, and for scripts behind a pipe."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from skill_tools import __version__, cookbook_command
from skill_tools.errors import EXIT_CODES, InputError, VdaError
from skill_tools.preview_command import add_options as add_preview_options
from skill_tools.preview_command import arguments_of as preview_arguments

if TYPE_CHECKING:
    from skill_tools.settings import Settings
    from skill_tools.tool import ToolResult
    from skill_tools.tools.context import Context

INTERRUPTED = 130

EXAMPLES = """\
examples:
  vda run clip.mp4                              one variant, sampled from the cookbook, labelled
  vda run clips/ --variants 3 --flow e2e        three of each clip; originals labelled too
  vda run clip.mp4 --set weather=rain --set time_of_day=evening
  vda run *.mp4 --json > result.json            the result as one JSON object
  vda preview clip.mp4 --grid weather           look at values before a run
  vda runs                                      what was run here
  vda resume run-1a2b3c4d                       go on where a run stopped
  vda call preflight '{"run_id": "run-1a2b3c4d"}'

exit codes: 0 done or running, 2 bad input, 3 needs you, 4 denied by policy, 5 engine, 6 artifact
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `vda` and return its exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.command is None:
        parser.print_help()
        return 0
    try:
        return COMMANDS[given.command](given)
    except VdaError as error:
        if getattr(given, "json", False):
            from skill_tools.registry import failed

            print(failed(given.command, error).model_dump_json(indent=2))
        return _say_error(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone; a second complaint at exit would reach nobody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _say_error(error: VdaError) -> int:
    _complain(error.message, error.expected, error.remedy)
    return EXIT_CODES.get(error.family, 1)


def _complain(message: str, expected: str, remedy: str) -> None:
    """Say on standard error what happened, what was expected, what to do."""
    print(f"error: {message}", file=sys.stderr)
    for label, text in (("expected", expected), ("do", remedy)):
        if text:
            print(f"  {label}: {text}", file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    """A parser that names the nearest command or option where one is mistyped."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and leave with 2."""
        from skill_tools.tools.nearest import nearest

        wrong = re.search(r"invalid choice: '(.*?)'|unrecognized arguments: ([^\s=]+)", message)
        near = nearest(wrong[1] or wrong[2] or "", self.words()) if wrong else ""
        hint = f"  {near}\n" if near else ""
        self.exit(2, f"error: {message}\n{hint}Try `{self.prog} --help`.\n")

    def words(self) -> list[str]:
        """Return all that can stand on a command line: commands, options and named choices."""
        known: list[str] = []
        for action in self._actions:
            known += [*action.option_strings, *map(str, action.choices or ())]
            for parser in action.choices.values() if isinstance(action.choices, dict) else ():
                known += parser.words()
        return known


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="vda",
        description="Make photometric variants of clips, label both, and show them side by side.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"vda {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_run(commands)
    _add_run_commands(commands)
    _add_tool_commands(commands)
    return parser


def _add(commands: Any, name: str, text: str, example: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=text,
        epilog=f"example:\n  {example}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--workspace", metavar="DIR", help="where everything is left (default: the current folder)"
    )
    return parser


def _add_run(commands: Any) -> None:
    run = _add(
        commands,
        "run",
        "Make variants of clips, from choosing the flow to the report.",
        "vda run clip.mp4 --variants 2 --set weather=rain",
    )
    run.add_argument(
        "clips", nargs="*", metavar="CLIP", help="files, folders or patterns; none: the demo data set"
    )
    run.add_argument("--flow", help="auto_labeling, augmentation_and_al (default), e2e, e2e_super_resolution")
    run.add_argument("--cookbook", help="the scene: city_traffic (default), one of `vda cookbook list`")
    run.add_argument("--variants", type=int, metavar="N", help="variants of each clip")
    run.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="variables",
        help="fix a variable, such as weather=rain; may be repeated",
    )
    run.add_argument("--dataset", metavar="NAME", help="a name for the data set")
    run.add_argument("--dataset-url", metavar="URL", help="a data set that is in a storage already")
    run.add_argument("--storage-url", metavar="URL", help="where the clips are put for OSMO (s3://bucket, …)")
    run.add_argument("--engine", choices=["auto", "local", "osmo"], help="where the run goes (default: auto)")
    run.add_argument("--request", metavar="TEXT", help="what you want in your own words; picks the flow")
    run.add_argument("--vlm-url", metavar="URL", help="a VLM endpoint of your own")
    run.add_argument("--llm-url", metavar="URL", help="an LLM endpoint of your own")
    _add_output_options(run)


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="standard output is one JSON object, the result")
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress")


def _add_run_commands(commands: Any) -> None:
    runs = _add(commands, "runs", "List the runs of this workspace, newest first.", "vda runs --json")
    runs.add_argument("--json", action="store_true", help="as JSON")
    for name, text in (
        ("show", "Show a run: what was asked for, what was done, what comes next."),
        ("resume", "Go on with a run where it stopped, also after a crash."),
        ("cancel", "End a run."),
        ("logs", "Show a run's log."),
        ("audit", "Show the decisions of the policy in a run, in order."),
        ("replay", "Make every decision of a run again from its journal, and compare."),
    ):
        parser = _add(commands, name, text, f"vda {name} run-1a2b3c4d")
        if name in {"audit", "replay"}:
            help_text = "a run; without it, the calls that belong to none"
            parser.add_argument("run_id", metavar="RUN", nargs="?", help=help_text)
        else:
            parser.add_argument("run_id", metavar="RUN")
        if name in {"show", "audit", "replay"}:
            parser.add_argument("--json", action="store_true", help="as JSON")
        else:
            _add_output_options(parser)
        if name == "logs":
            parser.add_argument("--task", metavar="T", help="one task's log")
            parser.add_argument("-n", "--tail", type=int, metavar="N", help="the newest N lines")


def _add_tool_commands(commands: Any) -> None:
    add_preview_options(
        _add(
            commands, "preview", "Look at a variant before a run.", "vda preview clip.mp4 --set weather=rain"
        )
    )
    doctor = _add(commands, "doctor", "Check what this machine has for both engines.", "vda doctor")
    doctor.add_argument("--json", action="store_true", help="as JSON")
    tools = _add(commands, "tools", "List the tools, or print the schemas of one.", "vda tools select_flow")
    tools.add_argument("tool", nargs="?", metavar="TOOL")
    tools.add_argument("--json", action="store_true", help="as JSON")
    tools.add_argument(
        "--format",
        choices=["mcp", "openai", "openai-strict", "anthropic", "json"],
        help="as JSON, described as one of these takes it",
    )
    call = _add(
        commands,
        "call",
        "Call a tool; standard output is its result as JSON.",
        """vda call select_flow '{"clips": ["clip.mp4"]}'""",
    )
    call.add_argument("tool", metavar="TOOL")
    call.add_argument("arguments", nargs="?", default="{}", metavar="JSON", help="'-' reads standard input")
    call.set_defaults(json=True)
    script = _add(
        commands,
        "script",
        "Do what a documented command line asks for, without a shell.",
        'vda script "bash scripts/preflight_credentials.sh --no-probe"',
    )
    script.add_argument(
        "line", nargs=argparse.REMAINDER, metavar="LINE", help="one quoted line, or its words"
    )
    policy = _add(
        commands, "policy", "Explain the rules of the policy, or one of them.", "vda policy ETA-FIRST"
    )
    policy.add_argument("rule", nargs="?", metavar="ID")
    cookbook = _add(commands, "cookbook", cookbook_command.SUMMARY, "vda cookbook new loading_dock")
    cookbook.description, cookbook.epilog = cookbook_command.ABOUT, cookbook_command.EXAMPLES
    cookbook_command.add_arguments(cookbook)
    install = _add(
        commands,
        "install",
        "Put the skill where an agent looks for skills.",
        "vda install --agent claude --user",
    )
    install.add_argument(
        "--agent", required=True, choices=["claude", "codex", "cursor", "gemini", "generic"], help="for whom"
    )
    where = install.add_mutually_exclusive_group()
    where.add_argument("--project", action="store_true", help="for the project in the workspace (default)")
    where.add_argument("--user", action="store_true", help="for all projects of this user")
    install.add_argument("--link", action="store_true", help="a link to this checkout instead of a copy")
    install.add_argument("--undo", action="store_true", help="take it away again")
    install.add_argument("--dry-run", action="store_true", help="say what would be done; change nothing")
    server = _add(commands, "mcp", "Serve the tools over MCP, on standard input and output.", "vda mcp")
    server.add_argument("--http", type=int, metavar="PORT", help="over streamable HTTP; 0: any free port")
    server.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="with --http; any but loopback asks for a bearer token in VDA_MCP_TOKEN",
    )
    server.add_argument("--read-only", action="store_true", help="only the tools that change nothing")


def _settings(given: argparse.Namespace) -> Settings:
    from skill_tools.settings import Settings

    return Settings.read(workspace=given.workspace, engine=getattr(given, "engine", None))


def _run(given: argparse.Namespace) -> int:
    from skill_tools.walk import walk

    arguments: dict[str, Any] = {
        "clips": given.clips,
        "variables": dict(_pair(pair) for pair in given.variables),
        "flow": given.flow,
        "cookbook": given.cookbook,
        "variants": given.variants,
        "dataset": given.dataset,
        "dataset_url": given.dataset_url,
        "storage_url": given.storage_url,
        "engine": given.engine,
        "request": given.request or "",
        "vlm_url": given.vlm_url,
        "llm_url": given.llm_url,
    }
    return _walked(given, lambda **road: walk(arguments, **road))


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name or not value:
        raise InputError(
            f"--set {text} is no pair",
            expected="NAME=VALUE, such as weather=rain",
            remedy="write the variable's name, '=' and its value",
            code="input.pair",
        )
    return name.strip(), value.strip()


def _resume(given: argparse.Namespace) -> int:
    from skill_tools.walk import resume

    return _walked(given, lambda **road: resume(given.run_id, **road))


def _walked(given: argparse.Namespace, walk: Any) -> int:
    """Walk with progress; an interrupt cancels the run before the process leaves."""
    from skill_tools.terminal import ProgressLine
    from skill_tools.tools.run import SILENT_STEPS

    settings = _settings(given)
    seen: list[ToolResult] = []

    def on_result(result: ToolResult) -> None:
        seen.append(result)
        if not given.json and result.ok and result.tool not in SILENT_STEPS:
            _print_messages(result)

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with ProgressLine(quiet=given.quiet) as progress:
            result = walk(settings=settings, on_result=on_result, on_note=progress)
    except KeyboardInterrupt:
        return _cancelled(seen, settings, as_json=given.json)
    if result.ok and not given.json:
        _print_messages(result)
    return _finish(result, as_json=given.json)


def _cancelled(seen: Sequence[ToolResult], settings: Settings, *, as_json: bool) -> int:
    from skill_tools.registry import call

    run_id = next((result.run_id for result in seen if result.run_id), None)
    if run_id is None:
        print("interrupted; nothing was begun", file=sys.stderr)
        return INTERRUPTED
    # A second interrupt would leave the run going: it is held back until the run has ended.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(f"interrupted; ending {run_id} …", file=sys.stderr)
    result = call("cancel", {"run_id": run_id}, settings=settings)
    for message in result.messages:
        print(message.body, file=sys.stderr)
    if as_json:
        print(result.model_dump_json(indent=2))
    return INTERRUPTED


def _print_messages(result: ToolResult) -> None:
    for message in result.messages:
        print(message.body, flush=True)


def _finish(result: ToolResult, *, as_json: bool) -> int:
    """Print the result as JSON, or its problem in words, and return the exit code."""
    if as_json:
        print(result.model_dump_json(indent=2))
    if result.problem is not None:
        _complain(result.problem.message, result.problem.expected, result.problem.remedy)
    return result.exit_code


def _runs(given: argparse.Namespace) -> int:
    from datetime import datetime

    from skill_tools.registry import opened

    with opened(_settings(given)) as context:
        rows = [
            {
                "run_id": run.run_id,
                "created": datetime.fromtimestamp(run.created).astimezone().isoformat(timespec="seconds"),
                "flow": run.flow,
                "engine": run.engine,
                "clips": len(run.clips) or run.dataset_url or "demo",
                "state": _state(run.run_id, context),
            }
            for run in context.journal.runs(limit=1_000)
        ]
    if given.json:
        print(json.dumps(rows, indent=2))
    for row in [] if given.json else rows:
        print("  ".join(str(value) for value in row.values()))
    if not rows and not given.json:
        print("There are no runs here yet. `vda run CLIP` begins one.")
    return 0


def _state(run_id: str, context: Context) -> str:
    """Return where a run stands, from the journal alone."""
    passed = context.journal.passed_by_tool(run_id)
    if "report" in passed:
        return "complete"
    calls = context.journal.calls(run_id)
    last = calls[-1].result if calls else None
    if last is not None and last.problem is not None:
        return f"stopped at {last.tool}: {last.problem.code}"
    return f"after {last.tool}" if last else "begun"


def _show(given: argparse.Namespace) -> int:
    from skill_tools.registry import opened
    from skill_tools.tools.walking import next_step

    with opened(_settings(given)) as context:
        run = context.journal.run(given.run_id)
        calls = context.journal.calls(run.run_id)
        state = _state(run.run_id, context)
        step = None if state == "complete" else next_step(run.run_id, context)
        reported = context.journal.passed(run.run_id, "report")
    if given.json:
        shown = {
            "run": run.model_dump(mode="json"),
            "state": state,
            "calls": [{"at": call.at, "tool": call.tool, "status": call.result.status} for call in calls],
            "next": step.model_dump(mode="json") if step else None,
            "result": reported.data if reported else None,
        }
        print(json.dumps(shown, indent=2))
        return 0
    print(f"{run.run_id}  {run.flow}  {run.engine}  {state}")
    print(f"  cookbook {run.cookbook}, variants {run.n_augmentations}, fixed {run.variables or 'nothing'}")
    for clip in run.clips:
        print(f"  clip {clip}")
    for call in calls:
        print(f"  {call.tool}: {call.result.status}")
    if step:
        print(f"  next: vda call {step.tool} '{json.dumps(step.arguments)}'")
    if reported:
        print(f"  report: {reported.data['report']}")
    return 0


def _audit(given: argparse.Namespace) -> int:
    from datetime import datetime

    from skill_tools.registry import opened

    with opened(_settings(given)) as context:
        if given.run_id:
            context.journal.run(given.run_id)
        decisions = context.journal.decisions(given.run_id)
    if given.json:
        print(json.dumps([one.model_dump(mode="json") for one in decisions], indent=2))
    for one in [] if given.json else decisions:
        when = datetime.fromtimestamp(one.at).astimezone().isoformat(timespec="seconds")
        print(f"{when}  {one.outcome:4} {one.rule:22} {one.tool:16} {one.reason}")
        if one.corrected:
            print(f"{'':33}vda call {one.corrected.tool} '{json.dumps(one.corrected.arguments)}'")
    if not decisions and not given.json:
        print("no rule did more than nod")
    return 0


def _replay(given: argparse.Namespace) -> int:
    from skill_tools.registry import opened
    from skill_tools.replay import replay

    with opened(_settings(given)) as context:
        found = replay(given.run_id, context.journal)
    if given.json:
        print(json.dumps({**found.model_dump(mode="json"), "same": found.same}, indent=2))
    else:
        others = f", {found.other_policy} of them under another policy" if found.other_policy else ""
        about = found.run_id or "of no run"
        print(f"{about}: {found.calls} calls, {found.decisions} decisions{others}; policy {found.policy}")
        for one in found.different:
            print(f"  call {one.call}, {one.tool}\n    then {one.then}\n    now  {one.now}")
        print("every decision is the same" if found.same else "not every decision is the same")
    return 0 if found.same else EXIT_CODES["artifact"]


def _preview(given: argparse.Namespace) -> int:
    variables = dict(_pair(pair) for pair in given.variables)
    return _called(given, "preview", preview_arguments(given, variables))


def _cancel(given: argparse.Namespace) -> int:
    return _called(given, "cancel", {"run_id": given.run_id})


def _logs(given: argparse.Namespace) -> int:
    arguments = {"run_id": given.run_id, "task": given.task, "tail": given.tail}
    from skill_tools.registry import call

    known = {name: value for name, value in arguments.items() if value is not None}
    result = call("logs", known, settings=_settings(given))
    if result.ok and not given.json:
        lines = result.data["lines"]
        print("\n".join(map(str, lines if isinstance(lines, list) else [])))
    return _finish(result, as_json=given.json)


def _called(given: argparse.Namespace, tool: str, arguments: dict[str, Any]) -> int:
    from skill_tools.registry import call

    result = call(tool, arguments, settings=_settings(given))
    if result.ok and not given.json:
        _print_messages(result)
    return _finish(result, as_json=given.json)


def _call(given: argparse.Namespace) -> int:
    from skill_tools.registry import call

    text = sys.stdin.read() if given.arguments == "-" else given.arguments
    try:
        arguments = json.loads(text)
    except ValueError as error:
        raise InputError(
            f"The arguments are no JSON: {error}",
            expected=f"a JSON object, as `vda tools {given.tool}` describes it",
            remedy="quote the whole object for your shell, or send it on standard input with '-'",
            code="input.json",
        ) from error
    if not isinstance(arguments, dict):
        raise InputError("The arguments are no JSON object", expected="{…}", code="input.json")
    return _finish(call(given.tool, arguments, settings=_settings(given)), as_json=True)


def _script(given: argparse.Namespace) -> int:
    from skill_tools.dispatch import run_script

    words = [word for word in given.line if word != "--"] if given.line[:1] == ["--"] else given.line
    line = words[0] if len(words) == 1 else words
    result = run_script(line, settings=_settings(given))
    if result.ok:
        _print_messages(result)
    if result.status == "needs_input" and result.problem:
        print(f"USER_INPUT_REQUIRED: {result.problem.message}")
    return _finish(result, as_json=False)


def _tools(given: argparse.Namespace) -> int:
    from skill_tools.registry import TOOLS
    from skill_tools.schema_views import VIEWS

    view = VIEWS[given.format or "json"]
    if given.tool is None:
        if given.json or given.format:
            print(json.dumps([view(tool) for tool in TOOLS.values()], indent=2))
            return 0
        for tool in TOOLS.values():
            print(f"{tool.name:20} {tool.summary}")
        return 0
    if given.tool not in TOOLS:
        raise InputError(
            f"There is no tool {given.tool!r}", expected=", ".join(TOOLS), code="input.unknown_tool"
        )
    print(json.dumps(view(TOOLS[given.tool]), indent=2))
    return 0


def _install(given: argparse.Namespace) -> int:
    from skill_tools import install

    settings = _settings(given)
    place = install.skill_place(given.agent, Path.home() if given.user else settings.workspace)
    if given.undo:
        done = install.uninstall(place, dry_run=given.dry_run)
    else:
        done = install.install(place, skill_dir=settings.skill_dir, link=given.link, dry_run=given.dry_run)
    print(f"{'would be ' if given.dry_run else ''}{done.action}: {done.path} ({done.how})")
    return 0


def _mcp(given: argparse.Namespace) -> int:
    """Serve until the client has gone; standard output is the protocol's."""
    settings = _settings(given)
    try:
        from skill_tools import mcp_server
    except ModuleNotFoundError as error:
        raise InputError(
            f"The MCP server needs the package {error.name!r}",
            expected="the extra [mcp]",
            remedy=f'pip install "physical-ai-video-data-augmentation[mcp]=={__version__}"',
            code="input.extra",
        ) from error
    if given.http is None:
        mcp_server.serve_stdio(settings, read_only=given.read_only)
        return 0
    token = settings.environ.get(mcp_server.TOKEN_VARIABLE)
    mcp_server.serve_http(settings, port=given.http, host=given.host, token=token, read_only=given.read_only)
    return 0


def _doctor(given: argparse.Namespace) -> int:
    from skill_tools.doctor import examine

    checks = examine(_settings(given))
    if given.json:
        print(json.dumps([check.model_dump(mode="json") for check in checks], indent=2))
    for check in [] if given.json else checks:
        print(f"{check.status:8} {check.name:24} {check.detail}")
        if check.remedy and check.status != "ok":
            print(f"{'':33} {check.remedy}")
    return EXIT_CODES["engine"] if any(check.status == "failed" for check in checks) else 0


def _policy(given: argparse.Namespace) -> int:
    from skill_tools.policy.engine import EVERY_CALL, EVERY_OUTCOME, RULES, RUN_SCRIPT_GUARDS
    from skill_tools.registry import TOOLS

    if given.rule is not None and given.rule not in RULES:
        raise InputError(
            f"There is no rule {given.rule!r}", expected=", ".join(RULES), code="input.unknown_rule"
        )
    page = _settings(given).skill_dir / "references" / "policy.md"
    if given.rule and page.is_file():
        print(_section(page.read_text(encoding="utf-8"), given.rule))
        return 0
    for rule in RULES.values():
        if given.rule not in {None, rule.id}:
            continue
        where = [tool.name for tool in TOOLS.values() if rule.id in (*tool.guards, *tool.outcome_guards)]
        where = ["every tool"] if rule.id in {*EVERY_CALL, *EVERY_OUTCOME} else where
        where += ["run_script"] if rule.id in RUN_SCRIPT_GUARDS else []
        print(f"{rule.id:22} {rule.outcome:4} {rule.sentence}  [{', '.join(where)}]")
    return 0


def _section(page: str, rule: str) -> str:
    """Return a rule's section of the policy page as it reads at a terminal: no links, no fences."""
    section = re.split(r"^##+ ", page, flags=re.MULTILINE)
    text = next(part for part in section if part.startswith(f"{rule}\n"))
    return re.sub(r"\[(`\w+`)\]\(\S+\)|^```\w*\n", r"\1", text, flags=re.MULTILINE).strip()


COMMANDS = {
    "run": _run,
    "preview": _preview,
    "runs": _runs,
    "show": _show,
    "resume": _resume,
    "cancel": _cancel,
    "logs": _logs,
    "audit": _audit,
    "replay": _replay,
    "doctor": _doctor,
    "tools": _tools,
    "call": _call,
    "script": _script,
    "policy": _policy,
    "cookbook": cookbook_command.run,
    "install": _install,
    "mcp": _mcp,
}

if __name__ == "__main__":
    with suppress(BrokenPipeError):
        sys.exit(main())
