"""Decode once, edit for each variant, encode each: the clip streams through, and nothing is held for long.

A thread decodes, two edit, one a variant encodes, and one evaluates samples. The encoders are what takes
the time; all others give way and fill their gaps.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Self, TypeVar

import cv2
from av.video.frame import VideoFrame

from skill_tools.media.probe import ClipInfo
from skill_tools.media.video import ClipWriter, frames_in
from skill_tools.workers.augmentation.background import Standpoint
from skill_tools.workers.augmentation.boxes import Box
from skill_tools.workers.augmentation.config import Output
from skill_tools.workers.augmentation.decoded import Decoded, Reading, SceneFrames, scenes
from skill_tools.workers.augmentation.effects import Chain, Stage, edited
from skill_tools.workers.augmentation.evaluators import Evaluation
from skill_tools.workers.augmentation.planes import Levels, Map, Planes, in_planes
from skill_tools.workers.augmentation.relay import Relay
from skill_tools.workers.augmentation.scene import Light, Scene, View, look_ahead, understand
from skill_tools.workers.augmentation.threads import Courtesy, Pump, Sink, Timer
from skill_tools.workers.augmentation.tracking import Tracker

T = TypeVar("T")

_SAMPLES = 6
_AHEAD_BYTES, _AHEAD_FRAMES = 48 << 20, 32  # decoded while a scene is understood, for want of other work
_QUEUE_BYTES = 6 << 20  # edited frames that wait for long are out of the caches when they are encoded
_QUEUE_FRAMES = 12
_MOST_DECODING = 16  # threads; as many as FFmpeg takes by itself, since each holds frames

_FADES = "Where the picture fades from or to black, what is added fades with it."


def cores() -> int:
    """Return how many processors this process may use, by its binding and its container's quota."""
    return cv2.getNumberOfCPUs()


