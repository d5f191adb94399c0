"""Bring any clip into an MP4, losing as little as can be."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import av
import av.error

from skill_tools.media.atomic import whole_file
from skill_tools.media.opening import clock_start_s, open_clip, video_stream
from skill_tools.media.probe import probe
from skill_tools.media.video import MP4_AUDIO_CODECS, ClipWriter, read_frames

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

Preparation = Literal["copied", "remuxed", "transcoded"]

MP4_VIDEO_CODECS = frozenset({"h264", "hevc", "av1", "mpeg4", "vp9"})
_LONGEST_REORDERING = 16  # frames, the most that H.264 and HEVC allow


def prepare_mp4(source: Path, target: Path) -> Preparation:
    """Put the clip `source` at `target` as an MP4, losing as little as can be.

    A file that already is an MP4 or MOV is linked or copied byte for byte; another container is
    re-wrapped without re-encoding where an MP4 can hold its picture; anything else is encoded as H.264
    at CRF 12. `target` appears whole or not at all, and only its own folder is written to.

    Raises:
        ClipError: `source` can't be read as a clip.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with open_clip(source) as container:
        stream = video_stream(container, source)
        is_mp4 = "mp4" in container.format.name.split(",")
        can_remux = stream.codec.canonical_name in MP4_VIDEO_CODECS and all(
            sound.codec.canonical_name in MP4_AUDIO_CODECS for sound in container.streams.audio
        )
    if is_mp4:
        _link_or_copy(source, target)
        return "copied"
    if can_remux and _remux(source, target):
        return "remuxed"
    _transcode(source, target)
    return "transcoded"


def _link_or_copy(source: Path, target: Path) -> None:
    with whole_file(target) as part:
        try:
            part.hardlink_to(source.resolve())
        except OSError:
            shutil.copyfile(source, part)


def _remux(source: Path, target: Path) -> bool:
    """Re-wrap without re-encoding; False when the packets don't fit an MP4 after all."""
    try:
        with (
            whole_file(target) as part,
            open_clip(source) as container,
            av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as out,
        ):
            _copy_packets(container, [video_stream(container, source), *container.streams.audio], out)
    except (av.error.FFmpegError, ValueError):
        return False
    return True


def _copy_packets(container: InputContainer, kept: list[Stream], out: OutputContainer) -> None:
    copies = {stream.index: out.add_stream_from_template(stream) for stream in kept}
    for packet in _with_decode_times(container.demux(kept), clock_start_s(container)):
        packet.stream = copies[packet.stream.index]
        out.mux(packet)


def _with_decode_times(packets: Iterable[Packet[Any]], start_s: float) -> Iterator[Packet[Any]]:
    """Yield `packets` counted from `start_s`, each with a decode time, which Matroska's first ones lack.

    Raises:
        ValueError: a packet has no presentation time, or none of the first has a decode time.
    """
    waiting: dict[int, list[Packet[Any]]] = defaultdict(list)
    for packet in packets:
        if packet.size == 0:  # the demuxer's flush
            continue
        head = waiting[packet.stream.index]
        if packet.pts is None or (packet.dts is None and len(head) > _LONGEST_REORDERING):
            raise ValueError("a packet without a time stamp can't be placed in an MP4")
        shift = round(start_s / packet.time_base)
        packet.pts -= shift
        head.append(packet)
        if packet.dts is None:
            continue
        step = max(1, packet.duration or 1)
        decoded_at = packet.dts - shift
        for behind, waiting_packet in enumerate(reversed(head)):
            waiting_packet.dts = decoded_at - behind * step
        yield from head
        head.clear()
    if any(waiting.values()):
        raise ValueError("a stream without decode times can't be placed in an MP4")


def _transcode(source: Path, target: Path) -> None:
    info = probe(source)
    with ClipWriter(
        target,
        width=info.width,
        height=info.height,
        rate=info.fps,
        time_base=info.time_base,
        crf=12,
        like=info,
        audio_from=source,
    ) as writer:
        for frame in read_frames(source):
            writer.write(frame)
