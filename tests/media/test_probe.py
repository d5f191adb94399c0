"""What a clip is, and what is refused as a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from skill_tools.errors import ClipError
from skill_tools.media.probe import ColourTags, probe, read_header
from skill_tools.media.video import ClipWriter, read_frames

SAMPLE = Path(__file__).parents[2] / "assets/samples/campus_walkway.mp4"


def make_clip(
    path: Path, *, rotation: int = 0, rate: Fraction = Fraction(30000, 1001), faststart: bool = True
) -> Path:
    """Write 12 H.264 frames of 160 x 120 pixels with B-frames."""
    flags = "+faststart" if faststart else ""
    with av.open(str(path), "w", options={"movflags": flags} if flags else {}) as out:
        stream = out.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        if rotation:
            stream.set_display_rotation(rotation)
        for index in range(12):
            image = np.full((120, 160, 3), 10 * index, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        out.mux(stream.encode(None))
    return path


def test_the_sample_clip_is_what_its_notes_say() -> None:
    """Size, rate, length and codec of a real clip are read exactly."""
    info = probe(SAMPLE)
    assert (info.width, info.height, info.fps, info.frames) == (768, 576, Fraction(10), 120)
    assert (info.codec, info.pix_fmt, info.has_audio, info.rotation) == ("h264", "yuv420p", False, 0)
    assert info.duration_s == pytest.approx(12.0)


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv", "ts"])
def test_the_rate_of_television_stays_a_fraction(tmp_path: Path, container: str) -> None:
    """29.97 frames a second are 30000/1001 in every container."""
    assert probe(make_clip(tmp_path / f"clip.{container}")).fps == Fraction(30000, 1001)


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv", "ts"])
def test_what_begins_late_is_no_longer_for_that(tmp_path: Path, container: str) -> None:
    """A clip lasts from its first frame on; when that is, is told by the clock of its frames' stamps."""
    clip = tmp_path / f"late.{container}"
    with av.open(str(clip), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for index in range(50):
            frame = av.VideoFrame.from_ndarray(np.full((120, 160, 3), index, np.uint8), format="bgr24")
            frame.pts, frame.time_base = 100 + index, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    info, first = probe(clip), next(read_frames(clip))
    assert info.starts_s == pytest.approx(float(first.pts * first.time_base), abs=1e-3)
    assert info.starts_s == pytest.approx(0.0 if container == "ts" else 4.0, abs=0.1)
    assert info.duration_s == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(
    ("size", "codec", "pts"),
    [
        ((160, 120), "h264", range(9)),
        ((161, 121), "h264", range(9)),
        ((160, 120), "av1", range(9)),
        ((160, 120), "h264", (0, 1, 5, 6, 20)),
        ((160, 120), "h264", (7,)),
    ],
)
def test_the_headers_of_what_was_written_here_tell_what_its_frames_do(
    tmp_path: Path, size: tuple[int, int], codec: str, pts: Sequence[int]
) -> None:
    """Size, rate, length and codec are the same without a frame being decoded, be rates even or not."""
    clip = tmp_path / "clip.mp4"
    with ClipWriter(clip, width=size[0], height=size[1], rate=Fraction(25), codec=codec) as writer:
        for at in pts:
            writer.write_bgr(np.full((size[1], size[0], 3), 5 * at, np.uint8), at)
    info, header = probe(clip), read_header(clip)
    assert asdict(header) == {name: getattr(info, name) for name in asdict(header)}


def test_a_turned_clip_has_its_displayed_size(tmp_path: Path) -> None:
    """A quarter turn in the container's tags swaps width and height."""
    info = probe(make_clip(tmp_path / "clip.mp4", rotation=90))
    assert (info.width, info.height, info.rotation) == (120, 160, 90)


def test_untagged_colour_is_taken_by_height() -> None:
    """Without a tag HD counts as BT.709 and less as BT.601; a tag counts as it is."""
    assert ColourTags().matrix_for(720) == 1
    assert ColourTags().matrix_for(576) == 6
    assert ColourTags(matrix=9).matrix_for(576) == 9


def test_a_clip_whose_index_is_missing_is_called_cut_short(tmp_path: Path) -> None:
    """An MP4 that was cut before its index is refused with that reason."""
    clip = make_clip(tmp_path / "clip.mp4", faststart=False)
    clip.write_bytes(clip.read_bytes()[:1500])
    with pytest.raises(ClipError, match="moov"):
        probe(clip)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.mp4", b"", "empty"),
        ("text.mp4", b"hello, this is no video\n" * 40, "can't be read"),
        ("text.txt", b"hello, this is no video\n" * 40, "."),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n/etc/hostname\n", "."),
        ("list.mp4", b"ffconcat version 1.0\nfile /etc/hostname\n", "."),
    ],
)
def test_what_is_no_video_is_refused_by_name(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    """Empty files, text and lists of other files are no clips."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ClipError, match=reason) as caught:
        probe(tmp_path / name)
    assert name in caught.value.message
    assert caught.value.expected
    assert caught.value.remedy


def test_a_still_picture_is_no_clip(tmp_path: Path) -> None:
    """A PNG is refused although the decoder could read it."""
    av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24").save(tmp_path / "still.png")
    with pytest.raises(ClipError, match="no video"):
        probe(tmp_path / "still.png")


def test_sound_alone_is_no_clip(tmp_path: Path) -> None:
    """A file with sound but no picture is refused."""
    with av.open(str(tmp_path / "sound.wav"), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        out.mux(stream.encode(frame))
    with pytest.raises(ClipError, match="no video stream"):
        probe(tmp_path / "sound.wav")


def test_missing_files_and_folders_are_told_apart(tmp_path: Path) -> None:
    """A path that doesn't exist and a folder get an error each."""
    with pytest.raises(ClipError, match="does not exist"):
        probe(tmp_path / "none.mp4")
    with pytest.raises(ClipError, match="is a folder"):
        probe(tmp_path)
