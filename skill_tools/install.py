"""Put the skill where an agent looks for skills, and take it away again.

vda install --agent claude                 a copy for the project in the current folder
vda install --agent codex --user --link    a link for all projects of this user, from a checkout
vda install --agent claude --undo
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from skill_tools import __version__
from skill_tools.errors import InputError
from skill_tools.settings import PACKAGE_ROOT

SKILL_NAME = "physical-ai-video-data-augmentation"

AGENT_FOLDERS: Mapping[str, Path] = MappingProxyType(
    {
        "claude": Path(".claude", "skills"),
        "codex": Path(".agents", "skills"),
        "cursor": Path(".agents", "skills"),
        "gemini": Path(".agents", "skills"),
        "generic": Path(".agents", "skills"),
    }
)
"""Agent to where it looks, below a project's folder and below the home folder alike."""

PLUGIN_MANIFESTS = (".claude-plugin", ".codex-plugin", ".cursor-plugin", "gemini-extension.json")
"""What makes a plugin of a repository. A copy among an agent's skills has none: it would be found twice."""

SKILL_FILES = (
    "CHANGELOG.md",
    "LICENSE",
    "NOTICE",
    "README.md",
    "SKILL.md",
    "agents",
    "assets",
    "pyproject.toml",
    "references",
    "requirements.lock",
    "schemas",
    "scripts",
)
"""What makes a skill of the package `skill_tools`; the wheel carries the same, and the manifests."""

# Written last into a copy: what was put there, so that only that is ever replaced or taken away.
RECEIPT = ".vda-install.json"
# What the skill itself makes in its folder when it is used.
MADE_BY_USE = frozenset({".venv", ".venv.lock", "__pycache__"})

Action = Literal["created", "replaced", "unchanged", "removed", "absent"]


@dataclass(frozen=True)
class Installation:
    """What an install or its undoing did, or would do: where, and how."""

    path: Path
    action: Action
    how: Literal["copy", "link"]


def skill_place(agent: str, base: Path) -> Path:
    """Return the skill's folder for an agent below a project's or the home folder."""
    return base / AGENT_FOLDERS[agent] / SKILL_NAME


def install(place: Path, *, skill_dir: Path, link: bool = False, dry_run: bool = False) -> Installation:
    """Put the skill in its place, or bring what is there up to date.

    Args:
        place: The folder that the skill gets; made with its parents.
        skill_dir: Where SKILL.md and what belongs to it lie now.
        link: Make a symbolic link instead of a copy; only a checkout can be linked.
        dry_run: Say what would be done and change nothing.

    Raises:
        InputError: something else is in that place, the copy there was changed by hand, or there is no
            checkout to link to. Nothing was changed.
    """
    if link:
        return _link(place, skill_dir, dry_run=dry_run)
    if place.resolve() == skill_dir.resolve() and not place.is_symlink():
        return Installation(place, "unchanged", "copy")
    wanted = {str(name): _digest(source) for name, source in _files(skill_dir)}
    there = os.path.lexists(place)
    if there and not place.is_symlink() and _receipt(place) == wanted and not _touched(place, wanted):
        return Installation(place, "unchanged", "copy")
    _refuse_what_is_not_ours(place)
    if not dry_run:
        _copy(place, skill_dir, wanted)
    return Installation(place, "replaced" if there else "created", "copy")


def uninstall(place: Path, *, dry_run: bool = False) -> Installation:
    """Take the skill away from its place; fine when it isn't there.

    Raises:
        InputError: what is there isn't this skill, or was changed by hand. Nothing was changed.
    """
    how: Literal["copy", "link"] = "link" if place.is_symlink() else "copy"
    if not os.path.lexists(place):
        return Installation(place, "absent", how)
    _refuse_what_is_not_ours(place)
    if not dry_run:
        _take_away(place)
    return Installation(place, "removed", how)


