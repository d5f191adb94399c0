"""Frames keep their times, sizes and colours on the way in and out; files are whole or absent."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from skill_tools.errors import ClipError, InputError
from skill_tools.media.container import prepare_mp4
from skill_tools.media.probe import ClipInfo, probe
from skill_tools.media.video import ClipWriter, Haste, read_frames
from tests.media.restamped import restamped

SAMPLE = Path(__file__).resolve().parents[2] / "assets/samples/campus_walkway.mp4"
NTSC = Fraction(30000, 1001)


def picture(index: int, width: int = 160, height: int = 120) -> np.ndarray:
    """Return a BGR image whose top left corner is white and whose rest differs from frame to frame."""
    image = np.full((height, width, 3), (60, 40 + 8 * index, 120), np.uint8)
    image[: height // 4, : width // 4] = 255
    return image


def make_clip(  # noqa: PLR0913 - the ways in which test clips differ
    path: Path,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (160, 120),
    rate: Fraction = Fraction(25),
    stamps: Sequence[int] = range(12),
    sound: str | None = None,
    rotation: int = 0,
    full_range: bool = False,
    options: dict[str, str] | None = None,
) -> Path:
    """Write frames at `stamps` (in frames of `rate`), with a codec, format, sound and turn of choice."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        stream.codec_context.color_range = 2 if full_range else 0
        audio = out.add_stream(sound, rate=48000, layout="mono") if sound else None
        if rotation:
            stream.set_display_rotation(rotation)
        for index, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(picture(index, *size), format="bgr24")
            frame = frame.reformat(format=pix_fmt, dst_color_range=2 if full_range else 1)
            frame.pts, frame.time_base = stamp, 1 / rate
            out.mux(stream.encode(frame))
            if audio:
                tone = av.AudioFrame.from_ndarray(
                    np.zeros((1, 1920), np.float32), format="fltp", layout="mono"
                )
                tone.sample_rate, tone.pts, tone.time_base = 48000, 1920 * index, Fraction(1, 48000)
                out.mux(audio.encode(tone))
        out.mux(stream.encode(None))
        if audio:
            out.mux(audio.encode(None))
    return path


def fail_after(writer: ClipWriter) -> None:
    """Write a frame, then fail."""
    writer.write_bgr(picture(0), 0)
    raise RuntimeError("stop")


def times_of(path: Path) -> list[Fraction]:
    """Return the exact time of every frame."""
    return [frame.pts * frame.time_base for frame in read_frames(path)]


def copy_of(source: Path, target: Path, **options: str) -> tuple[ClipInfo, list[str]]:
    """Write `source` again with a ClipWriter; return what came out and the writer's notes."""
    info = probe(source)
    with ClipWriter(
        target,
        width=info.width,
        height=info.height,
        rate=info.fps,
        time_base=info.time_base,
        like=info,
        audio_from=source,
        **options,
    ) as writer:
        for frame in read_frames(source):
            writer.write(frame)
    return probe(target), writer.notes


def test_unfiltered_pictures_differ_little_and_show_the_same_moments() -> None:
    """What is left out of decoding is some codes at the edges of blocks, and never a frame."""
    whole, rough = (
        list(islice(read_frames(SAMPLE, haste=Haste(unfiltered=each)), 24)) for each in (False, True)
    )
    assert [frame.pts for frame in rough] == [frame.pts for frame in whole]
    apart = [
        np.abs(one.to_ndarray().astype(int) - other.to_ndarray())
        for one, other in zip(whole, rough, strict=True)
    ]
    assert 0 < max(each.mean() for each in apart) < 1.5


