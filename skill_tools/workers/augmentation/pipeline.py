"""Decode, edit, encode: three threads with short queues between them, so memory stays where it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from queue import Empty, Full, Queue
from typing import ParamSpec, TypeVar

from av.video.frame import VideoFrame

from skill_tools.media.probe import ClipInfo
from skill_tools.media.video import ClipWriter, read_frames
from skill_tools.workers.augmentation.config import Output
from skill_tools.workers.augmentation.effects import Chain
from skill_tools.workers.augmentation.evaluators import Evaluation
from skill_tools.workers.augmentation.planes import Levels, Planes, in_planes
from skill_tools.workers.augmentation.scene import (
    Scene,
    Tracker,
    is_cut,
    look_ahead,
    shrunk,
    spread,
    understand,
)

_P = ParamSpec("_P")
_R = TypeVar("_R")

_SAMPLES = 6
_QUEUE_FRAMES = 3


@dataclass(frozen=True, eq=False)
class Decoded:
    """A frame on its way: its planes to edit, a small copy of before the edit, and its stamps."""

    planes: Planes
    small: Planes
    index: int
    pts: int
    time_base: Fraction
    duration: int
    starts_scene: bool

    @property
    def time_s(self) -> float:
        """When the frame is shown."""
        return float(self.pts * self.time_base)

    def encodable(self) -> VideoFrame:
        """Return the planes as a frame with its stamps."""
        frame = VideoFrame(*self.planes.size, "yuv420p")
        self.planes.into(frame)
        frame.pts, frame.time_base, frame.duration = self.pts, self.time_base, self.duration
        return frame


@dataclass
class Rendered:
    """What rendering a variant told."""

    frames: int = 0
    scenes: list[Scene] = field(default_factory=list)
    chains: list[Chain] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    timings_s: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Job:
    """One variant to render."""

    source: ClipInfo
    target: Path
    output: Output
    levels: Levels
    chain_for: Callable[[Scene], Chain]
    evaluation: Evaluation
    advance: Callable[[], None]


def render(job: Job) -> Rendered:
    """Write the variant to the job's target; whole or not at all.

    Memory is that of the look-ahead by which a scene is understood (at most 64 MB or 32 frames), two
    short queues, and the codecs: it doesn't grow with the clip.
    """
    result = Rendered()
    started = time.perf_counter()
    timer = _Timer(result.timings_s)
    info = job.source
    with (
        ClipWriter(
            job.target,
            width=info.width,
            height=info.height,
            rate=info.fps,
            time_base=info.time_base,
            codec=job.output.codec,
            crf=job.output.crf,
            preset=job.output.preset,
            like=info,
            audio_from=info.path if info.has_audio else None,
        ) as writer,
        closing(_Pump(lambda: _decoded(info.path, job.levels, result.skipped, timer))) as source,
        closing(_Sink(lambda item: timer.call("encode", writer.write, item.encodable()))) as sink,
    ):
        _edit(source, sink, job, result, timer)
        sink.finish()
        result.notes += writer.notes
    result.timings_s["total"] = time.perf_counter() - started
    return result


def _edit(source: _Pump, sink: _Sink, job: Job, result: Rendered, timer: _Timer) -> None:
    sampled = _sampled(job.source)
    for scene_frames, ahead in _scenes(iter(source), job):
        scene = timer.call(
            "understand",
            understand,
            spread([item.small for item in ahead]),
            (job.source.width, job.source.height),
            job.levels,
        )
        chain = timer.call("understand", job.chain_for, scene)
        result.scenes.append(scene)
        result.chains.append(chain)
        tracker = Tracker(scene)
        for item in scene_frames:
            before = item.planes.copy() if item.index in sampled else None
            begun = time.perf_counter()
            view = tracker.look(item.small, item.index, item.time_s)
            for stage in chain.stages:
                stage.apply(item.planes, view)
            timer.add("effects", time.perf_counter() - begun)
            if before is not None:
                timer.call("evaluate", job.evaluation.see, before, item.planes, view)
            sink.put(item)
            result.frames += 1
            job.advance()


def _scenes(items: Iterator[Decoded], job: Job) -> Iterator[tuple[Iterator[Decoded], Sequence[Decoded]]]:
    """Yield each scene's frames, together with those first ones of them by which it is understood."""
    depth = look_ahead(job.source.width, job.source.height)
    pending = next(items, None)
    while pending is not None:
        ahead = [pending]
        pending = None
        for item in items:
            if item.starts_scene:
                pending = item
                break
            ahead.append(item)
            if len(ahead) == depth:
                break
        following = _Following(ahead, items, pending)
        yield iter(following), tuple(ahead)
        pending = following.next_scene


