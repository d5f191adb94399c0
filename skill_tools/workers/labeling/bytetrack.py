"""ByteTrack: follow boxes through a clip, using the uncertain ones to keep tracks that already are.

Zhang et al., *ByteTrack: Multi-Object Tracking by Associating Every Detection Box*, ECCV 2022
(arXiv:2110.06864). In every frame: (1) tracks, seen or lost, are matched with the confident boxes; (2) the
tracks still seen a frame ago that found none are matched with the uncertain boxes, which is how a thing is
held while something half hides it; (3) young tracks are matched with the confident boxes that are left, and
(4) what is left of those starts new tracks. An uncertain box never starts one.

Why an implementation of our own: the `trackers` package requires the OpenCV build with a GUI, which needs
libGL and clashes with the headless build; the assignment itself is `lapx`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import lap
import numpy as np
import numpy.typing as npt

from skill_tools.workers.labeling.classes import KINDS
from skill_tools.workers.labeling.detector import Detections, iou
from skill_tools.workers.labeling.kalman import BoxMotion

CONFIDENT_SHARE = 0.25
"""How far between the detector's threshold and 1 a box counts as confident: 0.4 for a threshold of 0.2."""

UNCERTAIN_MIN_IOU = 0.5
_FORBIDDEN = 1e6


@dataclass(frozen=True)
class TrackerParameters:
    """How tracks are made and ended."""

    confident_score: float
    min_iou: float
    """The overlap of a track's predicted box with a confident box that makes a match."""
    min_hits: int
    """Frames in a row that a new track must be seen in before it may be lost and found again."""
    max_age: int
    """Frames that a track may stay lost."""


@dataclass(frozen=True)
class Sighting:
    """One box of one track in the frame that was just given."""

    track: int
    detection: int
    """Row in the frame's detections."""


@dataclass
class _Track:
    number: int
    kind: int
    motion: BoxMotion
    last_seen: int
    hits: int = 1

    def is_young(self, min_hits: int) -> bool:
        return self.hits < min_hits


class ByteTracker:
    """Gives the detections of successive frames the numbers of their tracks."""

    def __init__(self, parameters: TrackerParameters) -> None:
        self._parameters = parameters
        self._tracks: list[_Track] = []
        self._frame = -1
        self._started = 0

    @property
    def alive(self) -> frozenset[int]:
        """The tracks that may still be seen again."""
        return frozenset(track.number for track in self._tracks)

    def update(self, found: Detections) -> list[Sighting]:
        """Take the next frame's detections; say which tracks they belong to."""
        self._frame += 1
        self._predict()
        confident = np.flatnonzero(found.scores >= self._parameters.confident_score)
        uncertain = np.flatnonzero(found.scores < self._parameters.confident_score)
        young = [track for track in self._tracks if track.is_young(self._parameters.min_hits)]
        grown = [track for track in self._tracks if not track.is_young(self._parameters.min_hits)]

        sure = self._match(grown, found, confident, self._parameters.min_iou)
        just_seen = [t for t in _without(grown, sure) if t.last_seen == self._frame - 1]
        unsure = self._match(just_seen, found, uncertain, max(self._parameters.min_iou, UNCERTAIN_MIN_IOU))
        left = _left(confident, sure)
        budding = self._match(young, found, left, self._parameters.min_iou)
        matches = sure + unsure + budding
        for track, row in matches:
            track.motion = track.motion.corrected(found.boxes[row])
            track.last_seen = self._frame
            track.hits += 1
        matches += self._start(found, _left(left, budding))
        self._end()
        return [Sighting(track.number, int(row)) for track, row in matches]

    def _predict(self) -> None:
        for track in self._tracks:
            lost = track.last_seen < self._frame - 1
            track.motion = (track.motion.holding_height() if lost else track.motion).predicted()

    def _match(
        self, tracks: Sequence[_Track], found: Detections, rows: npt.NDArray[np.intp], min_iou: float
    ) -> list[tuple[_Track, int]]:
        """Assign `rows` of the detections to tracks so that the summed overlap is the largest."""
        if not tracks or not len(rows):
            return []
        overlap = iou(np.stack([track.motion.box for track in tracks]), found.boxes[rows])
        kinds = np.array([track.kind for track in tracks])
        alike = kinds[:, None] == np.asarray(KINDS)[found.classes[rows]][None, :]
        cost = np.where(alike, 1 - overlap.astype(np.float64), _FORBIDDEN)
        columns, _ = lap.lapjv(cost, extend_cost=True, cost_limit=1 - min_iou, return_cost=False)
        return [
            (track, int(rows[column])) for track, column in zip(tracks, columns, strict=True) if column >= 0
        ]

    def _start(self, found: Detections, rows: npt.NDArray[np.intp]) -> list[tuple[_Track, int]]:
        started = []
        for row in rows:
            self._started += 1
            kind = KINDS[found.classes[row]]
            track = _Track(self._started, kind, BoxMotion.starting(found.boxes[row]), self._frame)
            self._tracks.append(track)
            started.append((track, int(row)))
        return started

    def _end(self) -> None:
        """Forget young tracks that were missed and tracks that were lost for too long."""

        def lives(track: _Track) -> bool:
            patience = 0 if track.is_young(self._parameters.min_hits) else self._parameters.max_age
            return self._frame - track.last_seen <= patience

        self._tracks = [track for track in self._tracks if lives(track)]


def _without(tracks: Sequence[_Track], matched: Sequence[tuple[_Track, int]]) -> list[_Track]:
    gone = {track.number for track, _ in matched}
    return [track for track in tracks if track.number not in gone]


def _left(rows: npt.NDArray[np.intp], matched: Sequence[tuple[_Track, int]]) -> npt.NDArray[np.intp]:
    taken = {row for _, row in matched}
    return np.array([row for row in rows if row not in taken], np.intp)
