"""What a command of `vda` is, and the options and settings that several of them share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skill_tools.errors import InputError

if TYPE_CHECKING:
    from skill_tools.settings import Settings


def no_arguments(_parser: argparse.ArgumentParser) -> None:
    """Add nothing: the command takes only what every command takes."""


@dataclass(frozen=True)
class Command:
    """A command: how its help reads, what it takes, and what it runs."""

    name: str
    summary: str
    examples: tuple[str, ...]
    run: Callable[[argparse.Namespace], int]
    """Does what was asked for and returns the exit code."""
    add_arguments: Callable[[argparse.ArgumentParser], None] = no_arguments
    about: str = ""
    """What its help says behind the summary."""
    notes: str = ""
    """What its help says behind the examples."""

    @property
    def description(self) -> str:
        """What its help begins with."""
        return f"{self.summary}\n\n{self.about}".strip()

    @property
    def epilog(self) -> str:
        """What its help ends with."""
        examples = "".join(f"  {line}\n" for line in self.examples)
        return f"example:\n{examples}" + (f"\n{self.notes}" if self.notes else "")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Let a command that only tells something tell it as JSON."""
    parser.add_argument("--json", action="store_true", help="as JSON")


def add_result_json(parser: argparse.ArgumentParser) -> None:
    """Let a command that calls a tool print the tool's result and nothing else."""
    parser.add_argument("--json", action="store_true", help="standard output is one JSON object, the result")


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Let a command that takes a while be silent about how far it is."""
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress")


def add_variables(parser: argparse.ArgumentParser, text: str) -> None:
    """Add `--set NAME=VALUE`, which `variables` reads."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="variables",
        help=f"{text}, such as weather=rain; may be repeated",
    )


def variables(given: argparse.Namespace) -> dict[str, str]:
    """Return the variables of `--set`, name to value.

    Raises:
        InputError: one of them is no pair.
    """
    return dict(_pair(text) for text in given.variables)


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


def settings_of(given: argparse.Namespace) -> Settings:
    """Return where a command works: its options before the environment."""
    from skill_tools.settings import Settings

    return Settings.read(workspace=given.workspace, engine=getattr(given, "engine", None))
