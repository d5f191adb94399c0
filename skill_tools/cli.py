"""`vda …`: the skill for people at a terminal, and for scripts behind a pipe."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import NoReturn

from skill_tools import __version__
from skill_tools.commands.answer import complain
from skill_tools.commands.command import Command
from skill_tools.commands.cookbook import COOKBOOK
from skill_tools.commands.doctor import DOCTOR
from skill_tools.commands.install import INSTALL
from skill_tools.commands.mcp import MCP
from skill_tools.commands.policy import AUDIT, POLICY, REPLAY
from skill_tools.commands.preview import PREVIEW
from skill_tools.commands.runs import CANCEL, LOGS, RUNS, SHOW
from skill_tools.commands.tools import CALL, SCRIPT, TOOLS
from skill_tools.commands.walk import INTERRUPTED, RESUME, RUN
from skill_tools.ending import end_quickly
from skill_tools.errors import EXIT_CODES, VdaError

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

# In the order in which the help names them.
COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        command.name: command
        for command in (
            RUN,
            RUNS,
            SHOW,
            RESUME,
            CANCEL,
            LOGS,
            AUDIT,
            REPLAY,
            PREVIEW,
            DOCTOR,
            TOOLS,
            CALL,
            SCRIPT,
            POLICY,
            COOKBOOK,
            INSTALL,
            MCP,
        )
    }
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `vda` and return its exit code."""
    end_quickly()
    parser = command_line()
    given = parser.parse_args(arguments)
    if given.command is None:
        parser.print_help()
        return 0
    try:
        return COMMANDS[given.command].run(given)
    except VdaError as error:
        if getattr(given, "json", False):
            from skill_tools.registry import failed

            print(failed(given.command, error).model_dump_json(indent=2))
        complain(error.message, error.expected, error.remedy)
        return EXIT_CODES.get(error.family, 1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone; a second complaint at exit would reach nobody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def command_line() -> argparse.ArgumentParser:
    """Return the parser of everything that `vda` takes; `command` is the name of what was asked for."""
    parser = _Parser(
        prog="vda",
        description="Make photometric variants of clips, label both, and show them side by side.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"vda {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command in COMMANDS.values():
        below = commands.add_parser(
            command.name,
            help=command.summary,
            description=command.description,
            epilog=command.epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        below.add_argument(
            "--workspace", metavar="DIR", help="where everything is left (default: the current folder)"
        )
        command.add_arguments(below)
    return parser


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


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        sys.exit(main())