def decoder_threads() -> int:
    """Return how many threads decode a variant's clip: half the cores, since the others have enough to do."""
    return max(1, min(cores() // 2, _MOST_DECODING))


@dataclass(frozen=True)
class SceneAccount:
    """What is written down of a scene and its effects: no picture of it, since a clip may have thousands."""

    still: bool
    quiet: bool
    falling: bool
    ground_trust: float
    horizon: float
    light: Light
    parameters: Mapping[str, Mapping[str, float]]
    notes: tuple[str, ...]
    already: frozenset[str]
    picture: Box | None
    """Between black bars, if there are such."""

    @classmethod
    def of(cls, scene: Scene, chain: Chain, picture: Box | None) -> Self:
        """Return the account of a scene, of the chain that was made for it, and of where in frames it is."""
        geometry = scene.geometry
        return cls(
            scene.still,
            scene.quiet,
            scene.falling,
            geometry.trust,
            geometry.horizon,
            scene.light,
            chain.parameters,
            chain.notes,
            chain.already,
            picture,
        )


@dataclass
class Rendered:
    """What rendering a variant told; scenes, broken packets and timings are those of all that shared them."""

    frames: int = 0
    scenes: list[SceneAccount] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    timings_s: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Job:
    """One variant to render."""

    target: Path
    output: Output
    draw_ahead: Callable[[], None]
    """Called while nothing is known of the clip."""
    chain_for: Callable[[Scene], Chain]
    evaluation: Evaluation
    advance: Callable[[], None]


def render(reading: Reading, source: ClipInfo, levels: Levels, jobs: Sequence[Job]) -> list[Rendered]:
    """Write variants of the clip that is read, each whole or not at all; return what each told.

    The clip is decoded and its scenes are understood once for all of them. Memory is that of the
    look-ahead by which a scene is understood, short queues, and the codecs: it doesn't grow with the
    clip, but by an encoder with each variant.
    """
    started = time.perf_counter()
    timer = Timer()
    with ExitStack() as stack:
        behind = _frames_in(_QUEUE_BYTES // len(jobs), source, most=_QUEUE_FRAMES)
        lanes = [_Lane(source, job, behind, stack, timer) for job in jobs]
        ahead = _frames_in(_AHEAD_BYTES // len(jobs), source, most=_AHEAD_FRAMES)
        at_once = stack.enter_context(ThreadPoolExecutor(1, "understand"))
        for job in jobs:
            at_once.submit(job.draw_ahead)  # if it fails, so does what would have found it drawn
        decoded = _pump(_decoded(reading, levels, timer), ahead, "decode", stack)
        begun = _pump(_begun(decoded.items(), source, levels, lanes, timer, at_once), 1, "edit", stack)
        finished = _pump((frame.finished(timer) for frame in begun.items()), 1, "finish", stack)
        courtesy = Courtesy(
            (decoded, begun, finished, *(lane.evaluating for lane in lanes)),
            [lane.encoding for lane in lanes],
        )
        for frame in finished.items(courtesy.look_after):
            courtesy.look_after()
            frame.lane.take(frame)
        courtesy.end()
        for lane in lanes:
            lane.finish()
    timings = timer.seconds | {"total": time.perf_counter() - started}
    for lane in lanes:
        lane.told.skipped += reading.skipped
        lane.told.timings_s |= timings
    return [lane.told for lane in lanes]


@dataclass(frozen=True, eq=False)
class _Begun:
    """A frame on its way through a variant's stages."""

    lane: _Lane
    item: Decoded
    planes: Planes
    """Of the frame as far as it is edited."""
    view: View
    rest: tuple[Stage, ...]
    is_sample: bool
    """Whether the evaluators get it."""

    def finished(self, timer: Timer) -> _Begun:
        """Apply the stages that are left."""
        with timer.spent_on("effects"):
            return replace(self, planes=edited(self.planes, self.view, self.rest).own(), rest=())


class _Lane:
    """One variant's way from edited planes to its file, and to its evaluators."""

    def __init__(self, source: ClipInfo, job: Job, behind: int, stack: ExitStack, timer: Timer) -> None:
        self.told = Rendered()
        self._job, self._timer = job, timer
        self._relay = Relay(())
        self._writer = stack.enter_context(_writer(source, job))
        self.encoding = stack.enter_context(closing(Sink(self._encode, behind=behind, name="encode")))
        self.evaluating = stack.enter_context(
            closing(Sink(self._evaluate, behind=max(1, behind // 2), name="evaluate"))
        )

    def enter(self, scene: Scene, picture: Box | None) -> None:
        """Make the effects fit a scene that begins, and the encoder the first one."""
        with self._timer.spent_on("understand"):
            chain = self._job.chain_for(scene)
        if scene.quiet and not self.told.scenes:
            self._writer.keep_steady()
        self._relay = Relay(chain.stages)
        self.told.scenes.append(SceneAccount.of(scene, chain, picture))

    def begin(self, item: Decoded, view: View, *, is_sample: bool) -> _Begun:
        """Begin to edit a frame."""
        with self._timer.spent_on("effects"):
            planes, rest = self._relay.begin(item.planes, view)
        return _Begun(self, item, planes, view, rest, is_sample)

    def take(self, done: _Begun) -> None:
        """Pass an edited frame on to the encoder, and a sample to the evaluators."""
        if done.is_sample:
            self.evaluating.put((done.item.planes, done.planes, done.view.geometry.ground))
        self.encoding.put(done.item.framed(done.planes))
        if done.item.fade and done.item.fade.is_plain and _FADES not in self.told.notes:
            self.told.notes.append(_FADES)
        self.told.frames += 1
        self._job.advance()

    def finish(self) -> None:
        """Wait until all is encoded and evaluated."""
        self.encoding.finish()
        self._writer.drain()
        self.evaluating.finish()
        self.told.notes += self._writer.notes

    def _encode(self, frame: VideoFrame) -> None:
        with self._timer.spent_on("encode"):
            self._writer.write(frame)

    def _evaluate(self, given: tuple[Planes, Planes, Map]) -> None:
        with self._timer.spent_on("evaluate"):
            self._job.evaluation.see(*given)


def _pump(items: Iterator[T], ahead: int, name: str, stack: ExitStack) -> Pump[T]:
    return stack.enter_context(closing(Pump(items, ahead=ahead, name=name)))


def _writer(source: ClipInfo, job: Job) -> ClipWriter:
    return ClipWriter(
        job.target,
        width=source.width,
        height=source.height,
        rate=source.fps,
        time_base=source.time_base,
        codec=job.output.codec,
        crf=job.output.crf,
        preset=job.output.preset,
        like=source,
        audio_from=source.path if source.has_audio else None,
    )


def _begun(
    items: Iterator[Decoded],
    source: ClipInfo,
    levels: Levels,
    lanes: Sequence[_Lane],
    timer: Timer,
    at_once: Executor,
) -> Iterator[_Begun]:
    """Yield each frame, once for each variant, edited by the first of its stages."""
    due = deque(_sampled(source))

    def understood(frames: SceneFrames) -> Scene:
        with timer.spent_on("understand"):
            picture = frames.leave_out()
            size = picture.size if picture else (source.width, source.height)
            scene = understand(frames.samples(), size, levels)
        for lane in lanes:
            lane.enter(scene, picture)
        return scene

    for scene_frames in scenes(items, look_ahead((source.width, source.height), source.fps), levels):
        # All wait for this, so a thread that goes last is not the one to do it.
        scene = at_once.submit(understood, scene_frames).result()
        scene_frames.end_with(Standpoint(scene.background) if scene.still else None)
        tracker = Tracker(scene)
        for item in scene_frames:
            with timer.spent_on("effects"):
                view = tracker.look(item.planes, item.index, item.time_s, item.shrink)
                is_sample = bool(due) and item.index >= due[0] and not item.fade
                if is_sample:
                    due.popleft()
                    _ = view.geometry  # which the evaluators ask for, when other frames have been looked at
            for lane in lanes:
                yield lane.begin(item, view, is_sample=is_sample)


def _frames_in(size_bytes: int, source: ClipInfo, *, most: int) -> int:
    """Return how many frames a share of memory holds: at least 3."""
    return max(3, min(most, frames_in(size_bytes, source.width, source.height)))


def _sampled(info: ClipInfo) -> list[int]:
    """Return from which frames on the next one that isn't faded is evaluated: the first, and six others."""
    total = info.frames or max(1, round(info.duration_s * info.fps))
    return sorted({0, *(int((part + 0.5) * total / _SAMPLES) for part in range(_SAMPLES))})


def _decoded(reading: Reading, levels: Levels, timer: Timer) -> Iterator[Decoded]:
    previous: Decoded | None = None
    for index in count():
        with timer.spent_on("decode"):
            frame = next(reading.frames, None)
            if frame is None:
                return
            item = Decoded(in_planes(frame, levels), index, previous)
        yield item
        previous = item
