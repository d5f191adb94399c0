"""`vda cookbook …`: list the cookbooks, begin one of one's own, look one over."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from skill_tools.commands.command import Command, add_json, settings_of
from skill_tools.errors import EXIT_CODES, InputError, VdaError

if TYPE_CHECKING:
    from skill_tools.cookbooks.problem import Problem
    from skill_tools.cookbooks.shelf import Shelf

EXAMPLES = (
    "vda cookbook list",
    "vda cookbook new loading_dock --like warehouse     a copy to start from, in ./cookbooks/loading_dock",
    "vda cookbook check loading_dock                    every problem with file and line",
    "vda cookbook check path/to/folder --json",
    "vda run clip.mp4 --cookbook loading_dock",
)


def _add_cookbook(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="the skill's cookbooks and the workspace's")
    new = actions.add_parser("new", help="a cookbook of your own, as a copy of the scene most like it")
    new.add_argument("name", metavar="NAME", help="the scene's name: lower case with underscores")
    new.add_argument(
        "--like",
        default="city_traffic",
        metavar="SCENE",
        help="the one with the same camera: what moves and how far away it is (default: city_traffic)",
    )
    looking = actions.add_parser("check", help="look one over, or all of them")
    looking.add_argument("which", nargs="?", metavar="NAME|DIR", help="a cookbook or a folder (default: all)")
    looking.add_argument("--strict", action="store_true", help="warnings count as errors")
    for action in (listing, new, looking):
        # Not given here, they stay as they were given before the action.
        action.add_argument("--workspace", metavar="DIR", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        add_json(action)


def _cookbook(given: argparse.Namespace) -> int:
    from skill_tools.cookbooks.shelf import Shelf

    return ACTIONS[given.action](given, Shelf.of(settings_of(given)))


def _list(given: argparse.Namespace, shelf: Shelf) -> int:
    rows = [_row(name, shelf) for name in shelf.names()]
    if given.json:
        print(json.dumps(rows, indent=2))
        return 0
    for row in rows:
        detail = row["problem"] or ", ".join(
            f"{name} ({', '.join(values)})" for name, values in row["variables"].items()
        )
        print(f"{row['name']:20} {row['of']:9} {detail}")
    return 0


def _row(name: str, shelf: Shelf) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "of": "workspace" if shelf.is_own(name) else "skill", "problem": ""}
    try:
        cookbook = shelf.named(name)
    except VdaError as error:
        return {**row, "folder": None, "variables": {}, "problem": error.message}
    variables = {variable: list(weights) for variable, weights in cookbook.variables.items()}
    return {**row, "folder": str(cookbook.directory), "variables": variables}


def _new(given: argparse.Namespace, shelf: Shelf) -> int:
    from skill_tools.cookbooks.scaffold import scaffold

    folder = scaffold(given.name, like=given.like, shelf=shelf)
    if given.json:
        print(json.dumps({"name": given.name, "like": given.like, "folder": str(folder)}, indent=2))
        return 0
    print(f"{folder}: begun as a copy of {given.like}; its README says what to go through")
    print(f"  vda cookbook check {given.name}")
    print(f"  vda run CLIP --cookbook {given.name}")
    return 0


def _check(given: argparse.Namespace, shelf: Shelf) -> int:
    from skill_tools.cookbooks.check import check

    folders = _folders(given.which, shelf)
    found = {folder: check(folder, shelf.schemas_dir) for folder in folders}
    if given.json:
        rows = [
            {"cookbook": folder.name, "folder": str(folder), "problems": [asdict(one) for one in problems]}
            for folder, problems in found.items()
        ]
        print(json.dumps(rows, indent=2))
    for folder, problems in {} if given.json else found.items():
        for problem in problems:
            print(problem.told(_shown(folder)))
        print(f"{folder.name}: {_counted(problems)}")
    bad = [one for problems in found.values() for one in problems if given.strict or one.severity == "error"]
    return EXIT_CODES["input"] if bad else 0


def _folders(which: str | None, shelf: Shelf) -> list[Path]:
    """Return the folders that are meant: one by its name or its path, or all."""
    if which is None:
        return [shelf.folder(name) for name in shelf.names()]
    if which in shelf.names():
        return [shelf.folder(which)]
    path = Path(which).expanduser()
    if path.is_dir():
        return [path.resolve()]
    if path.parent != Path():
        raise InputError(
            f"There is no folder {which}",
            expected="a cookbook's folder or name",
            remedy="`vda cookbook list` names those that are known",
            code="input.unknown_cookbook",
        )
    return [shelf.folder(which)]


def _shown(folder: Path) -> Path:
    """Return a folder as it is shortest from here."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def _counted(problems: tuple[Problem, ...]) -> str:
    errors = sum(one.severity == "error" for one in problems)
    return f"{errors} error(s), {len(problems) - errors} warning(s)" if problems else "fine"


ACTIONS: Mapping[str, Callable[[argparse.Namespace, Shelf], int]] = MappingProxyType(
    {"list": _list, "new": _new, "check": _check}
)

COOKBOOK = Command(
    name="cookbook",
    summary="List the cookbooks, begin one of your own, or look one over.",
    examples=EXAMPLES,
    run=_cookbook,
    add_arguments=_add_cookbook,
    about="""\
A cookbook says for one scene what varies, what is labelled and what is asked. The skill brings five; yours
lie in <workspace>/cookbooks/NAME, where `vda run CLIP --cookbook NAME` finds them, for both engines.""",
    notes="""\
exit codes: 0 fine, 2 errors in the cookbook (with --strict: warnings too), or bad input
""",
)
