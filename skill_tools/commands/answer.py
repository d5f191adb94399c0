"""How a command answers: messages and JSON on standard output, complaints on standard error."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skill_tools.commands.command import settings_of

if TYPE_CHECKING:
    from skill_tools.tool import ToolResult


def called(given: argparse.Namespace, tool: str, arguments: Mapping[str, Any]) -> int:
    """Call a tool, answer with its result, and return the exit code."""
    from skill_tools.registry import call

    result = call(tool, arguments, settings=settings_of(given))
    if result.ok and not given.json:
        print_messages(result)
    return finish(result, as_json=given.json)


def print_messages(result: ToolResult) -> None:
    """Print what a result would have a person read, as it comes."""
    for message in result.messages:
        print(message.body, flush=True)


def finish(result: ToolResult, *, as_json: bool) -> int:
    """Print the result as JSON, or its problem in words, and return the exit code."""
    if as_json:
        print(result.model_dump_json(indent=2))
    if result.problem is not None:
        complain(result.problem.message, result.problem.expected, result.problem.remedy)
    return result.exit_code


def complain(message: str, expected: str, remedy: str) -> None:
    """Say on standard error what happened, what was expected, what to do."""
    print(f"error: {message}", file=sys.stderr)
    for label, text in (("expected", expected), ("do", remedy)):
        if text:
            print(f"  {label}: {text}", file=sys.stderr)