class _Following:
    """A scene's frames: those looked at already, then the rest up to the next cut."""

    def __init__(self, ahead: list[Decoded], items: Iterator[Decoded], next_scene: Decoded | None) -> None:
        self._ahead, self._items, self.next_scene = ahead, items, next_scene

    def __iter__(self) -> Iterator[Decoded]:
        # Frames go out of the list as they are handed on, so that they aren't held twice as long.
        ahead = self._ahead
        ahead.reverse()
        while ahead:
            yield ahead.pop()
        if self.next_scene is not None:
            return
        for item in self._items:
            if item.starts_scene:
                self.next_scene = item
                return
            yield item


def _sampled(info: ClipInfo) -> frozenset[int]:
    total = info.frames or max(1, round(info.duration_s * info.fps))
    return frozenset(int((part + 0.5) * total / _SAMPLES) for part in range(_SAMPLES)) | {0}


def _decoded(path: Path, levels: Levels, skipped: list[str], timer: _Timer) -> Iterator[Decoded]:
    previous: Planes | None = None
    frames = read_frames(path, skipped=skipped)
    index = 0
    while True:
        begun = time.perf_counter()
        given = next(frames, None)
        if given is None:
            return
        frame = in_planes(given, levels)
        planes = Planes.of(frame)
        small = shrunk(planes)
        starts = previous is None or is_cut(previous, small)
        previous = small
        timer.add("decode", time.perf_counter() - begun)
        yield Decoded(
            planes, small, index, frame.pts or 0, frame.time_base or Fraction(0), frame.duration, starts
        )
        index += 1


class _Timer:
    """Seconds that each part of the work was busy, whatever thread it ran in."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()

    def add(self, part: str, seconds: float) -> None:
        with self._lock:
            self._seconds[part] = self._seconds.get(part, 0.0) + seconds

    def call(self, part: str, function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        begun = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            self.add(part, time.perf_counter() - begun)


class _Pump:
    """Runs an iterator in a thread of its own, a few items ahead."""

    def __init__(self, make: Callable[[], Iterator[Decoded]]) -> None:
        self._make = make
        self._queue: Queue[Decoded | BaseException | None] = Queue(_QUEUE_FRAMES)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="decode", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Decoded]:
        while True:
            item = self._queue.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        """Stop the thread and wait for it."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            for item in self._make():
                if not self._put(item):
                    return
            self._put(None)
        except BaseException as error:  # noqa: BLE001 - it is raised where the items are taken
            self._put(error)

    def _put(self, item: Decoded | BaseException | None) -> bool:
        while not self._stop.is_set():
            with suppress(Full):
                self._queue.put(item, timeout=0.1)
                return True
        return False


class _Sink:
    """Hands frames to a function in a thread of its own, a few items behind."""

    def __init__(self, take: Callable[[Decoded], None]) -> None:
        self._take = take
        self._queue: Queue[Decoded | None] = Queue(_QUEUE_FRAMES)
        self._error: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="encode", daemon=True)
        self._thread.start()

    def put(self, item: Decoded | None) -> None:
        """Pass a frame on; raise here what went wrong there."""
        while True:
            if self._error is not None:
                raise self._error
            with suppress(Full):
                self._queue.put(item, timeout=0.1)
                return

    def finish(self) -> None:
        """Wait until every frame is taken."""
        self.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Stop the thread and wait for it, whether or not every frame was taken."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                with suppress(Empty):
                    item = self._queue.get(timeout=0.1)
                    if item is None:
                        return
                    self._take(item)
        except BaseException as error:  # noqa: BLE001 - it is raised where the frames are put
            self._error = error
