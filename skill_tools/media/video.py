"""Decode clips to upright frames with exact time stamps, and encode frames to MP4s that browsers play."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import av
import av.error
import av.filter
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame

from skill_tools.errors import ClipError, InputError
from skill_tools.media.atomic import whole_file
from skill_tools.media.opening import EXPECTED_CLIP, clock_start_s, open_clip, video_stream
from skill_tools.media.probe import ClipInfo, ColourTags

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

CODECS = {"h264": "libx264", "av1": "libsvtav1"}
MP4_AUDIO_CODECS = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"})

# x264's preset names to SVT-AV1's numbers of about the same speed on two cores.
_AV1_PRESETS = {
    "ultrafast": "12",
    "superfast": "11",
    "veryfast": "10",
    "faster": "9",
    "fast": "8",
    "medium": "6",
    "slow": "5",
    "slower": "4",
    "veryslow": "3",
}
_ENTERED_ANYWHERE = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
"""Formats whose index and time stamps lead to a key frame before any moment."""
_FRAME_A_PACKET = frozenset({"h264", "hevc", "av1", "mjpeg", "prores", "png"})
"""Codecs whose packets, sound and read from the start, give a picture each."""
_FULL_RANGE = 2
_LIMITED_RANGE = 1
_CV_CPU_AVX_512F = 13  # OpenCV's number, from cvdef.h
_AV1_TELLS_ERRORS = "1"  # without it, SVT-AV1 writes its settings to stderr, some thirty lines a clip
_B_FRAMES_IN_PAIRS = ("bframes=2", "b-adapt=0", "b-pyramid=none")
_WITHOUT_B_FRAMES = "ultrafast"
_COARSE_TICK_S = Fraction(1, 2000)


class Haste(NamedTuple):
    """What is left out of decoding a clip that somebody waits for."""

    thinned: bool = False
    """Frames that no other depends on, if there are any: as a rule every other one, or two of three."""
    unfiltered: bool = False
    """The filter at the edges of blocks (H.264, HEVC, VP9), a fifth of the time: pictures differ by a code or
    so, which is nothing where they are shown at half of their size or less."""


NO_HASTE = Haste()


def frames_in(size_bytes: int, width: int, height: int) -> int:
    """Return how many 8-bit 4:2:0 frames a share of memory holds."""
    return size_bytes // max(1, width * height * 3 // 2)


def read_frames(
    path: Path,
    *,
    skipped: list[str] | None = None,
    start_s: float = -math.inf,
    threads: int = 0,
    haste: Haste = NO_HASTE,
) -> Iterator[VideoFrame]:
    """Yield the frames of a clip in presentation order, upright, each with its own time stamp.

    `frame.pts * frame.time_base` is the frame's time in seconds, as the container has it: nothing is
    rounded to a rate, so a variable frame rate stays one. Stamps rise strictly; a frame without one
    follows its predecessor by one frame of the nominal rate. What the container asks of a player, turns,
    mirrorings and the weaving apart of interlaced fields, is carried out on the frames. The pixel format is
    the clip's own.

    Broken packets are decoded around; each adds a line to `skipped`, be it that the decoder refused it,
    mended its picture or gave none for it. A clip that was cut short is read as far as it goes.

    Frames shown before `start_s` are left out; MP4 and Matroska are entered at the key frame before it,
    other containers are decoded from their start.

    The decoder's `threads` are as many as it thinks best when 0; each takes a frame. Two take a quarter more
    processor time than one, so where cores have other work anyway, fewer are better. Threads that share a
    frame's slices would be cheaper, but FFmpeg's H.264 decoder then neither mends nor tells what is broken.
    In `haste` frames come a fifth to a half sooner.

    Raises:
        ClipError: the clip can't be opened, or no frame of it can be decoded.
    """
    skipped = [] if skipped is None else skipped
    before = len(skipped)
    last: int | None = None
    try:
        for frame in _read(path, skipped, start_s=start_s, threads=threads, haste=haste):
            last = frame.pts
            yield frame
    except av.error.FFmpegError:
        # Frames that other threads held are lost with the broken one, so the rest is read with one thread.
        del skipped[before:]
        for frame in _read(path, skipped, start_s=start_s, threads=1, haste=haste):
            if last is None or (frame.pts or 0) > last:
                last = frame.pts
                yield frame
    if last is None:
        raise ClipError(
            f"No frame of {path} can be decoded ({skipped[0] if skipped else 'it holds none'}).",
            expected=EXPECTED_CLIP,
            remedy="Copy or record the clip again.",
            code="input.clip_undecodable",
        )


class ClipWriter:
    """Writes one clip; use it as a context manager.

    The file appears under its name only when the block ends without an exception, whole and synced to
    disk; otherwise nothing is left. It is an MP4 with its index in front, 8-bit 4:2:0, progressive
    download and seeking included.

    A width or height that is odd can't be had in H.264 with 4:2:0 chroma. Exact size is worth more than
    chroma subsampling here, since labels are in pixels: such clips are written as 4:4:4, which Chromium
    plays and Safari doesn't. AV1 has no such limit in its format, but its encoder here has, so it
    does the same in H.264.

    Time stamps: frames keep theirs. A container that counts in milliseconds can't express 29.97 frames
    a second; stamps within its rounding of the frame grid `rate` are put back on the grid, all others
    are kept.
    """

    def __init__(  # noqa: PLR0913 - what an encoder has to know; all but the path by name
        self,
        path: Path,
        *,
        width: int,
        height: int,
        rate: Fraction,
        time_base: Fraction | None = None,
        codec: str = "h264",
        crf: int = 20,
        preset: str = "veryfast",
        like: ClipInfo | None = None,
        audio_from: Path | None = None,
    ) -> None:
        """Describe the clip to write; nothing is created before the block is entered.

        Args:
            path: where the clip goes; its folder must exist.
            width: of every frame, in pixels.
            height: of every frame, in pixels.
            rate: nominal frames per second.
            time_base: seconds in one tick of the frames' `pts`; one frame of `rate` when None.
            codec: `h264` or `av1`.
            crf: constant rate factor of the encoder; less is better and larger.
            preset: x264's name of speed, from `ultrafast` to `veryslow`.
            like: the clip whose colour tags the new one takes.
            audio_from: the clip whose sound is copied, or encoded as AAC if an MP4 can't hold it.
        """
        if codec not in CODECS:
            raise InputError(
                f"Unknown codec {codec!r}.",
                expected=" or ".join(CODECS),
                remedy="Choose one of them.",
                code="input.codec",
            )
        self.notes: list[str] = []
        """What could not be kept as it was, in whole sentences."""
        self._rate = Fraction(rate)
        self._path = path
        self._source_tick = Fraction(time_base) if time_base else 1 / self._rate
        self._tick = _tick_for(self._source_tick, self._rate)
        self._frame_ticks = round(1 / (self._rate * self._tick))
        self._size = (width, height)
        self._codec, self._crf, self._preset = codec, crf, preset
        self._tags = like.colour if like else ColourTags()
        self._tags_known = like is not None
        self._audio_from = audio_from
        self._stack = ExitStack()
        self._drained = False

    def __enter__(self) -> Self:
        """Open the temporary file and the encoder."""
        with ExitStack() as opening:
            part = opening.enter_context(whole_file(self._path))
            self._out: OutputContainer = opening.enter_context(
                av.open(str(part), "w", format="mp4", options=_mp4_options(self._tick))
            )
            self._stream = self._add_video_stream()
            self._audio = self._add_audio(opening)
            self._last_pts: int | None = None
            self._start_s: Fraction | None = None
            self._stack = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the clip and give it its name, or remove every trace of it."""
        if error is not None:
            self._stack.__exit__(kind, error, trace)
            return
        with self._stack:
            self.drain()
            if self._audio:
                self._audio.write_until(math.inf)

    def keep_steady(self) -> None:
        """Keep the encoder from making some frames lighter than others; to be called before the first frame.

        A B frame is mostly the mean of two others, weighted by how near they are in time (ITU-T H.264,
        §8.4.2.3.1). Equal weights round halves up, so that a frame midway, and what is made from it in turn,
        gets lighter by up to half a code, which a quiet picture shows as a flicker. Weights of 1/3 and 2/3
        hardly round at all: B frames come in pairs then, and none is made from another. It takes no more
        time. For the same quality, files are as large as before where little moves or a dashcam drives on,
        and up to two fifths larger where a hand moves the camera. Nothing changes for AV1, nor for
        `ultrafast`, which has no B frames.
        """
        options = self._stream.codec_context.options
        if self._stream.codec_context.name == CODECS["h264"] and self._preset != _WITHOUT_B_FRAMES:
            given = options.get("x264-params")
            options["x264-params"] = ":".join([*([given] if given else []), *_B_FRAMES_IN_PAIRS])

    def write(self, frame: VideoFrame) -> None:
        """Encode `frame`, of any pixel format, at `frame.pts` ticks of the writer's time base.

        Time stamps must rise. Colours are converted only where the pixel format demands it. The frame's
        own stamps are as before when this returns.
        """
        given = frame.pts, frame.time_base or self._source_tick, frame.duration
        pts = self._on_grid(frame.pts)
        if self._last_pts is not None and pts <= self._last_pts:
            raise ValueError(f"frame at {pts} does not come after {self._last_pts}")
        self._last_pts = pts
        ready = self._converted(frame)
        ready.pts = pts
        ready.time_base = self._tick
        ready.duration = round(frame.duration * self._source_tick / self._tick) or self._frame_ticks
        ready.pict_type = 0  # the encoder chooses, whatever the source's encoder chose
        self._mux(self._stream.encode(ready))
        frame.pts, frame.time_base, frame.duration = given
        if self._audio:
            self._audio.write_until(float(pts * self._tick))

    def write_bgr(self, image: np.ndarray, pts: int) -> None:
        """Encode an image of shape (height, width, 3), uint8, blue first, at `pts` ticks."""
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
        frame.pts = pts
        self.write(frame)

    def drain(self) -> None:
        """Encode what the encoder holds back, which else the end of the block does; no frame may follow."""
        if not self._drained:
            self._drained = True
            self._mux(self._stream.encode(None))

    @property
    def pix_fmt(self) -> str:
        """The pixel format that is encoded; frames given in it cost no conversion."""
        return "yuv444p" if self._size[0] % 2 or self._size[1] % 2 else "yuv420p"

    def _add_video_stream(self) -> VideoStream:
        codec = "h264" if self.pix_fmt == "yuv444p" else self._codec
        if codec != self._codec:
            self.notes.append(
                f"Written as H.264, because AV1 can't be encoded at {self._size[0]}x{self._size[1]}."
            )
        preset = self._preset if codec == "h264" else _AV1_PRESETS.get(self._preset, self._preset)
        options = {"crf": str(self._crf), "preset": preset}
        if codec == "av1":
            options["svtav1-params"] = "lp=0"
            os.environ.setdefault("SVT_LOG", _AV1_TELLS_ERRORS)
        elif _has_avx512():
            # x264's AVX-512 code was seen to give other bits now and then for the same pictures, on a busy
            # machine; its AVX2 code is as fast and gives the same ones each time.
            options["x264-params"] = "asm=avx2"
        stream: VideoStream = self._out.add_stream(  # type: ignore[assignment]  # typed by literal names
            CODECS[codec], rate=self._rate, options=options
        )
        stream.width, stream.height = self._size
        stream.pix_fmt = self.pix_fmt
        stream.time_base = self._tick
        context = stream.codec_context
        context.time_base = self._tick
        context.color_range = _FULL_RANGE if self._tags.full_range else _LIMITED_RANGE
        context.color_primaries = self._tags.primaries
        context.color_trc = self._tags.transfer
        context.colorspace = self._tags.matrix if self._tags_known else self._tags.matrix_for(self._size[1])
        return stream

    def _add_audio(self, stack: ExitStack) -> _AudioCopy | None:
        if self._audio_from is None:
            return None
        source = stack.enter_context(open_clip(self._audio_from))
        if not source.streams.audio:
            return None
        try:
            return _AudioCopy(source, self._out, self.notes)
        except (av.error.FFmpegError, ValueError) as error:
            self.notes.append(f"The sound was left out: {error}.")
            return None

    def _converted(self, frame: VideoFrame) -> VideoFrame:
        matrix = self._tags.matrix_for(self._size[1])
        wanted = _FULL_RANGE if self._tags.full_range else _LIMITED_RANGE
        given = frame.color_range
        if frame.format.is_rgb:
            return frame.reformat(format=self.pix_fmt, dst_colorspace=matrix, dst_color_range=wanted)
        if given not in {_FULL_RANGE, _LIMITED_RANGE}:
            given = wanted
        if frame.format.name == self.pix_fmt and given == wanted:
            return frame
        return frame.reformat(
            format=self.pix_fmt,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=given,
            dst_color_range=wanted,
        )

    def _on_grid(self, pts: int | None) -> int:
        if pts is None:
            return 0 if self._last_pts is None else self._last_pts + self._frame_ticks
        time_s = pts * self._source_tick
        if self._start_s is None:
            self._start_s = time_s
        if self._source_tick > _COARSE_TICK_S and self._tick != self._source_tick:
            nearest = self._start_s + round((time_s - self._start_s) * self._rate) / self._rate
            if abs(nearest - time_s) <= self._source_tick:
                time_s = nearest
        return round(time_s / self._tick)

    def _mux(self, packets: list[Packet[Any]]) -> None:
        for packet in packets:
            self._out.mux(packet)


