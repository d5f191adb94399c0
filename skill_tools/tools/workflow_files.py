"""Find the workflow file that a call names."""

from __future__ import annotations

from pathlib import Path

from skill_tools.flows.catalog import flow_named
from skill_tools.settings import Settings


def workflow_file(named: str, settings: Settings) -> Path:
    """Return the file: as it is named from the workspace or the skill's folder, or one of the flows'.

    Raises:
        InputError: it is none of these.
    """
    own = settings.workflows_dir / Path(named).name
    for place in (settings.workspace / named, settings.skill_dir / named, own):
        if place.is_file():
            return place.resolve()
    return settings.workflows_dir / flow_named(own.name.removesuffix(".yaml")).file
