"""The labels of a clip: which sightings are kept, under which numbers, as compactly as memory allows."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from skill_tools.media.probe import ClipInfo
from skill_tools.workers.labeling.bytetrack import Sighting
from skill_tools.workers.labeling.detector import Detections


@dataclass(frozen=True)
class Label:
    """One kept box of one track in one frame."""

    frame: int
    track: int
    """The track's public number, from 1 in the order in which tracks proved to be kept."""
    class_index: int
    """The track's class: the one with the largest sum of scores over all its boxes."""
    box: tuple[float, float, float, float]
    """Left, top, right, bottom in the clip's pixels."""
    score: float


@dataclass
class _Track:
    boxes: int = 0
    votes: dict[int, float] = field(default_factory=dict)
    """Sum of scores by class index."""
    public: int = 0

    @property
    def class_index(self) -> int:
        return max(self.votes, key=lambda name: (self.votes[name], -name))

    def vote(self, class_index: int, score: float) -> None:
        self.votes[class_index] = self.votes.get(class_index, 0.0) + score


class LabelStore:
    """Collects sightings frame by frame; a track with fewer than `min_track_frames` boxes leaves no label.

    28 bytes a box: an hour with ten boxes in every frame takes 30 MB.
    """

    def __init__(self, *, min_track_frames: int) -> None:
        self._min_track_frames = max(min_track_frames, 1)
        self._tracks: dict[int, _Track] = {}
        self._kept = 0
        self._frames, self._numbers = array("i"), array("i")
        self._boxes, self._scores = array("f"), array("f")
        self._first_row_of_frame = array("l")
        self.timestamps_s = array("d")
        """Of every frame, from the first frame's."""

    @property
    def frames(self) -> int:
        """Frames taken so far."""
        return len(self.timestamps_s)

    def add(self, timestamp_s: float, found: Detections, sightings: Sequence[Sighting]) -> None:
        """Take the next frame."""
        frame = self.frames
        self.timestamps_s.append(timestamp_s)
        self._first_row_of_frame.append(len(self._frames))
        for sighting in sorted(sightings, key=lambda one: one.track):
            row = sighting.detection
            track = self._tracks.setdefault(sighting.track, _Track())
            track.boxes += 1
            track.vote(int(found.classes[row]), float(found.scores[row]))
            if track.boxes >= self._min_track_frames and not track.public:
                self._kept += 1
                track.public = self._kept
            self._frames.append(frame)
            self._numbers.append(sighting.track)
            self._boxes.extend(float(side) for side in found.boxes[row])
            self._scores.append(float(found.scores[row]))

    def of_frame(self, frame: int) -> list[Label]:
        """Give the labels of one frame, as far as their tracks have proved to be kept by now."""
        start = self._first_row_of_frame[frame]
        following = frame + 1
        end = (
            self._first_row_of_frame[following]
            if following < len(self._first_row_of_frame)
            else len(self._frames)
        )
        return [label for row in range(start, end) if (label := self._label(row))]

    def __iter__(self) -> Iterator[Label]:
        """All labels, by frame and track."""
        return (label for row in range(len(self._frames)) if (label := self._label(row)))

    def tracks_per_class(self) -> Counter[int]:
        """Count the kept tracks of each class index."""
        return Counter(track.class_index for track in self._tracks.values() if track.public)

    def _label(self, row: int) -> Label | None:
        track = self._tracks[self._numbers[row]]
        if not track.public:
            return None
        left, top, right, bottom = self._boxes[4 * row : 4 * row + 4]
        return Label(
            self._frames[row], track.public, track.class_index, (left, top, right, bottom), self._scores[row]
        )


@dataclass(frozen=True)
class LabelledClip:
    """A clip with its labels: what all the label files are made of."""

    video: str
    """The stem that the labels carry."""
    clip: ClipInfo
    classes: tuple[int, ...]
    """The class indices that were looked for."""
    labels: LabelStore

    @property
    def duration_s(self) -> float:
        """From the clip's start to the end of its last frame."""
        return self.labels.timestamps_s[-1] + float(1 / self.clip.fps)