@pytest.mark.parametrize("threads", [0, 1])
def test_a_thinned_clip_lacks_frames_that_none_depends_on(threads: int) -> None:
    """Half of the frames come, each as it is and at its time, and none of the others is called broken."""
    skipped: list[str] = []
    whole = {frame.pts: frame.to_ndarray() for frame in read_frames(SAMPLE)}
    thinned = list(read_frames(SAMPLE, haste=Haste(thinned=True), skipped=skipped, threads=threads))
    assert 0.3 * len(whole) < len(thinned) < 0.7 * len(whole)
    assert all(np.array_equal(frame.to_ndarray(), whole[frame.pts]) for frame in thinned)
    assert skipped == []


@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_a_constant_rate_stays_exactly_that_rate(tmp_path: Path, codec: str) -> None:
    """29.97 frames a second come out as 30000/1001, frame times unchanged, in either codec."""
    source = make_clip(tmp_path / "in.mp4", rate=NTSC)
    info, notes = copy_of(source, tmp_path / "out.mp4", codec=codec)
    with av.open(str(tmp_path / "out.mp4")) as out:
        assert out.streams.video[0].average_rate == NTSC
    assert times_of(tmp_path / "out.mp4") == times_of(source)
    assert (info.codec, info.pix_fmt, notes) == (codec, "yuv420p", [])


def test_a_rate_rounded_to_milliseconds_is_put_right(tmp_path: Path) -> None:
    """Matroska's stamps are whole milliseconds; the 29.97 frames a second behind them come out."""
    source = make_clip(tmp_path / "in.mkv", rate=NTSC)
    copy_of(source, tmp_path / "out.mp4")
    assert times_of(tmp_path / "out.mp4") == [index / NTSC for index in range(12)]


def test_a_variable_rate_stays_variable(tmp_path: Path) -> None:
    """Frames that come at uneven times keep those times."""
    stamps = [0, 1, 2, 5, 6, 11, 12, 13, 20, 40]
    source = make_clip(tmp_path / "in.mp4", stamps=stamps)
    copy_of(source, tmp_path / "out.mp4")
    assert times_of(tmp_path / "out.mp4") == [Fraction(stamp, 25) for stamp in stamps]


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_turned_clips_come_upright(tmp_path: Path, turn: int) -> None:
    """The container's counter-clockwise turn is carried out on the frames, once."""
    source = make_clip(tmp_path / "in.mp4", rotation=turn)
    copy_of(source, tmp_path / "out.mp4")
    frame = next(read_frames(tmp_path / "out.mp4"))
    expected = np.rot90(picture(0), turn // 90)
    assert frame.rotation == 0
    assert np.abs(frame.to_ndarray(format="bgr24").astype(int) - expected).mean() < 4


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "container"),
    [
        ("ffv1", "gray", "mkv"),
        ("ffv1", "yuva420p", "mkv"),
        ("ffv1", "yuv422p10le", "mkv"),
        ("png", "rgba", "mov"),
        ("mjpeg", "yuvj420p", "avi"),
        ("mpeg2video", "yuv420p", "ts"),
    ],
)
def test_any_pixel_format_comes_out_playable(
    tmp_path: Path, codec: str, pix_fmt: str, container: str
) -> None:
    """Grey, alpha, 10 bits, RGB and full range become 8-bit 4:2:0 that looks the same."""
    source = make_clip(
        tmp_path / f"in.{container}", codec=codec, pix_fmt=pix_fmt, full_range=pix_fmt == "yuvj420p"
    )
    info, _ = copy_of(source, tmp_path / "out.mp4")
    before, after = (
        next(read_frames(path)).to_ndarray(format="gray") for path in (source, tmp_path / "out.mp4")
    )
    assert info.pix_fmt in {"yuv420p", "yuvj420p"}
    assert np.abs(before.astype(int) - after).mean() < 3


def test_an_odd_size_is_kept(tmp_path: Path) -> None:
    """Labels are in pixels, so not one of them is cut off or added."""
    source = make_clip(tmp_path / "in.mkv", codec="ffv1", size=(161, 121))
    info, notes = copy_of(source, tmp_path / "out.mp4", codec="av1")
    assert (info.width, info.height, info.codec) == (161, 121, "h264")
    assert "AV1" in notes[0]


