"""The side by side: what it shows when, how large, in which colours, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from skill_tools.errors import ArtifactError, ClipError
from skill_tools.media import video
from skill_tools.media.compare import (
    as_picture,
    glimpse,
    media_frame,
    paired_frames,
    render_compare,
    still_comparison,
    timed_frames,
)
from skill_tools.media.probe import probe
from skill_tools.media.video import ClipWriter, read_frames

BITS = 8
NTSC = Fraction(30000, 1001)
SAMPLE = Path(__file__).parents[2] / "assets/samples/campus_walkway.mp4"
WORDS = {"left": "Original", "right": "Variant 0", "caption": {"weather": "rain"}}

MakeClip = Callable[..., Path]


def numbered(index: int, width: int, height: int) -> np.ndarray:
    """Draw a frame whose lower half carries its number as eight black or white bars."""
    picture = np.full((height, width, 3), 90, np.uint8)
    for bit in range(BITS):
        x = slice(bit * width // BITS, (bit + 1) * width // BITS)
        picture[height // 2 :, x] = 235 if index >> bit & 1 else 16
    return picture


def number_in(picture: np.ndarray) -> int:
    """Read the number that `numbered` drew, at whatever scale."""
    height, width = picture.shape[:2]
    row = picture[height * 3 // 4].mean(axis=1)
    return sum(1 << bit for bit in range(BITS) if row[int((bit + 0.5) * width / BITS)] > 120)


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    """Write a clip of numbered frames."""

    def make(
        name: str,
        *,
        frames: int = 12,
        rate: Fraction | int = 12,
        size: tuple[int, int] = (160, 120),
        ticks: Iterable[int] | None = None,
        time_base: Fraction | None = None,
    ) -> Path:
        path = tmp_path / name
        with ClipWriter(
            path, width=size[0], height=size[1], rate=Fraction(rate), time_base=time_base
        ) as clip:
            for index, pts in enumerate(ticks or range(frames)):
                clip.write_bgr(numbered(index, *size), pts)
        return path

    return make


def opened(path: Path) -> np.ndarray:
    """Return a picture file as an array."""
    with Image.open(path) as picture:
        return np.asarray(picture).astype(int)


def as_matroska(path: Path) -> Path:
    """Re-wrap a clip in Matroska, which counts in whole milliseconds."""
    target = path.with_suffix(".mkv")
    with av.open(str(path)) as source, av.open(str(target), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    return target


def numbers(path: Path, split: float = 0.5) -> list[tuple[int, int]]:
    """Read the numbers of the left and the right half of every frame."""
    info = probe(path)
    read = []
    for frame in read_frames(path):
        picture = as_picture(frame, info, info.width, info.height)
        at = round(info.width * split)
        read.append((number_in(picture[:, :at]), number_in(picture[:, at:])))
    return read


def test_equal_clips_pair_frame_by_frame_at_their_exact_rate(make_clip: MakeClip, tmp_path: Path) -> None:
    """Two clips of 30000/1001 frames a second give a film of that rate with frame k beside frame k."""
    original, variant = make_clip("a.mp4", rate=NTSC), make_clip("b.mp4", rate=NTSC)
    made = render_compare(original, variant, tmp_path / "c.mp4", height=240, **WORDS)
    assert numbers(made.path) == [(k, k) for k in range(12)]
    assert (made.frames, made.fps, probe(made.path).fps) == (12, NTSC, NTSC)
    assert made.duration_s == pytest.approx(12 * 1001 / 30000)


@pytest.mark.parametrize(("left_fps", "right_fps"), [(30, 10), (10, 30), (25, 10), (24, NTSC)])
def test_at_each_time_either_side_shows_its_newest_due_frame(
    make_clip: MakeClip, left_fps: Fraction, right_fps: Fraction
) -> None:
    """The film runs on the faster clip's clock; the slower side holds a frame until the next is due."""
    original = make_clip("a.mp4", rate=left_fps, frames=int(left_fps))
    variant = make_clip("b.mp4", rate=right_fps, frames=int(right_fps))
    slow, fast = sorted((Fraction(left_fps), Fraction(right_fps)))
    moments = list(paired_frames(original, variant))
    assert [m.time_s for m in moments] == [k / fast for k in range(len(moments))]
    infos = (probe(original), probe(variant))
    shown = [
        tuple(number_in(as_picture(f, i, i.width, i.height)) for f, i in zip(m.frames, infos, strict=True))
        for m in moments
    ]
    assert shown == [(int(m.time_s * left_fps), int(m.time_s * right_fps)) for m in moments]
    assert moments[-1].end_s == min(int(slow) / slow, int(fast) / fast)


