"""Where a process works: workspace, state folder, data roots, environment; read once, passed in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from skill_tools.errors import InputError

EngineChoice = Literal["auto", "local", "osmo"]
ENGINE_CHOICES: dict[str, EngineChoice] = {"auto": "auto", "local": "local", "osmo": "osmo"}

DEFAULT_DATA_ROOTS = "/srv/sdg/data"
STATE_FOLDER = ".vda"
RUNS_FOLDER = Path("media", "vda", "runs")
PREVIEWS_FOLDER = Path("media", "vda", "previews")

PACKAGE_ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds the package `skill_tools`."""


def own_skill_dir(package: Path = PACKAGE_ROOT / "skill_tools") -> Path:
    """Return the folder of SKILL.md, assets and scripts: around a checkout's package, within a wheel's."""
    bundled = package / "_bundle"
    return bundled if bundled.is_dir() else package.parent


@dataclass(frozen=True)
class Settings:
    """Everything that a call takes from its surroundings.

    Everything that a run leaves lies under `workspace`: its files in `media/vda/runs/<run_id>/`, its
    records and the embedded engine's storage in one hidden folder.
    """

    workspace: Path
    skill_dir: Path
    engine: EngineChoice = "auto"
    data_roots: tuple[Path, ...] = (Path(DEFAULT_DATA_ROOTS),)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def read(
        cls,
        *,
        workspace: str | Path | None = None,
        engine: EngineChoice | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Settings:
        """Read the settings of this process.

        `workspace` defaults to `VDA_WORKSPACE`, then to the current folder; `engine` to `VDA_ENGINE`, then
        to `auto`; data roots are `VDA_DATA_ROOTS`, separated as PATH is.

        Raises:
            InputError: the workspace is not a folder, or the engine is unknown.
        """
        env = dict(os.environ if environ is None else environ)
        chosen = Path(workspace or env.get("VDA_WORKSPACE") or ".").expanduser().resolve()
        if chosen.exists() and not chosen.is_dir():
            raise InputError(
                f"The workspace {chosen} is not a folder",
                expected="a folder that may be written to",
                remedy="give another one with --workspace",
                code="input.workspace",
            )
        roots = env.get("VDA_DATA_ROOTS", DEFAULT_DATA_ROOTS).split(os.pathsep)
        return cls(
            workspace=chosen,
            skill_dir=own_skill_dir(),
            engine=engine or _engine_in(env),
            data_roots=tuple(Path(root).expanduser() for root in roots if root),
            environ=env,
        )

    @property
    def state_dir(self) -> Path:
        """The one hidden folder: journal, embedded engine, its storage."""
        return self.workspace / STATE_FOLDER

    @property
    def journal_file(self) -> Path:
        """The SQLite file of the run records."""
        return self.state_dir / "journal.db"

    @property
    def local_storage(self) -> Path:
        """The folder behind the embedded engine's default storage URL."""
        return self.state_dir / "storage"

    def run_dir(self, run_id: str) -> Path:
        """Return the folder that mirrors a run for people to look at."""
        return self.workspace / RUNS_FOLDER / run_id

    @property
    def workflows_dir(self) -> Path:
        """The folder of the workflow files."""
        return self.skill_dir / "assets" / "configs" / "osmo"

    @property
    def cookbooks_dir(self) -> Path:
        """The folder of the cookbooks, one a scene."""
        return self.skill_dir / "assets" / "cookbooks"


def _engine_in(environ: Mapping[str, str]) -> EngineChoice:
    wanted = environ.get("VDA_ENGINE", "auto")
    if wanted in ENGINE_CHOICES:
        return ENGINE_CHOICES[wanted]
    raise InputError(
        f"VDA_ENGINE is {wanted!r}",
        expected="auto, local or osmo",
        remedy="set it to one of these or unset it",
        code="input.engine",
    )
