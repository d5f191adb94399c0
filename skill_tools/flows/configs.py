"""The manifest that setup writes, and how many clips go into one workflow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skill_tools.errors import ArtifactError, InputError
from skill_tools.flows.catalog import Flow
from skill_tools.flows.spec import MAX_TASKS


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class ManifestEntry(_Closed):
    """One variant to be made, or that was made."""

    video: str
    """The clip's file name, `<stem>.mp4`."""
    video_name: str
    """The clip's stem."""
    aug_idx: int = Field(ge=0)
    config: str
    """File name of the variant's configuration, beside the manifest."""
    sampled_vars: dict[str, str]

    @property
    def name(self) -> str:
        """The variant's folder: `<stem>_aug<k>`."""
        return f"{self.video_name}_aug{self.aug_idx}"


class Manifest(_Closed):
    """What setup sampled: one entry a variant, clips in the order given, then by index."""

    configs: tuple[ManifestEntry, ...]
    total: int = Field(ge=0)

    def entry(self, video_name: str, aug_idx: int) -> ManifestEntry | None:
        """Return the entry of one variant, if it is there."""
        wanted = (video_name, aug_idx)
        return next((e for e in self.configs if (e.video_name, e.aug_idx) == wanted), None)

    def of_clip(self, video_name: str) -> tuple[ManifestEntry, ...]:
        """Return the entries of one clip."""
        return tuple(entry for entry in self.configs if entry.video_name == video_name)


def read_manifest(path: Path) -> Manifest:
    """Read and check a run's `manifest.yaml`.

    Raises:
        ArtifactError: `artifact.manifest`; it is missing, broken, or its total is not its length.
    """
    try:
        manifest = Manifest.model_validate(_yaml(path))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise _bad_manifest(path, _why(error)) from error
    if manifest.total != len(manifest.configs):
        raise _bad_manifest(path, f"total is {manifest.total}, but it lists {len(manifest.configs)}")
    return manifest


def _bad_manifest(path: Path, why: str) -> ArtifactError:
    return ArtifactError(
        f"The manifest {path} can't be used: {why}.",
        expected="configs: [{video, video_name, aug_idx, config, sampled_vars}] and their total",
        remedy="stage the run again; look at the setup task's log if it stays so",
        code="artifact.manifest",
    )


@dataclass(frozen=True)
class Batch:
    """The clips of one workflow. A run of many clips is several workflows under one run id."""

    index: int
    videos: tuple[str, ...]
    tasks: int
    workers: int | None = None
    """Most workers of a group; None for one per clip or variant."""


def plan_batches(
    videos: Sequence[str],
    n_augmentations: int,
    flow: Flow,
    *,
    workers: int | None = None,
    max_tasks: int = MAX_TASKS,
) -> tuple[Batch, ...]:
    """Part the clips into workflows of at most `max_tasks` tasks, in their order, as evenly as can be.

    A clip's variants stay together. Where one clip alone has too many variants, workers take several.
    With `workers` given, each group has so many at most, so that more clips fit into one workflow.

    Raises:
        InputError: no clips, fewer than one variant or worker, or the same clip twice.
    """
    _check_plan(videos, n_augmentations, workers)
    per_workflow = _clips_per_workflow(len(videos), n_augmentations, flow, workers, max_tasks)
    if per_workflow == 0:
        workers = max(w for w in range(1, max_tasks) if flow.tasks(1, n_augmentations, w) <= max_tasks)
        per_workflow = 1
    count = math.ceil(len(videos) / per_workflow)
    size, larger = divmod(len(videos), count)
    batches = []
    start = 0
    for index in range(count):
        end = start + size + (index < larger)
        chosen = tuple(videos[start:end])
        batches.append(Batch(index, chosen, flow.tasks(len(chosen), n_augmentations, workers), workers))
        start = end
    return tuple(batches)


def _clips_per_workflow(clips: int, variants: int, flow: Flow, workers: int | None, max_tasks: int) -> int:
    """Return the most clips, up to all of them, whose workflow has at most `max_tasks` tasks."""
    fitting = (n for n in range(clips, 0, -1) if flow.tasks(n, variants, workers) <= max_tasks)
    return next(fitting, 0)


def _check_plan(videos: Sequence[str], n_augmentations: int, workers: int | None) -> None:
    twice = sorted({video for video in videos if list(videos).count(video) > 1})
    problem = (
        "there are no clips"
        if not videos
        else f"the clip {twice[0]} is there twice"
        if twice
        else "there is less than one variant"
        if n_augmentations < 1
        else "there is less than one worker"
        if workers is not None and workers < 1
        else None
    )
    if problem:
        raise InputError(
            f"No workflow can be planned: {problem}.",
            expected="clips with different names, at least one variant and one worker",
            code="input.plan",
        )


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _why(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        return f"{where}: {first['msg'].removeprefix('Value error, ')}" if where else first["msg"]
    return str(getattr(error, "strerror", None) or error)
