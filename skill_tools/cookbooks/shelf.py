"""Where cookbooks lie: the skill's own scenes, and a workspace's beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from skill_tools.cookbooks.check import check
from skill_tools.cookbooks.files import WORKFLOW_CONFIG
from skill_tools.cookbooks.problem import Problem
from skill_tools.cookbooks.vocabulary import VOCABULARY, nearest
from skill_tools.errors import InputError
from skill_tools.settings import Settings


@dataclass(frozen=True)
class Cookbook:
    """A scene's settings: how many variants of a clip, and how likely each value is."""

    name: str
    directory: Path
    n_augmentations: int
    variables: Mapping[str, Mapping[str, float]]
    """Variable to value to weight; the weights of a variable sum to 1."""

    def check_variables(self, fixed: Mapping[str, str]) -> None:
        """Refuse a fixed variable or value that can't be rendered.

        Raises:
            InputError: `input.unknown_variable` or `input.unknown_value`, with the nearest choice.
        """
        for name, value in fixed.items():
            if name not in VOCABULARY:
                raise InputError(
                    f"There is no variable {name!r}{nearest(name, VOCABULARY)}.",
                    expected=f"{', '.join(self.variables)} as in {self.name}, or {', '.join(VOCABULARY)}",
                    remedy="correct the name",
                    code="input.unknown_variable",
                )
            if value not in VOCABULARY[name]:
                raise InputError(
                    f"{name} can't be {value!r}{nearest(value, VOCABULARY[name])}.",
                    expected=f"one of {', '.join(VOCABULARY[name])}",
                    remedy="correct the value",
                    code="input.unknown_value",
                )


@dataclass(frozen=True)
class Shelf:
    """The cookbooks that a run can be made with."""

    delivered: Path
    """The skill's folder of cookbooks."""
    own: Path
    """The workspace's folder of cookbooks; need not be there."""
    schemas_dir: Path
    """The skill's folder of schemas, by which they are checked."""

    @classmethod
    def of(cls, settings: Settings) -> Shelf:
        """Return the cookbooks of a process's skill and workspace."""
        return cls(
            delivered=settings.cookbooks_dir,
            own=settings.workspace / "cookbooks",
            schemas_dir=settings.skill_dir / "schemas",
        )

    def names(self) -> tuple[str, ...]:
        """Return the names of all cookbooks, sorted."""
        return tuple(sorted({*_in(self.delivered), *_in(self.own)}))

    def is_own(self, name: str) -> bool:
        """Tell whether a cookbook is the workspace's."""
        return name in _in(self.own)

    def folder(self, name: str) -> Path:
        """Return the folder of a cookbook.

        Raises:
            InputError: `input.unknown_cookbook` with the nearest choice; `input.cookbook_twice` if both
                the skill and the workspace have one of that name.
        """
        places = [folder / name for folder in (self.delivered, self.own) if name in _in(folder)]
        if not places:
            raise InputError(
                f"There is no cookbook {name!r}{nearest(name, self.names())}.",
                expected=f"one of {', '.join(self.names()) or 'the folders in ' + str(self.delivered)}",
                remedy="leave it out for city_traffic, or make one with `vda cookbook new`",
                code="input.unknown_cookbook",
            )
        if len(places) > 1:
            raise InputError(
                f"There are two cookbooks {name}: the skill's and {places[1]}",
                expected="names of one's own for cookbooks of one's own",
                remedy="give the folder, its question bank and its event prompt another name",
                code="input.cookbook_twice",
            )
        return places[0]

    def named(self, name: str) -> Cookbook:
        """Read a cookbook, all of it checked.

        Raises:
            InputError: as `folder`; `input.cookbook` with the first problem's file and line if it has any
                that breaks a run.
        """
        folder = self.folder(name)
        errors = [one for one in check(folder, self.schemas_dir) if one.severity == "error"]
        if errors:
            raise _broken(name, folder, errors)
        sampling = _sampling(folder)
        return Cookbook(name, folder, sampling.get("n_augmentations", 1), sampling["variables"])

    def submit_value(self, name: str) -> str:
        """Return what a workflow is told: the name of one of the skill's, the folder of another.

        Raises:
            InputError: as `folder`.
        """
        return str(self.folder(name).resolve()) if self.is_own(name) else name


def _in(folder: Path) -> tuple[str, ...]:
    return tuple(path.parent.name for path in folder.glob(f"*/{WORKFLOW_CONFIG}"))


def _sampling(folder: Path) -> dict[str, Any]:
    document = yaml.safe_load((folder / WORKFLOW_CONFIG).read_text(encoding="utf-8"))
    return dict(document["augmentation"])


def _broken(name: str, folder: Path, errors: list[Problem]) -> InputError:
    rest = len(errors) - 1
    more = f" There {'is' if rest == 1 else 'are'} {rest} more." if rest else ""
    return InputError(
        f"The cookbook {name} can't be used: {errors[0].told(folder)}.{more}",
        expected="a cookbook without errors",
        remedy=f"`vda cookbook check {name}` lists them all",
        code="input.cookbook",
    )
