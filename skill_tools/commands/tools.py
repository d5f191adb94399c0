"""`vda tools`, `call` and `script`: the tools themselves, by name or by a documented command line."""

from __future__ import annotations

import argparse
import json
import sys

from skill_tools.commands.answer import finish, print_messages
from skill_tools.commands.command import Command, add_json, settings_of
from skill_tools.errors import InputError


def _add_tools(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tool", nargs="?", metavar="TOOL")
    add_json(parser)
    parser.add_argument(
        "--format",
        choices=["mcp", "openai", "openai-strict", "anthropic", "json"],
        help="as JSON, described as one of these takes it",
    )


def _add_call(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tool", metavar="TOOL")
    parser.add_argument("arguments", nargs="?", default="{}", metavar="JSON", help="'-' reads standard input")
    parser.set_defaults(json=True)


def _add_script(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "line", nargs=argparse.REMAINDER, metavar="LINE", help="one quoted line, or its words"
    )


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
    return finish(call(given.tool, arguments, settings=settings_of(given)), as_json=True)


def _script(given: argparse.Namespace) -> int:
    from skill_tools.dispatch import run_script

    words = [word for word in given.line if word != "--"] if given.line[:1] == ["--"] else given.line
    line = words[0] if len(words) == 1 else words
    result = run_script(line, settings=settings_of(given))
    if result.ok:
        print_messages(result)
    if result.status == "needs_input" and result.problem:
        print(f"USER_INPUT_REQUIRED: {result.problem.message}")
    return finish(result, as_json=False)


TOOLS = Command(
    name="tools",
    summary="List the tools, or print the schemas of one.",
    examples=("vda tools select_flow",),
    run=_tools,
    add_arguments=_add_tools,
)
CALL = Command(
    name="call",
    summary="Call a tool; standard output is its result as JSON.",
    examples=("""vda call select_flow '{"clips": ["clip.mp4"]}'""",),
    run=_call,
    add_arguments=_add_call,
)
SCRIPT = Command(
    name="script",
    summary="Do what a documented command line asks for, without a shell.",
    examples=('vda script "bash scripts/preflight_credentials.sh --no-probe"',),
    run=_script,
    add_arguments=_add_script,
)
