"""Veils as stages: one finds what they do to a frame, another lays them over it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import cast

import cv2
import numpy as np

from skill_tools.workers.augmentation.effects.base import Stage
from skill_tools.workers.augmentation.effects.growth import Growth
from skill_tools.workers.augmentation.effects.veils import Change, JoinedVeils, SparedAmong, Veil
from skill_tools.workers.augmentation.multiplier import Multiplier
from skill_tools.workers.augmentation.planes import Plane, Planes
from skill_tools.workers.augmentation.scene import View


class Joining:
    """Finds what veils one behind another do to a frame, as a stage that edits nothing itself.

    Another thread can thus lay the veils over one frame while they are found for the next.
    """

    def __init__(self, veils: Sequence[Veil]) -> None:
        self._joined = JoinedVeils(veils)
        self.found: deque[Change | SparedAmong] = deque()
        """For each frame that hasn't been laid over yet, in their order."""

    def apply(self, planes: Planes, view: View) -> Planes:
        """Return the planes given, as they are."""
        self.found.append(self._joined.change(view))
        return planes


class Laying:
    """Lays over frames what a stage before has found: joined at the small size, all cost what one costs."""

    def __init__(self, found: deque[Change | SparedAmong]) -> None:
        """Take a change from the left of `found` for each frame."""
        self._found = found
        self._change: Change | SparedAmong | None = None
        self._adds: dict[str, list[Plane]] = {}

    def apply(self, planes: Planes, view: View) -> Planes:  # noqa: ARG002 - every stage takes both
        """Return the planes of one frame edited, which are others than those given."""
        if not self._adds:
            self._multiplier = Multiplier(planes.size)
            gains = self._multiplier.factors
            self._adds = {
                name: [np.empty_like(plane)]
                for name, plane in zip(("add", "add_u", "add_v"), gains.all, strict=True)
            }
            self._growth = Growth({"gain": [gains.y, gains.u, gains.v], **self._adds})
        change = self._found.popleft()
        if change is not self._change:
            self._change = change
            self._growth.follow(change.codes())
        out = Planes.of(self._multiplier.times(planes.framed()))
        for plane, (add,) in zip(out.all, self._adds.values(), strict=True):
            cv2.add(plane, add, dst=plane)
        return out


def joined(steps: Iterable[Veil | Stage]) -> Iterator[Stage]:
    """Yield the steps as stages in their order, neighbouring veils as one."""
    for are_veils, group in groupby(steps, lambda step: hasattr(step, "change")):
        if are_veils:
            joining = Joining([cast("Veil", step) for step in group])
            yield joining
            yield Laying(joining.found)
        else:
            yield from (cast("Stage", step) for step in group)
