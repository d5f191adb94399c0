"""`vda install`: the skill where an agent looks for skills, and away from there again."""

from __future__ import annotations

import argparse
from pathlib import Path

from skill_tools.commands.command import Command, settings_of


def _add_install(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--agent", required=True, choices=["claude", "codex", "cursor", "gemini", "generic"], help="for whom"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--project", action="store_true", help="for the project in the workspace (default)")
    where.add_argument("--user", action="store_true", help="for all projects of this user")
    parser.add_argument("--link", action="store_true", help="a link to this checkout instead of a copy")
    parser.add_argument("--undo", action="store_true", help="take it away again")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done; change nothing")


def _install(given: argparse.Namespace) -> int:
    from skill_tools import install

    settings = settings_of(given)
    place = install.skill_place(given.agent, Path.home() if given.user else settings.workspace)
    if given.undo:
        done = install.uninstall(place, dry_run=given.dry_run)
    else:
        done = install.install(place, skill_dir=settings.skill_dir, link=given.link, dry_run=given.dry_run)
    print(f"{'would be ' if given.dry_run else ''}{done.action}: {done.path} ({done.how})")
    return 0


INSTALL = Command(
    name="install",
    summary="Put the skill where an agent looks for skills.",
    examples=("vda install --agent claude --user",),
    run=_install,
    add_arguments=_add_install,
)
