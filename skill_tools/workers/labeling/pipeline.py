"""One pass over the clip: decode, detect, track, draw, encode, each frame once, in three threads."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from skill_tools.media.probe import ClipInfo
from skill_tools.media.video import ClipWriter
from skill_tools.workers.labeling.bytetrack import ByteTracker
from skill_tools.workers.labeling.detector import Detector
from skill_tools.workers.labeling.frames import FrameSpool, Picture, read_pictures
from skill_tools.workers.labeling.labels import Label, LabelStore
from skill_tools.workers.labeling.measure import Gauge
from skill_tools.workers.labeling.overlay import draw
from skill_tools.workers.labeling.stream import Behind, ahead
from skill_tools.workers.progress import ProgressWriter

QUEUE_DEPTH = 4
MOST_HELD = 16
"""Frames that wait, at most, for their tracks to prove that they are kept, before they are drawn."""


@dataclass(frozen=True)
class Instruments:
    """What a pass fills: the labels, the statistics, and the pictures that a model will be shown."""

    labels: LabelStore
    gauge: Gauge
    plain: FrameSpool | None = None
    drawn: FrameSpool | None = None


@dataclass
class PassTimes:
    """Seconds that each stage worked; the stages overlap, so their sum is more than the pass took."""

    detect: float = 0.0
    track: float = 0.0
    measure: float = 0.0
    draw_and_encode: float = 0.0
    total: float = 0.0
    skipped_packets: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Drawable:
    picture: Picture
    labels: list[Label]


def run_pass(
    clip: ClipInfo,
    *,
    detector: Detector,
    tracker: ByteTracker,
    instruments: Instruments,
    overlay: Path,
    patience: int,
    progress: ProgressWriter,
) -> PassTimes:
    """Label `clip` into `instruments` and write the overlay.

    A frame is drawn `patience` frames late (at most MOST_HELD), when it is known which of its tracks last.
    So the overlay shows only boxes that are among the labels; the first boxes of a track that took longer
    to prove itself are among the labels and not in the overlay.

    Raises:
        ClipError: no frame can be decoded.
    """
    times = PassTimes()
    start = time.perf_counter()
    with ExitStack() as stack:
        encoder = stack.enter_context(
            Behind(lambda items: _encode(items, clip, overlay, instruments, times), depth=QUEUE_DEPTH)
        )
        pictures = stack.enter_context(ahead(read_pictures(clip, times.skipped_packets), depth=QUEUE_DEPTH))
        held: deque[tuple[int, Picture]] = deque()
        for frame, picture in enumerate(pictures):
            _label(picture, detector, tracker, instruments, times)
            held.append((frame, picture))
            if len(held) > min(patience, MOST_HELD):
                _hand_over(held, instruments, encoder)
            progress.advance()
        while held:
            _hand_over(held, instruments, encoder)
    instruments.gauge.finish()
    times.total = time.perf_counter() - start
    return times


def _label(
    picture: Picture, detector: Detector, tracker: ByteTracker, instruments: Instruments, times: PassTimes
) -> None:
    began = time.perf_counter()
    found = detector.detect(picture.image)
    detected = time.perf_counter()
    sightings = tracker.update(found)
    instruments.labels.add(picture.timestamp_s, found, sightings)
    tracked = time.perf_counter()
    seen = np.array([sighting.detection for sighting in sightings], np.intp)
    instruments.gauge.take(picture.timestamp_s, picture.image, found.boxes[seen])
    if instruments.plain is not None:
        instruments.plain.offer(picture.timestamp_s, picture.image)
    times.detect += detected - began
    times.track += tracked - detected
    times.measure += time.perf_counter() - tracked


def _hand_over(
    held: deque[tuple[int, Picture]], instruments: Instruments, encoder: Behind[_Drawable]
) -> None:
    frame, picture = held.popleft()
    encoder.put(_Drawable(picture, instruments.labels.of_frame(frame)))


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
            times.draw_and_encode += time.perf_counter() - began
