"""Cookbooks to break: a copy of one of the skill's, in which a test changes what it is about."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from skill_tools.cookbooks.check import check
from skill_tools.cookbooks.problem import Problem
from skill_tools.cookbooks.shelf import Shelf

ROOT = Path(__file__).resolve().parents[2]
COOKBOOKS = ROOT / "assets" / "cookbooks"
SCHEMAS = ROOT / "schemas"


def shelf(own: Path) -> Shelf:
    """Return the skill's cookbooks and those in the folder `own`."""
    return Shelf(delivered=COOKBOOKS, own=own, schemas_dir=SCHEMAS)


@dataclass(frozen=True)
class Bench:
    """A copy of a cookbook under its own name, in a folder where it may be broken."""

    directory: Path

    @classmethod
    def of(cls, scene: str, folder: Path) -> Bench:
        """Copy a scene into a folder."""
        return cls(Path(shutil.copytree(COOKBOOKS / scene, folder / scene)))

    def replace(self, file: str, old: str, new: str) -> int:
        """Change what is in a file exactly once, and return the line where it stands."""
        path = self.directory / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {file}"
        path.write_text(text.replace(old, new), encoding="utf-8")
        return text[: text.index(old)].count("\n") + 1

    def problems(self) -> tuple[Problem, ...]:
        """Return what the check finds."""
        return check(self.directory, SCHEMAS)