def _link(place: Path, skill_dir: Path, *, dry_run: bool) -> Installation:
    if not (skill_dir / "skill_tools").is_dir():
        raise InputError(
            "Only a checkout can be linked, and this is an installed package",
            expected="a folder that holds SKILL.md and skill_tools",
            remedy="leave --link out, or run vda from a checkout",
            code="input.install_link",
        )
    there = os.path.lexists(place)
    if place.is_symlink() and place.resolve() == skill_dir.resolve():
        return Installation(place, "unchanged", "link")
    _refuse_what_is_not_ours(place)
    if not dry_run:
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = _beside(place, "new")
        fresh.symlink_to(skill_dir.resolve(), target_is_directory=True)
        if there and not place.is_symlink():
            _take_away(place)
        fresh.replace(place)
    return Installation(place, "replaced" if there else "created", "link")


def _copy(place: Path, skill_dir: Path, wanted: Mapping[str, str]) -> None:
    """Copy everything beside the place first, then exchange; what use has made is kept."""
    fresh = _beside(place, "new")
    fresh.parent.mkdir(parents=True, exist_ok=True)
    try:
        for name, source in _files(skill_dir):
            target = fresh / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
        receipt = {"skill": SKILL_NAME, "version": __version__, "files": wanted}
        fresh.joinpath(RECEIPT).write_text(json.dumps(receipt, indent=1) + "\n", encoding="utf-8")
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    if os.path.lexists(place):
        _keep_environment(place, fresh)
        _take_away(place)
    fresh.replace(place)


def _keep_environment(old: Path, fresh: Path) -> None:
    """Move the environment of a copy along, if the new one asks for the same packages."""
    venv, lock = old / ".venv", "requirements.lock"
    if old.is_symlink() or not venv.is_dir():
        return
    if (old / lock).is_file() and _digest(old / lock) == _digest(fresh / lock):
        venv.replace(fresh / ".venv")


def _take_away(place: Path) -> None:
    if place.is_symlink():
        place.unlink()
        return
    # Out of the agent's sight in one step; what is then half deleted is nobody's skill.
    gone = _beside(place, "old")
    place.replace(gone)
    shutil.rmtree(gone)


def _beside(place: Path, kind: str) -> Path:
    path = place.parent / f".{SKILL_NAME}.{kind}-{os.getpid()}"
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    return path


def _refuse_what_is_not_ours(place: Path) -> None:
    """Raise if what is in the place was not put there by an install, or was changed since."""
    if not os.path.lexists(place):
        return
    if place.is_symlink():
        if not place.exists() or f"name: {SKILL_NAME}" in _text(place / "SKILL.md"):
            return
        raise _not_ours(place, "it is a link to something else")
    receipt = _receipt(place)
    if receipt is None:
        raise _not_ours(place, "it was not put there by `vda install`")
    touched = _touched(place, receipt)
    if touched:
        raise _not_ours(place, f"it was changed by hand: {', '.join(touched[:5])}")


def _not_ours(place: Path, reason: str) -> InputError:
    return InputError(
        f"{place} stays as it is: {reason}",
        expected="an empty place, or an unchanged installation",
        remedy="move it away and call again",
        code="input.install_place",
    )


def _receipt(place: Path) -> dict[str, str] | None:
    """Return what an install has put in a place, file to digest, or None if there was none."""
    try:
        document = json.loads((place / RECEIPT).read_text(encoding="utf-8"))
        files: dict[str, str] = dict(document["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return files


def _touched(place: Path, receipt: Mapping[str, str]) -> list[str]:
    """Return the files of a copy that are not as they were put there, added ones included."""
    found = {str(path.relative_to(place)): path for path in _walk(place)}
    found.pop(RECEIPT, None)
    changed = {name for name, path in found.items() if name not in receipt or _digest(path) != receipt[name]}
    return sorted(changed | (receipt.keys() - found.keys()))


def _files(skill_dir: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the name within the skill and the path of every file that belongs to it."""
    for item in SKILL_FILES:
        source = skill_dir / item
        for path in [source] if source.is_file() else _walk(source):
            yield path.relative_to(skill_dir), path
    package = PACKAGE_ROOT / "skill_tools"
    for path in _walk(package):
        inside = path.relative_to(package)
        if inside.parts[0] != "_bundle":
            yield Path("skill_tools") / inside, path


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder in the order of their names, without what use has made."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name in MADE_BY_USE:
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        else:
            yield path


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
