"""One chain of stages, two threads: each frame is begun by one and finished by the other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import accumulate

from skill_tools.workers.augmentation.effects import Stage, edited
from skill_tools.workers.augmentation.planes import Planes
from skill_tools.workers.augmentation.scene import View

_TRIALS = 4
_LEAST_S = 0.3e-3  # a frame; less isn't worth a split


class Relay:
    """Runs a chain's first stages, and says which are left to do.

    While an encoder waits for a frame, one thread alone would keep one core. The first frames are begun and
    finished by the first thread, which times each stage; from then on the chain is split where both
    threads get about as much. A stage sees every frame in their order and never two at once, so what
    comes out doesn't hang on where that is.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        """Run `stages`, in their order."""
        self._stages = tuple(stages)
        self._spent_s = [0.0] * len(self._stages)
        self._trials = 0
        self._split = len(self._stages)

    def begin(self, planes: Planes, view: View) -> tuple[Planes, tuple[Stage, ...]]:
        """Return a frame edited by the stages of the first thread, and those of the second."""
        if self._trials < _TRIALS:
            return self._tried_out(planes, view), ()
        return edited(planes, view, self._stages[: self._split]), self._stages[self._split :]

    def _tried_out(self, planes: Planes, view: View) -> Planes:
        for place, stage in enumerate(self._stages):
            begun = time.thread_time()
            planes = stage.apply(planes, view)
            # What is made once a scene is made for the first frame, which tells little about the others.
            if self._trials:
                self._spent_s[place] += time.thread_time() - begun
        self._trials += 1
        if self._trials == _TRIALS:
            self._split = _even_split(self._spent_s, _LEAST_S * (_TRIALS - 1))
        return planes


def _even_split(costs: Sequence[float], least: float) -> int:
    """Return how many of the first items make the larger half least; all, if their sum is below `least`.

    At least one, which is the one that asks what a frame shows: frames are then asked in their order.
    """
    total = sum(costs)
    if total < least:
        return len(costs)
    sums = [0.0, *accumulate(costs)]
    return min(range(1, len(sums)), key=lambda place: max(sums[place], total - sums[place]))