class _Stamper:
    """Gives frames rising stamps that count from the clip's start."""

    def __init__(self, stream: VideoStream, start_s: float) -> None:
        self._tick = stream.time_base or Fraction(1, 90_000)
        self._shift = round(start_s / self._tick)
        self._step = max(1, round(1 / ((stream.average_rate or stream.guessed_rate or 25) * self._tick)))
        self._last: int | None = None

    def stamp(self, frame: VideoFrame) -> Fraction:
        """Stamp `frame` and return until when it is shown, in seconds."""
        if frame.pts is None:
            frame.pts = 0 if self._last is None else self._last + self._step
        else:
            frame.pts -= self._shift
        if self._last is not None and frame.pts <= self._last:
            frame.pts = self._last + 1
        self._last = frame.pts
        return (frame.pts + (frame.duration or self._step)) * self._tick


class _Shown:
    """Carries out on the frames what a clip asks of a player: its display matrix, and deinterlacing.

    Fields are woven apart by BWDIF (Weston 3-field with motion from w3fdif and yadif), a frame for a frame;
    frames that aren't flagged as interlaced pass as they are. It looks ahead by one frame.
    """

    def __init__(self) -> None:
        self._asked: tuple[bytes | None, bool] = (None, False)
        self._turn: int | None = None
        self._graph: av.filter.Graph | None = None
        self._held: deque[tuple[int | None, Fraction | None, int]] = deque()

    def frames(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Yield the frames that are ready once `frame` is known."""
        matrix = self._asked[0]
        # A look at a frame's side data ties the frame into a circle that only the garbage collector unties,
        # gigabytes later; its angle alone can be had without.
        if frame.rotation != self._turn:
            self._turn, matrix = frame.rotation, _display_matrix(frame)
        asked = matrix, frame.interlaced_frame or self._asked[1]
        if asked != self._asked:
            yield from self.rest()
            self._asked, self._graph = asked, _graph_for(_filters_for(*asked), frame)
        if self._graph is None:
            yield frame
            return
        self._held.append((frame.pts, frame.time_base, frame.duration))
        self._graph.vpush(frame)
        yield from self._ready()

    def rest(self) -> Iterator[VideoFrame]:
        """Yield what is still held back, at the end of the clip."""
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._ready()

    def _ready(self) -> Iterator[VideoFrame]:
        while self._graph is not None and self._held:
            try:
                shown = self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            shown.pts, shown.time_base, shown.duration = self._held.popleft()
            yield shown


def _display_matrix(frame: VideoFrame) -> bytes | None:
    data = frame.side_data.get(SideDataType.DISPLAYMATRIX)  # type: ignore[call-overload]  # the stub says str
    return None if data is None else bytes(data)


def _filters_for(matrix: bytes | None, interlaced: bool) -> list[tuple[str, str]]:
    """Return the filters for a clip: deinterlacing, then a transposition and mirrorings for its matrix.

    A matrix is taken for one of quarter turns: a point (x, y) of the coded picture is shown at
    (a·x + c·y, b·x + d·y), ISO/IEC 14496-12 §6.2.2.
    """
    weave = [("bwdif", "mode=send_frame:deint=interlaced")] if interlaced else []
    if matrix is None:
        return weave
    a, b, _, c, d, *_ = np.frombuffer(matrix, dtype=np.int32).tolist()
    transposed = abs(b) + abs(c) > abs(a) + abs(d)
    filters = [("transpose", "cclock_flip")] if transposed else []
    across, down = (c, b) if transposed else (a, d)
    filters += [("hflip", "")] if across < 0 else []
    filters += [("vflip", "")] if down < 0 else []
    return weave + filters


def _graph_for(filters: list[tuple[str, str]], frame: VideoFrame) -> av.filter.Graph | None:
    if not filters:
        return None
    graph = av.filter.Graph()
    last = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    for name, arguments in filters:
        following = graph.add(name, arguments)
        last.link_to(following)
        last = following
    last.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


def _read(
    path: Path, skipped: list[str], *, start_s: float, threads: int, haste: Haste
) -> Iterator[VideoFrame]:
    """Yield frames as they are to be shown, with stamps; one thread decodes around what is broken.

    Raises:
        FFmpegError: the decoder refuses a packet, and has several threads.
    """
    with open_clip(path) as container:
        stream = video_stream(container, path)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        if haste.unfiltered:
            stream.codec_context.options = {"skip_loop_filter": "all"}
        if haste.thinned:
            stream.codec_context.skip_frame = "NONREF"
        stamper = _Stamper(stream, clock_start_s(container))
        shown = _Shown()
        if start_s > 0 and container.format.name in _ENTERED_ANYWHERE:
            container.seek(round(start_s * av.time_base))
        for decoded in _decode(container, stream, skipped, strict=threads != 1):
            if stamper.stamp(decoded) > start_s:
                yield from shown.frames(decoded)
        yield from shown.rest()


def _decode(
    container: InputContainer, stream: VideoStream, skipped: list[str], *, strict: bool
) -> Iterator[VideoFrame]:
    packets = container.demux(stream)
    packet: Packet[Any] | None = None
    refused = pictures = given = 0
    while True:
        frames: list[VideoFrame] = []
        try:
            packet = next(packets, None)
            if packet is None:
                break
            given += bool(packet.size) and not packet.is_discard  # which an edit list leaves out
            frames = packet.decode()
        except av.error.FFmpegError as error:
            if strict:
                raise
            skipped.append(f"packet {_seconds(packet)}: {error.strerror or error}")
            if packet is None or not isinstance(error, av.error.InvalidDataError):
                return
            refused += 1
        skipped += [
            f"packet of frame {_seconds(frame)}: damaged, its picture was mended"
            for frame in frames
            if frame.is_corrupt
        ]
        pictures += len(frames)
        yield from frames
    whole = stream.codec_context.skip_frame == "DEFAULT"
    if whole and stream.codec.canonical_name in _FRAME_A_PACKET:
        skipped += ["packet without a picture"] * (given - pictures - refused)


def _seconds(part: Packet[Any] | VideoFrame | None) -> str:
    if part is None or part.dts is None or part.time_base is None:
        return "without a time"
    return f"at {float(part.dts * part.time_base):.3f} s"


@cache
def _has_avx512() -> bool:
    import cv2

    return bool(cv2.checkHardwareSupport(_CV_CPU_AVX_512F))


def _mp4_options(tick: Fraction) -> dict[str, str]:
    # Where a track starts is written in ticks of the whole movie, by default milliseconds.
    return {"movflags": "+faststart", "movie_timescale": str(max(1000, tick.denominator))}


def _tick_for(source_tick: Fraction, rate: Fraction) -> Fraction:
    """Return a tick that holds both the source's stamps and the rate's grid; for a fine tick, itself."""
    if source_tick <= _COARSE_TICK_S or (source_tick * rate).numerator == 1:
        return source_tick
    both = math.lcm(source_tick.denominator, rate.numerator)
    return Fraction(1, both) if both <= 10_000_000 else Fraction(1, 90_000)  # noqa: PLR2004 - stay well in 32 bits


class _AudioCopy:
    """Moves one clip's sound into another container alongside its picture."""

    def __init__(self, source: InputContainer, out: OutputContainer, notes: list[str]) -> None:
        self._out, self._notes = out, notes
        self._start_s = clock_start_s(source)
        self._source: AudioStream = source.streams.audio[0]
        name = self._source.codec.canonical_name
        self._copied = name in MP4_AUDIO_CODECS
        if self._copied:
            self._target = out.add_stream_from_template(self._source)
        else:
            context = self._source.codec_context
            layout = "mono" if context.channels == 1 else "stereo"
            self._target = out.add_stream("aac", rate=context.sample_rate, layout=layout)
            notes.append(f"The sound was encoded again as AAC, because an MP4 can't hold {name}.")
        self._packets: Iterator[Packet[Any]] | None = source.demux(self._source)
        self._time_s = -math.inf

    def write_until(self, time_s: float) -> None:
        """Write the packets up to `time_s`, so that sound and picture lie side by side in the file."""
        while self._packets is not None and self._time_s < time_s:
            try:
                self._write_next(next(self._packets, None))
            except av.error.FFmpegError as error:
                self._notes.append(
                    f"The sound ends at {max(self._time_s, 0):.2f} s: {error.strerror or error}."
                )
                self._packets = None

    def _write_next(self, packet: Packet[Any] | None) -> None:
        if packet is None:
            self._packets = None
            if not self._copied:
                self._out.mux(self._target.encode(None))
            return
        if packet.dts is None:
            return
        self._time_s = float(packet.dts * packet.time_base) - self._start_s
        if self._copied:
            self._shift(packet)
            packet.stream = self._target
            self._out.mux(packet)
            return
        for frame in self._source.decode(packet):
            self._shift(frame)
            self._out.mux(self._target.encode(frame))

    def _shift(self, item: Packet[Any] | av.AudioFrame) -> None:
        shift = round(self._start_s / item.time_base) if item.time_base else 0
        if item.pts is not None:
            item.pts -= shift
        if item.dts is not None:
            item.dts -= shift