def test_full_range_stays_full_range(tmp_path: Path) -> None:
    """A clip tagged as full range keeps its tag and its black level."""
    source = make_clip(tmp_path / "in.mp4", full_range=True)
    info, _ = copy_of(source, tmp_path / "out.mp4")
    assert info.colour == probe(source).colour
    assert info.colour.full_range


@pytest.mark.parametrize(("sound", "kept"), [("aac", "aac"), ("pcm_s16le", "aac")])
def test_sound_comes_along(tmp_path: Path, sound: str, kept: str) -> None:
    """Sound is copied where an MP4 can hold it, else encoded as AAC and noted."""
    source = make_clip(tmp_path / "in.mkv", sound=sound)
    info, notes = copy_of(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as out:
        audio = out.streams.audio[0]
        assert audio.codec_context.name == kept
        assert float(audio.duration * audio.time_base) == pytest.approx(0.48, abs=0.05)
    assert info.has_audio
    assert bool(notes) == (sound != kept)


@pytest.mark.parametrize("threads", [0, 1])
def test_broken_packets_are_decoded_around_and_told(tmp_path: Path, threads: int) -> None:
    """Damage in the middle costs the frames it hit, not those behind them."""
    source = make_clip(tmp_path / "in.avi", codec="png", pix_fmt="rgb24")
    data = bytearray(source.read_bytes())
    header = data.find(b"IHDR", len(data) * 3 // 4)
    data[header : header + 20] = bytes(20)
    source.write_bytes(bytes(data))
    skipped: list[str] = []
    frames = list(read_frames(source, skipped=skipped, threads=threads))
    assert len(frames) == 11
    assert len(skipped) == 1


@pytest.mark.parametrize("threads", [0, 1])
@pytest.mark.parametrize(("codec", "frames"), [("libx264", 40), ("libx265", 34)])
def test_what_a_decoder_mends_or_drops_is_told(tmp_path: Path, codec: str, frames: int, threads: int) -> None:
    """H.264's decoder invents the lost part of a picture, HEVC's leaves pictures out; both are counted."""
    options = {"g": "8", "x265-params": "keyint=8:log-level=none"}
    source = make_clip(tmp_path / "in.mp4", codec=codec, stamps=range(40), options=options)
    with av.open(str(source)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(source.read_bytes())
    position, size = packets[9]
    data[position + size * 3 // 4 : position + size] = bytes(size - size * 3 // 4)
    source.write_bytes(bytes(data))
    skipped: list[str] = []
    assert len(list(read_frames(source, skipped=skipped, threads=threads))) >= frames - 1
    assert 1 <= len(skipped) <= 8


def test_what_an_edit_list_leaves_out_is_no_loss(tmp_path: Path) -> None:
    """A clip that was trimmed without encoding it anew begins where it was trimmed, and nothing is broken."""
    whole = make_clip(tmp_path / "whole.mp4", stamps=range(50))
    trimmed = restamped(whole, tmp_path / "trimmed.mp4", by_s=Fraction(-20, 25))
    skipped: list[str] = []
    frames = list(read_frames(trimmed, skipped=skipped))
    assert skipped == []
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(index, 25) for index in range(30)]
    assert np.array_equal(frames[0].to_ndarray(), list(read_frames(whole))[20].to_ndarray())
    assert probe(trimmed).frames in {None, 30}


def test_interlaced_fields_are_woven_apart(tmp_path: Path) -> None:
    """What moves between two fields isn't a comb; every frame is there, at its own time."""
    source = tmp_path / "in.mp4"
    with av.open(str(source), "w") as out:
        stream = out.add_stream(
            "libx264", rate=25, options={"flags": "+ildct+ilme", "x264-params": "interlaced=1:tff=1"}
        )
        stream.width, stream.height, stream.pix_fmt = 160, 128, "yuv420p"
        for index in range(12):
            image = np.full((128, 160), 60, np.uint8)
            for field in (0, 1):
                left = 8 * index + 4 * field
                image[field::2, left : left + 40] = 200
            frame = av.VideoFrame.from_ndarray(np.stack([image] * 3, axis=-1), format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    frames = list(read_frames(source))
    assert probe(source).interlaced
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(at, 25) for at in range(12)]
    assert not any(frame.interlaced_frame for frame in frames)
    rows = frames[5].to_ndarray()[:128].astype(int)
    assert np.abs(rows[1:-1] - (rows[:-2] + rows[2:]) / 2).max() < 40


def test_a_clip_cut_in_the_middle_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """With its index in front, a cut MP4 still gives the frames before the cut."""
    copy_of(make_clip(tmp_path / "long.mp4", stamps=range(60)), tmp_path / "in.mp4")
    data = (tmp_path / "in.mp4").read_bytes()
    (tmp_path / "in.mp4").write_bytes(data[: len(data) * 3 // 4])
    assert 0 < len(times_of(tmp_path / "in.mp4")) < 60


def test_frames_do_not_hang_on_the_decoders_threads(tmp_path: Path) -> None:
    """One thread decodes the very pictures that several do."""
    source = make_clip(tmp_path / "in.mp4", stamps=range(20))
    one, several = (
        [(frame.pts, frame.to_ndarray().tobytes()) for frame in read_frames(source, threads=threads)]
        for threads in (1, 3)
    )
    assert len(one) == 20
    assert one == several


@pytest.mark.parametrize("name", ["in.mp4", "in.mkv", "in.avi", "in.ts"])
def test_reading_can_begin_anywhere(tmp_path: Path, name: str) -> None:
    """From a moment on come the frames shown then and later, with the stamps that a whole reading gives."""
    source = make_clip(tmp_path / name, stamps=range(60))
    whole, late = (
        [
            (frame.pts * frame.time_base, frame.to_ndarray().tobytes())
            for frame in read_frames(source, start_s=s)
        ]
        for s in (0, 1.5)
    )
    assert len(whole) == 60
    assert late == whole[-len(late) :]
    assert late[0][0] <= 1.5 < late[1][0]


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    """An exception in the block removes the temporary file and spares the old clip."""
    (tmp_path / "out.mp4").write_bytes(b"old")
    writer = ClipWriter(tmp_path / "out.mp4", width=160, height=120, rate=Fraction(25))
    with pytest.raises(RuntimeError, match="stop"), writer:
        fail_after(writer)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.mp4"]
    assert (tmp_path / "out.mp4").read_bytes() == b"old"


def test_images_are_encoded_in_their_own_colours(tmp_path: Path) -> None:
    """A BGR image comes back as the same colours."""
    with ClipWriter(tmp_path / "out.mp4", width=160, height=120, rate=NTSC, crf=10) as writer:
        for index in range(3):
            writer.write_bgr(picture(index), index)
    frames = [frame.to_ndarray(format="bgr24") for frame in read_frames(tmp_path / "out.mp4")]
    assert len(frames) == 3
    assert np.abs(frames[2].astype(int) - picture(2)).mean() < 3


def copied_sample(path: Path, *, steady: bool, **options: str) -> Path:
    """Write the sample once more, as what its standing camera sees or as anything."""
    info = probe(SAMPLE)
    with ClipWriter(path, width=info.width, height=info.height, rate=info.fps, **options) as writer:
        if steady:
            writer.keep_steady()
        for index, frame in enumerate(islice(read_frames(SAMPLE), 40)):
            frame.pts = index
            writer.write(frame)
    return path


def flicker(path: Path) -> float:
    """Return by how much mean luma changes from frame to frame over the first 40, in codes."""
    means = [frame.to_ndarray()[: frame.height].mean() for frame in islice(read_frames(path), 40)]
    return float(np.abs(np.diff(means)).mean())


def test_b_frames_in_pairs_keep_a_quiet_clip_steady(tmp_path: Path) -> None:
    """The encoder by itself adds a third to a standing camera's changes of light; asked not to, nothing."""
    usual, steady = (flicker(copied_sample(tmp_path / "out.mp4", steady=choice)) for choice in (False, True))
    assert usual > 1.2 * flicker(SAMPLE)
    assert steady <= flicker(SAMPLE)


@pytest.mark.parametrize(("codec", "preset"), [("h264", "ultrafast"), ("av1", "veryfast")])
def test_an_encoder_without_such_b_frames_is_left_as_it_is(tmp_path: Path, codec: str, preset: str) -> None:
    """Asked to keep a clip steady, it writes the same bytes as when it isn't asked."""
    asked, usual = (
        copied_sample(tmp_path / f"{steady}.mp4", steady=steady, codec=codec, preset=preset)
        for steady in (True, False)
    )
    assert asked.read_bytes() == usual.read_bytes()


def test_an_unknown_codec_is_refused(tmp_path: Path) -> None:
    """Only the codecs that browsers play can be asked for."""
    with pytest.raises(InputError, match="hevc"):
        ClipWriter(tmp_path / "out.mp4", width=160, height=120, rate=NTSC, codec="hevc")


def test_a_clip_without_frames_is_an_error(tmp_path: Path) -> None:
    """A readable header with nothing decodable behind it is refused."""
    source = make_clip(tmp_path / "in.avi", codec="mjpeg", pix_fmt="yuvj420p", full_range=True, stamps=[0])
    data = bytearray(source.read_bytes())
    start = data.find(b"\xff\xd8")
    data[start:] = bytes(len(data) - start)
    source.write_bytes(bytes(data))
    with pytest.raises(ClipError):
        list(read_frames(source))


def test_an_mp4_is_taken_byte_for_byte(tmp_path: Path) -> None:
    """What already is an MP4 isn't touched."""
    source = make_clip(tmp_path / "in.mp4")
    assert prepare_mp4(source, tmp_path / "set/out.mp4") == "copied"
    assert (tmp_path / "set/out.mp4").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("container", ["mkv", "ts"])
def test_other_containers_are_wrapped_anew(tmp_path: Path, container: str) -> None:
    """H.264 in another container moves into an MP4 without being encoded again."""
    source = make_clip(tmp_path / f"in.{container}", sound="aac")
    assert prepare_mp4(source, tmp_path / "out.mp4") == "remuxed"
    assert len(times_of(tmp_path / "out.mp4")) == 12
    assert probe(tmp_path / "out.mp4").has_audio


def test_what_an_mp4_cannot_hold_is_encoded(tmp_path: Path) -> None:
    """Another codec is encoded as H.264, near enough to be called the same."""
    source = make_clip(tmp_path / "in.avi", codec="mjpeg", pix_fmt="yuvj420p", full_range=True)
    assert prepare_mp4(source, tmp_path / "out.mp4") == "transcoded"
    assert times_of(tmp_path / "out.mp4") == times_of(source)


def test_a_frame_that_is_let_go_is_gone(tmp_path: Path) -> None:
    """Nothing ties a read frame into a circle, so memory doesn't hang on when garbage is next collected."""
    path = tmp_path / "clip.mp4"
    with ClipWriter(path, width=64, height=48, rate=Fraction(25)) as writer:
        for index in range(30):
            writer.write_bgr(np.full((48, 64, 3), 8 * index, np.uint8), index)
    gc.collect()
    gc.disable()
    try:
        frames = sum(1 for _ in read_frames(path))
        left = sum(isinstance(one, VideoFrame) for one in gc.get_objects())
    finally:
        gc.enable()
    assert frames == 30
    assert left <= 2
