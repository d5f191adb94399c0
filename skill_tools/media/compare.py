"""The side by side: original left, variant right, frame-exact, with names and values in the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import av
import cv2
import numpy as np
from av.codec.codec import UnknownCodecError
from av.video.reformatter import VideoReformatter
from PIL import Image

from skill_tools.errors import ArtifactError
from skill_tools.media.atomic import whole_file
from skill_tools.media.drawing import REFERENCE_HEIGHT, Picture, Plate, plate, stamp
from skill_tools.media.opening import open_clip, video_stream
from skill_tools.media.probe import ClipInfo, probe
from skill_tools.media.video import ClipWriter, read_frames

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

OnFrame: TypeAlias = Callable[[int, int | None], None]
"""Called with the frames done and, when it is known, how many there will be."""

_MARGIN = 18


@dataclass(frozen=True)
class Comparison:
    """The side by side that was made. `split` is the share of its width that the original takes."""

    path: Path
    frames: int
    width: int
    height: int
    fps: Fraction
    duration_s: float
    split: float


def render_compare(  # noqa: PLR0913 - two clips, their words, a file; all but the paths by name
    original: Path,
    variant: Path,
    target: Path,
    *,
    left: str,
    right: str,
    caption: Mapping[str, str],
    height: int = 720,
    on_frame: OnFrame | None = None,
) -> Comparison:
    """Write an H.264 MP4 with `original` on the left and `variant` on the right.

    Both are scaled to `height` with their aspect kept, and the film is as long as the shorter. It runs on
    the clock of the faster clip: at each of its time stamps either side shows its newest frame that is
    due. Time counts from either clip's first frame. Frames are streamed, so memory doesn't grow.

    Args:
        original: The source clip.
        variant: What was made of it.
        target: The MP4 to write; appears whole or not at all. Its folder is made.
        left: Title over the original.
        right: Title over the variant.
        caption: Sampled values, `weather: rain`, written under the variant's title.
        height: Of the picture, in pixels; even.
        on_frame: Told after each frame how far it is.

    Raises:
        ClipError: One of the clips can't be read.
        ArtifactError: `artifact.no_encoder`: this machine has no H.264 encoder.
    """
    sides = _sides(original, variant, _Words(left, right, caption), height)
    fast = max(sides, key=lambda side: side.info.fps).info
    width = sum(side.width for side in sides)
    total = _expected_frames(sides)
    target.parent.mkdir(parents=True, exist_ok=True)
    frames, end_s = 0, Fraction(0)
    try:
        with ClipWriter(target, width=width, height=height, rate=fast.fps, time_base=fast.time_base) as film:
            for moment in paired_frames(original, variant):
                pictures = [side.picture(frame) for side, frame in zip(sides, moment.frames, strict=True)]
                film.write_bgr(np.hstack(pictures), pts=round(moment.time_s / fast.time_base))
                frames, end_s = frames + 1, moment.end_s
                if on_frame:
                    on_frame(frames, total)
    except UnknownCodecError as error:
        raise ArtifactError(
            f"The side by side can't be encoded: {error}",
            expected="an H.264 encoder in the installed PyAV",
            remedy="reinstall the `av` wheel, or show the two clips and a still comparison instead",
            code="artifact.no_encoder",
        ) from error
    split = sides[0].width / width
    return Comparison(target, frames, width, height, fast.fps, float(end_s), split)


def still_comparison(  # noqa: PLR0913 - likewise
    original: Path,
    variant: Path,
    target: Path,
    *,
    left: str,
    right: str,
    caption: Mapping[str, str],
    height: int = 720,
    at_s: float | None = None,
) -> Path:
    """Write one picture of the side by side as a PNG: the frames at `at_s`, by default in the middle.

    Raises:
        ClipError: One of the clips can't be read.
    """
    sides = _sides(original, variant, _Words(left, right, caption), height)
    moment_s = min(side.info.duration_s for side in sides) / 2 if at_s is None else at_s
    frames = [frame_at(side.info.path, moment_s) for side in sides]
    picture = np.hstack([side.picture(frame) for side, frame in zip(sides, frames, strict=True)])
    save_picture(picture, target)
    return target


def media_frame(path: Path, at_s: float, target_png: Path) -> Path:
    """Write the frame that `path` shows `at_s` seconds after its first one as a PNG of the same size.

    Raises:
        ClipError: The clip can't be read.
    """
    frame = frame_at(path, at_s)
    save_picture(as_picture(frame, probe(path), frame.width, frame.height), target_png)
    return target_png


# ---- time ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moment:
    """What is shown from `time_s` to `end_s`, counted from the first frames: original, variant."""

    time_s: Fraction
    end_s: Fraction
    frames: tuple[VideoFrame, VideoFrame]


def paired_frames(original: Path, variant: Path) -> Iterator[Moment]:
    """Yield, on the clock of the faster clip, what the original and the variant show at that time.

    Ends with the shorter clip. Time stamps of containers that round (Matroska: milliseconds) are
    compared with that rounding allowed for, so that equal clips in two containers pair frame by frame.
    """
    infos = (probe(original), probe(variant))
    variant_leads = infos[1].fps > infos[0].fps
    fast, slow = (infos[1], infos[0]) if variant_leads else infos
    tolerance_s = min((fast.time_base + slow.time_base) / 2, 1 / (4 * fast.fps))
    follower = _Follower(timed_frames(slow), tolerance_s)
    for leader in timed_frames(fast):
        shown = follower.at(leader.time_s)
        if shown is None:
            return
        frames = (shown, leader.frame) if variant_leads else (leader.frame, shown)
        yield Moment(leader.time_s, follower.until(leader.end_s), frames)


@dataclass(frozen=True)
class TimedFrame:
    """A frame and the time for which it is shown, in seconds after the clip's first frame."""

    frame: VideoFrame
    time_s: Fraction
    end_s: Fraction


