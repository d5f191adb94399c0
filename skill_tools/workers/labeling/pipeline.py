"""One pass over the clip: decode, detect, track, draw, encode, each frame once, all at the same time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from skill_tools.media.probe import ClipInfo
from skill_tools.media.video import ClipWriter
from skill_tools.workers.labeling.bytetrack import ByteTracker
from skill_tools.workers.labeling.detector import Detections, Detector
from skill_tools.workers.labeling.frames import FrameSpool, Picture, read_pictures
from skill_tools.workers.labeling.gauge import Gauge
from skill_tools.workers.labeling.labels import Label, LabelStore
from skill_tools.workers.labeling.overlay import draw
from skill_tools.workers.labeling.stream import Behind, ahead
from skill_tools.workers.progress import ProgressWriter

QUEUE_DEPTH = 4
MOST_HELD = 16
"""Frames that wait, at most, for their tracks to prove that they are kept, before they are drawn."""


@dataclass(frozen=True)
class Instruments:
    """What works on the frames, and what it fills: labels, statistics, pictures for a model."""

    detector: Detector
    threads: int
    """Frames that are looked at by the detector at the same time."""
    tracker: ByteTracker
    labels: LabelStore
    gauge: Gauge
    plain: FrameSpool | None = None
    drawn: FrameSpool | None = None


@dataclass
class PassTimes:
    """How the pass went: seconds that each stage worked (they overlap), and what could not be decoded."""

    stages_s: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("detect", "track", "measure", "draw_and_encode"), 0.0)
    )
    skipped_packets: list[str] = field(default_factory=list)

    def add(self, stage: str, seconds: float) -> None:
        """Count `seconds` of work; a stage belongs to one thread."""
        self.stages_s[stage] += seconds


@dataclass(frozen=True)
class _Looked:
    picture: Picture
    found: Detections
    seconds: float


@dataclass(frozen=True)
class _Drawable:
    picture: Picture
    labels: list[Label]


def run_pass(
    clip: ClipInfo, instruments: Instruments, *, overlay: Path, patience: int, progress: ProgressWriter
) -> PassTimes:
    """Label `clip` into `instruments` and write the overlay.

    A frame is drawn `patience` frames late (at most MOST_HELD), when it is known which of its tracks last.
    So the overlay shows only boxes that are among the labels; the first boxes of a track that took longer
    to prove itself are among the labels and not in the overlay.

    Raises:
        ClipError: no frame can be decoded.
    """
    times = PassTimes()
    with ExitStack() as stack:
        encoder: Behind[_Drawable] = Behind(
            lambda items: _encode(items, clip, overlay, instruments, times), depth=QUEUE_DEPTH
        )
        stack.enter_context(encoder)
        pictures = stack.enter_context(ahead(read_pictures(clip, times.skipped_packets), depth=QUEUE_DEPTH))
        held: deque[tuple[int, Picture]] = deque()
        for frame, looked in enumerate(_look(pictures, instruments)):
            _label(looked, instruments, times)
            held.append((frame, looked.picture))
            if len(held) > min(patience, MOST_HELD):
                _hand_over(held, instruments.labels, encoder)
            progress.advance()
        while held:
            _hand_over(held, instruments.labels, encoder)
    instruments.gauge.finish()
    return times


def _look(pictures: Iterable[Picture], instruments: Instruments) -> Iterator[_Looked]:
    """Let the detector look at several pictures at once; give them back in their order."""

    def look(picture: Picture) -> _Looked:
        began = time.perf_counter()
        found = instruments.detector.detect(picture.image)
        return _Looked(picture, found, time.perf_counter() - began)

    with ThreadPoolExecutor(instruments.threads, "detector") as pool:
        waiting: deque[Future[_Looked]] = deque()
        try:
            for picture in pictures:
                waiting.append(pool.submit(look, picture))
                if len(waiting) > instruments.threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _label(looked: _Looked, instruments: Instruments, times: PassTimes) -> None:
    began = time.perf_counter()
    picture, found = looked.picture, looked.found
    sightings = instruments.tracker.update(found)
    instruments.labels.add(picture.timestamp_s, found, sightings)
    tracked = time.perf_counter()
    seen = np.array([sighting.detection for sighting in sightings], np.intp)
    instruments.gauge.take(picture.timestamp_s, picture.image, found.boxes[seen])
    if instruments.plain is not None:
        instruments.plain.offer(picture.timestamp_s, picture.image)
    times.add("detect", looked.seconds)
    times.add("track", tracked - began)
    times.add("measure", time.perf_counter() - tracked)


def _hand_over(held: deque[tuple[int, Picture]], labels: LabelStore, encoder: Behind[_Drawable]) -> None:
    frame, picture = held.popleft()
    encoder.put(_Drawable(picture, labels.of_frame(frame)))


def _encode(
    items: Iterator[_Drawable], clip: ClipInfo, overlay: Path, instruments: Instruments, times: PassTimes
) -> None:
    writer = ClipWriter(
        overlay,
        width=clip.width,
        height=clip.height,
        rate=clip.fps,
        time_base=clip.time_base,
        like=clip,
    )
    with writer:
        for item in items:
            began = time.perf_counter()
            image = item.picture.image
            draw(image, item.labels)
            if instruments.drawn is not None:
                instruments.drawn.offer(item.picture.timestamp_s, image)
            writer.write_bgr(image, item.picture.pts)
            times.add("draw_and_encode", time.perf_counter() - began)
