"""The flows: what each is for, its groups in order, its file, and how long it takes on a cluster."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from skill_tools.errors import InputError

Minutes = tuple[int, int]
"""Shortest and longest usual duration."""

DEFAULT_FLOW = "augmentation_and_al"
ALIASES = MappingProxyType({"augmentation_and_pl": DEFAULT_FLOW})
"""Old names that are still accepted, each with a workflow file of its own."""

CACHE_WORKFLOW = "setup_model_cache.yaml"
"""Not a flow: fills both model caches, one task for each."""

PHASE_MINUTES: Mapping[str, Minutes] = MappingProxyType(
    {
        "credentials and preflight": (1, 2),
        "NIM deploy and warm-up": (10, 15),
        "demo assets": (1, 3),
        "model cache": (15, 25),
        "submit and queue": (1, 3),
    }
)
"""What surrounds a run on a cluster; deploy, demo assets and cache only where they are needed."""

COLD_MINUTES: Minutes = (45, 80)
WARM_MINUTES: Minutes = (20, 45)


@dataclass(frozen=True)
class Flow:
    """A way through the pipeline."""

    name: str
    groups: tuple[str, ...]
    """In the order of the file; two neighbours may run at the same time."""
    purpose: str
    run_minutes: Minutes
    """On a cluster, from the first task's start to the last one's end."""
    has_augmentation: bool = False
    labels_originals: bool = False
    super_resolution: bool = False

    @property
    def file(self) -> str:
        """The workflow file's name in `assets/configs/osmo/`."""
        return f"{self.name}.yaml"

    def path(self, skill_dir: Path) -> Path:
        """Return where the workflow file lies in a skill's folder."""
        return skill_dir / "assets" / "configs" / "osmo" / self.file

    def tasks(self, clips: int, variants: int, workers: int | None = None) -> int:
        """Count the tasks of one workflow over so many clips, with so many variants of each."""
        labeling = min(clips, workers or clips) if self.labels_originals else 0
        augmenting = min(clips * variants, workers or clips * variants) if self.has_augmentation else 0
        return 1 + labeling + 2 * augmenting


FLOWS: Mapping[str, Flow] = MappingProxyType(
    {
        flow.name: flow
        for flow in (
            Flow(
                "auto_labeling",
                ("setup", "auto_labeling"),
                "label the source clips, make no variants",
                (6, 15),
                labels_originals=True,
            ),
            Flow(
                "augmentation_and_al",
                ("setup", "augmentation", "auto_labeling_augmented"),
                "make variants and label them",
                (20, 35),
                has_augmentation=True,
            ),
            Flow(
                "e2e",
                ("setup", "auto_labeling_original", "augmentation", "auto_labeling_augmented"),
                "label the originals while variants are made, then label those",
                (22, 40),
                has_augmentation=True,
                labels_originals=True,
            ),
            Flow(
                "e2e_super_resolution",
                ("setup", "auto_labeling_original", "augmentation", "auto_labeling_augmented"),
                "label super-resolved originals first, then make variants, then label those",
                (25, 45),
                has_augmentation=True,
                labels_originals=True,
                super_resolution=True,
            ),
        )
    }
)


def canonical_name(name: str) -> str | None:
    """Return the flow's own name for a name or alias in any case, `-` or `_`; None if there is none."""
    folded = name.strip().lower().replace("-", "_").replace(" ", "_")
    known = ALIASES.get(folded, folded)
    return known if known in FLOWS else None


def flow_named(name: str) -> Flow:
    """Return the flow of that name or alias.

    Raises:
        InputError: `input.unknown_flow`, with the nearest choice.
    """
    known = canonical_name(name)
    if known is not None:
        return FLOWS[known]
    near = difflib.get_close_matches(name.lower(), [*FLOWS, *ALIASES], n=1, cutoff=0.4)
    raise InputError(
        f"There is no flow {name!r}.",
        expected=f"one of {', '.join(FLOWS)}",
        remedy=f"perhaps {near[0]}" if near else f"leave it out for the default, {DEFAULT_FLOW}",
        code="input.unknown_flow",
    )