def timed_frames(clip: ClipInfo) -> Iterator[TimedFrame]:
    """Yield the frames of a clip with the time that each begins and ends."""
    frame_s = 1 / clip.fps
    held: tuple[VideoFrame, Fraction] | None = None
    first_s: Fraction | None = None
    for frame in read_frames(clip.path):
        stamp_s = Fraction(frame.pts or 0) * (frame.time_base or clip.time_base)
        first_s = stamp_s if first_s is None else first_s
        if held:
            yield TimedFrame(held[0], held[1], stamp_s - first_s)
        held = (frame, stamp_s - first_s)
    if held:
        yield TimedFrame(held[0], held[1], held[1] + frame_s)


def frame_at(path: Path, at_s: float) -> VideoFrame:
    """Return the frame that `path` shows `at_s` seconds after its first; past the end, the last.

    Raises:
        ClipError: The clip can't be read.
    """
    shown = None
    for shown in timed_frames(probe(path)):
        if shown.end_s > at_s:
            break
    if shown is None:
        raise ArtifactError(f"{path} has no frame", expected="a clip with at least one frame")
    return shown.frame


class _Follower:
    """The slower clip, moved along: hands out its newest frame that is due, None after its end."""

    def __init__(self, frames: Iterator[TimedFrame], tolerance_s: Fraction) -> None:
        self._frames = frames
        self._tolerance_s = tolerance_s
        self._shown = next(frames, None)
        self._following = next(frames, None)

    def at(self, time_s: Fraction) -> VideoFrame | None:
        while self._shown and self._shown.end_s <= time_s + self._tolerance_s:
            self._shown, self._following = self._following, next(self._frames, None)
        return self._shown.frame if self._shown else None

    def until(self, time_s: Fraction) -> Fraction:
        """Return `time_s`, or the end of the clip when that comes first."""
        if self._shown and not self._following:
            return min(time_s, self._shown.end_s)
        return time_s


