"""What a clip is: size as displayed, rate, length, codec, colour; known after decoding one frame."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from skill_tools.errors import ClipError
from skill_tools.media.opening import EXPECTED_CLIP, clock_start_s, open_clip, video_stream

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

UNSPECIFIED = 2
"""The value of a colour tag that isn't set (ITU-T H.273)."""


@dataclass(frozen=True)
class ColourTags:
    """A clip's colour description as code points of ITU-T H.273; 2 is unspecified."""

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED
    full_range: bool = False

    def matrix_for(self, height: int) -> int:
        """Return the YCbCr matrix to calculate with: the tagged one, else 709 for HD and 601 below."""
        if self.matrix not in {0, UNSPECIFIED}:
            return self.matrix
        return 1 if height >= 720 else 6  # noqa: PLR2004 - the height at which players switch


@dataclass(frozen=True)
class ClipHeader:
    """What the container tells of a clip, in the size that is coded."""

    width: int
    height: int
    fps: Fraction
    frames: int | None
    """Number of frames, as far as the container tells."""
    duration_s: float
    codec: str
    starts_s: float = field(default=0.0, kw_only=True)
    """When the first frame is shown, by the clock of the frames' stamps; as far as the container tells."""


@dataclass(frozen=True)
class ClipInfo(ClipHeader):
    """What a clip is. Sizes are as displayed: a clip turned by its tag counts as turned."""

    path: Path
    pix_fmt: str
    has_audio: bool
    rotation: int
    """Counter-clockwise turn in degrees that the decoder's frames were given; frames come upright."""
    time_base: Fraction = Fraction(1, 90_000)
    """Seconds in one tick of the frames' time stamps."""
    colour: ColourTags = ColourTags()
    interlaced: bool = False


def probe(path: Path) -> ClipInfo:
    """Tell what the clip at `path` is, from its headers and its first frame.

    Raises:
        ClipError: it is missing, empty, a folder, cut short before its index, or not a video.
    """
    with open_clip(path) as container:
        stream = video_stream(container, path)
        frame = _of_first_packet(container, stream) or _first_frame(path)
        turned = frame.rotation % 180 != 0
        return ClipInfo(
            path=path,
            width=frame.height if turned else frame.width,
            height=frame.width if turned else frame.height,
            fps=_frame_rate(stream),
            frames=_frames(container, stream),
            duration_s=_duration_s(container, stream),
            starts_s=_starts_s(container, stream),
            codec=stream.codec.canonical_name,
            pix_fmt=frame.format.name,
            has_audio=bool(container.streams.audio),
            rotation=frame.rotation,
            time_base=_time_base(stream),
            colour=_colour_tags(frame),
            interlaced=frame.interlaced_frame,
        )


def read_header(path: Path) -> ClipHeader:
    """Tell what the headers of the clip at `path` say, of an MP4 a tenth of the work of `probe`.

    Enough for a clip that was written here; others may be turned by a tag, or say little in their headers.

    Raises:
        ClipError: it is missing, empty, a folder, cut short before its index, or not a video.
    """
    with open_clip(path) as container:
        stream = video_stream(container, path)
        return ClipHeader(
            width=stream.width,
            height=stream.height,
            fps=_frame_rate(stream),
            frames=_frames(container, stream),
            duration_s=_duration_s(container, stream),
            starts_s=_starts_s(container, stream),
            codec=stream.codec.canonical_name,
        )


def _of_first_packet(container: InputContainer, stream: VideoStream) -> VideoFrame | None:
    """Return the frame that the first packet alone holds, None if it holds none.

    A decoder that is told that nothing follows gives it at once; else it takes in as many packets as frames
    may be out of their order, which costs twice as much.
    """
    import av.error

    with suppress(av.error.FFmpegError, StopIteration):
        packet = next(container.demux(stream))
        frames = packet.decode() or stream.codec_context.decode(None)
        return next(iter(frames), None)
    return None


def _first_frame(path: Path) -> VideoFrame:
    """Return the first frame that can be decoded, of a clip that is opened anew."""
    import av.error

    reason = "it holds no frame"
    with open_clip(path) as container:
        stream = video_stream(container, path)
        codec = stream.codec_context.name
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
                for frame in packet.decode():
                    return frame
            except StopIteration:
                break
            except av.error.FFmpegError as error:
                reason = error.strerror or str(error)
                if not isinstance(error, av.error.InvalidDataError):
                    break
    raise ClipError(
        f"No frame of the {codec} stream in {path} can be decoded ({reason}).",
        expected=EXPECTED_CLIP,
        remedy="Copy or record the clip again.",
        code="input.clip_undecodable",
    )


def _time_base(stream: VideoStream) -> Fraction:
    return stream.time_base or Fraction(1, 90_000)


def _frame_rate(stream: VideoStream) -> Fraction:
    average, base = stream.average_rate, stream.base_rate
    # A container's average is a frame count over a rounded duration; where it says nothing else than
    # the codec's rate does, the latter is the exact one (29.97 is 30000/1001).
    if average and base and abs(average / base - 1) < Fraction(1, 1000):
        return Fraction(base)
    return Fraction(average or base or stream.guessed_rate or 25)


def _frames(container: InputContainer, stream: VideoStream) -> int | None:
    # An MP4 that was trimmed without encoding it anew keeps frames that its edit list leaves out.
    shown = _duration_s(container, stream) * _frame_rate(stream)
    return stream.frames if 0 < stream.frames < 1.01 * shown + 2 else None


def _starts_s(container: InputContainer, stream: VideoStream) -> float:
    if stream.start_time is None or stream.time_base is None:
        return 0.0
    return max(0.0, float(stream.start_time * stream.time_base) - clock_start_s(container))


def _duration_s(container: InputContainer, stream: VideoStream) -> float:
    import av

    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None:  # up to the end, as Matroska and FLV have it
        return max(0.0, container.duration / av.time_base - _starts_s(container, stream))
    return 0.0


def _colour_tags(frame: VideoFrame) -> ColourTags:
    full = frame.color_range == 2 or frame.format.name.startswith("yuvj")  # noqa: PLR2004 - AVCOL_RANGE_JPEG
    if frame.format.is_rgb:
        return ColourTags()
    return ColourTags(frame.color_primaries, frame.color_trc, frame.colorspace, full)
