"""A chain of stages between two threads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, cast

from skill_tools.workers.augmentation.effects import edited
from skill_tools.workers.augmentation.relay import Relay

FRAMES = 12


class Busy:
    """A stage that takes some processor time and notes which frames it saw."""

    def __init__(self, work_s: float) -> None:
        self.work_s, self.seen = work_s, list[int]()

    def apply(self, planes: Any, view: Any) -> Any:  # noqa: ARG002 - every stage takes both
        """Work; a frame is its number."""
        begun = time.thread_time()
        while time.thread_time() - begun < self.work_s:
            pass
        self.seen.append(planes)
        return planes


def rests(stages: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return what is left to the second thread of each frame; a frame is its number."""
    relay, view = Relay(stages), cast("Any", None)
    begun = [relay.begin(cast("Any", frame), view) for frame in range(FRAMES)]
    assert [edited(planes, view, rest) for planes, rest in begun] == list(range(FRAMES))
    return [rest for _, rest in begun]


def test_two_threads_share_a_chain_about_evenly() -> None:
    """Once costs are known, the second thread is left what takes about as long as the rest."""
    stages = [Busy(1e-3), Busy(0), Busy(1e-3)]
    left = rests(stages)
    assert left[0] == ()
    assert left[-1] in [(stages[2],), (stages[1], stages[2])]


def test_every_stage_sees_every_frame_in_order() -> None:
    """Where a chain is split changes nothing for its stages."""
    stages = [Busy(1e-3), Busy(1e-3), Busy(1e-3)]
    rests(stages)
    assert [stage.seen for stage in stages] == [list(range(FRAMES))] * 3


def test_what_costs_little_stays_with_one_thread() -> None:
    """A split that wouldn't pay isn't made."""
    assert set(rests([Busy(0), Busy(0)])) == {()}


def test_the_first_stage_stays_with_the_first_thread() -> None:
    """It is the one that asks what a frame shows, which has to be asked in the frames' order."""
    assert set(rests([Busy(1e-3)])) == {()}