def _expected_frames(sides: tuple[_Side, _Side]) -> int | None:
    fast = max(sides, key=lambda side: side.info.fps).info
    shorter_s = min(side.info.duration_s for side in sides)
    return round(shorter_s * fast.fps) or None


# ---- picture ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Side:
    """One half of the picture: a clip scaled to the common height, and its words."""

    info: ClipInfo
    width: int
    scaler: Scaler
    words: Plate
    words_at: tuple[int, int]

    def picture(self, frame: VideoFrame) -> Picture:
        scaled = self.scaler.picture(frame)
        stamp(scaled, self.words, *self.words_at)
        return scaled


@dataclass(frozen=True)
class _Words:
    left: str
    right: str
    caption: Mapping[str, str]


def _sides(original: Path, variant: Path, words: _Words, height: int) -> tuple[_Side, _Side]:
    # Words stand in the outer corners: there each half keeps them when a viewer wipes between the two.
    return (
        _side(probe(original), height, words.left, {}, outer_left=True),
        _side(probe(variant), height, words.right, words.caption, outer_left=False),
    )


def _side(info: ClipInfo, height: int, title: str, values: Mapping[str, str], *, outer_left: bool) -> _Side:
    margin = round(_MARGIN * height / REFERENCE_HEIGHT)
    width = max(2, round(info.width * height / info.height / 2) * 2)
    words = plate(title, values, picture_height=height, max_width=width - 2 * margin)
    x = margin if outer_left else max(0, width - margin - words.width)
    return _Side(info, width, Scaler(info, width, height), words, (x, margin))


class Scaler:
    """Turns the frames of one clip into arrays of one size, their colours read as the clip is tagged.

    Kept for a whole clip, it sets up the conversion once: frame by frame that costs most of the time.
    """

    def __init__(self, clip: ClipInfo, width: int, height: int) -> None:
        self._reformatter = VideoReformatter()
        self._matrix = clip.colour.matrix_for(clip.height)
        self._range = 2 if clip.colour.full_range else 1
        self._size = (width, height)

    def picture(self, frame: VideoFrame) -> Picture:
        """Return the frame as an array of its own."""
        scaled = self._reformatter.reformat(
            frame,
            width=self._size[0],
            height=self._size[1],
            format="bgr24",
            src_colorspace=self._matrix,
            src_color_range=self._range,
            interpolation="BICUBIC",
        )
        return np.asarray(scaled.to_ndarray(), dtype=np.uint8)


def as_picture(frame: VideoFrame, clip: ClipInfo, width: int, height: int) -> Picture:
    """Return one frame of `clip` as an array of the size given."""
    return Scaler(clip, width, height).picture(frame)


def glimpse(path: Path) -> Image.Image:
    """Return a frame from about the middle of a clip, found by a seek: quick, and any that is near will do.

    Raises:
        ClipError: The clip can't be read.
    """
    info = probe(path)
    with open_clip(path) as container:
        stream = video_stream(container, path)
        container.seek(round(info.duration_s / 2 * av.time_base))
        frame = next(container.decode(stream), None) or frame_at(path, 0.0)
        picture = as_picture(frame, info, frame.width, frame.height)
    return Image.fromarray(np.ascontiguousarray(np.rot90(picture, info.rotation // 90)[..., ::-1]))


def save_picture(picture: Picture, target: Path) -> None:
    """Write a picture as PNG or, by its name, JPEG; it appears whole or not at all.

    Somebody waits for it: OpenCV writes the same JPEG as Pillow three times as fast, and a PNG a tenth larger
    twice as fast.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    is_jpeg = target.suffix.lower() in {".jpg", ".jpeg"}
    _, coded = cv2.imencode(
        ".jpg" if is_jpeg else ".png", picture, [cv2.IMWRITE_JPEG_QUALITY, 88] if is_jpeg else []
    )
    with whole_file(target) as part:
        part.write_bytes(coded.tobytes())