def test_rounded_time_stamps_of_matroska_still_pair_frame_by_frame(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    """The same clip in whole milliseconds is paired with its exact self without slipping a frame."""
    original = make_clip("a.mp4", rate=NTSC, frames=30)
    rounded = as_matroska(make_clip("b.mp4", rate=NTSC, frames=30))
    for left, right in ((original, rounded), (rounded, original)):
        made = render_compare(left, right, tmp_path / "c.mp4", height=120, **WORDS)
        assert numbers(made.path) == [(k, k) for k in range(30)]


def test_clips_that_start_late_are_aligned_at_their_first_frames(make_clip: MakeClip, tmp_path: Path) -> None:
    """A clip whose first time stamp is half a second pairs its first frame with the other's first."""
    original = make_clip("a.mp4")
    late = make_clip("b.mp4", ticks=range(6, 18))
    assert next(iter(read_frames(late))).pts > 0
    made = render_compare(original, late, tmp_path / "c.mp4", height=120, **WORDS)
    assert numbers(made.path) == [(k, k) for k in range(12)]
    made = render_compare(late, original, tmp_path / "c.mp4", height=120, **WORDS)
    assert numbers(made.path) == [(k, k) for k in range(12)]


def test_variable_frame_rate_stays_variable(make_clip: MakeClip, tmp_path: Path) -> None:
    """Uneven time stamps of the leading clip are the film's own."""
    ticks = [0, 40, 80, 200, 240, 500, 540]
    uneven = {"ticks": ticks, "rate": 13, "time_base": Fraction(1, 1000)}
    made = render_compare(
        make_clip("a.mp4", **uneven), make_clip("b.mp4", **uneven), tmp_path / "c.mp4", height=120, **WORDS
    )
    stamps = [round(float(f.pts * f.time_base) * 1000) for f in read_frames(made.path)]
    assert stamps == ticks
    assert numbers(made.path) == [(k, k) for k in range(len(ticks))]


@pytest.mark.parametrize("lengths", [(12, 5), (5, 12)])
def test_the_film_is_as_long_as_the_shorter_clip(
    make_clip: MakeClip, tmp_path: Path, lengths: tuple[int, int]
) -> None:
    """What the longer clip has beyond the end of the shorter isn't shown."""
    original, variant = make_clip("a.mp4", frames=lengths[0]), make_clip("b.mp4", frames=lengths[1])
    made = render_compare(original, variant, tmp_path / "c.mp4", height=120, **WORDS)
    assert numbers(made.path) == [(k, k) for k in range(5)]
    assert made.duration_s == pytest.approx(5 / 12)


def test_halves_keep_their_aspect_and_even_widths(make_clip: MakeClip, tmp_path: Path) -> None:
    """Either clip is scaled to the height; `split` says where one half ends."""
    made = render_compare(
        make_clip("a.mp4", size=(160, 120)),
        make_clip("b.mp4", size=(102, 160)),
        tmp_path / "c.mp4",
        height=240,
        **WORDS,
    )
    assert (made.width, made.height) == (320 + 152, 240)
    assert made.split == pytest.approx(320 / 472)
    info = probe(made.path)
    assert (info.width, info.height, info.codec, info.pix_fmt) == (472, 240, "h264", "yuv420p")
    assert numbers(made.path, made.split) == [(k, k) for k in range(12)]


def test_names_and_values_stand_in_the_outer_corners(make_clip: MakeClip, tmp_path: Path) -> None:
    """White words on a dark plate lie at the top left and the top right; the rest is untouched."""
    clip = make_clip("a.mp4", frames=1)
    still = still_comparison(clip, clip, tmp_path / "c.png", height=720, **WORDS)
    picture = opened(still)
    assert picture.shape == (720, 1920, 3)
    for corner in (picture[18:90, 18:140], picture[18:90, 1780:1900]):
        assert corner.max() > 240
        assert corner.min() < 45
    assert abs(picture[:340, 400:1500] - 90).max() < 12


def test_colours_of_a_small_clip_survive_the_larger_film(tmp_path: Path) -> None:
    """A clip in BT.601 keeps its colours in a film of HD height, which players read as BT.709."""
    reds = tmp_path / "red.mp4"
    with ClipWriter(reds, width=160, height=120, rate=Fraction(10)) as clip:
        for pts in range(3):
            clip.write_bgr(np.full((120, 160, 3), (30, 40, 200), np.uint8), pts)
    made = render_compare(reds, reds, tmp_path / "c.mp4", **WORDS)
    info = probe(made.path)
    assert info.colour.matrix == 1
    middle = as_picture(next(iter(read_frames(made.path))), info, info.width, info.height)[400, 300]
    assert np.abs(middle.astype(int) - (30, 40, 200)).max() <= 6


def test_progress_is_told_frame_by_frame(make_clip: MakeClip, tmp_path: Path) -> None:
    """`on_frame` counts up to the total that it names."""
    told: list[tuple[int, int | None]] = []
    clip = make_clip("a.mp4")
    render_compare(clip, clip, tmp_path / "c.mp4", height=120, on_frame=lambda *at: told.append(at), **WORDS)
    assert told == [(k, 12) for k in range(1, 13)]


def test_a_broken_variant_leaves_the_old_film_alone(make_clip: MakeClip, tmp_path: Path) -> None:
    """When a clip can't be read, what stood under the name still stands and nothing lies beside it."""
    target = tmp_path / "out" / "c.mp4"
    target.parent.mkdir()
    target.write_bytes(b"before")
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(make_clip("a.mp4").read_bytes()[:300])
    with pytest.raises(ClipError):
        render_compare(tmp_path / "a.mp4", broken, target, **WORDS)
    assert target.read_bytes() == b"before"
    assert [p.name for p in target.parent.iterdir()] == ["c.mp4"]


def test_a_missing_encoder_has_its_own_code(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an H.264 encoder the error is `artifact.no_encoder`, and a still can be made all the same."""
    monkeypatch.setitem(video.CODECS, "h264", "no-such-encoder")
    clip = SAMPLE
    with pytest.raises(ArtifactError) as caught:
        render_compare(clip, clip, tmp_path / "c.mp4", **WORDS)
    assert caught.value.code == "artifact.no_encoder"
    assert list(tmp_path.iterdir()) == []
    still = still_comparison(clip, clip, tmp_path / "c.png", height=144, at_s=0.5, **WORDS)
    assert opened(still).shape == (144, 384, 3)


def test_media_frame_is_the_frame_shown_at_that_time(make_clip: MakeClip, tmp_path: Path) -> None:
    """A frame is shown from its own time stamp until the next; past the end it is the last."""
    clip = make_clip("a.mp4", rate=10)
    for at_s, index in ((0.0, 0), (0.29, 2), (0.31, 3), (99.0, 11)):
        picture = opened(media_frame(clip, at_s, tmp_path / "f.png"))
        assert (number_in(picture), picture.shape) == (index, (120, 160, 3))


def test_frames_last_until_the_next_and_the_last_one_its_own_length(make_clip: MakeClip) -> None:
    """`timed_frames` gives gapless intervals that begin at zero."""
    spans = [(t.time_s, t.end_s) for t in timed_frames(probe(make_clip("a.mp4", frames=3, rate=10)))]
    assert spans == [(Fraction(k, 10), Fraction(k + 1, 10)) for k in range(3)]


def test_a_real_clip_beside_itself_is_the_same_on_both_sides(tmp_path: Path) -> None:
    """The sample clip gives all its frames, and its halves agree wherever there are no words."""
    made = render_compare(SAMPLE, SAMPLE, tmp_path / "c.mp4", height=144, **WORDS)
    assert (made.frames, made.duration_s) == (120, 12.0)
    info = probe(made.path)
    for frame in list(read_frames(made.path))[::20]:
        below = as_picture(frame, info, info.width, info.height)[48:].astype(int)
        assert np.abs(below[:, :192] - below[:, 192:]).mean() < 3
    assert glimpse(SAMPLE).size == (768, 576)
