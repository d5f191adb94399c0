"""Whatever a camera writes is augmented as what it shows: sizes, times, colours, tags and turns kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from skill_tools.media.compare import Scaler
from skill_tools.media.probe import probe
from skill_tools.media.video import read_frames
from skill_tools.workers.augmentation.cli import main

FINE = {"crf": "4"}
INTERLACED = {"flags": "+ildct+ilme", "crf": "4", "x264-params": "interlaced=1:tff=1"}
UNEVEN = (0, 1, 2, 5, 6, 9, 14, 15, 16, 20, 21, 30)

KINDS: dict[str, dict[str, Any]] = {
    "odd_size": {"size": (161, 121), "pix_fmt": "yuv444p", "options": FINE},
    "odd_size_420": {"name": "in.mkv", "codec": "ffv1", "size": (161, 121)},
    "tiny": {"size": (34, 18), "options": FINE},
    "strip": {"size": (640, 36), "options": FINE},
    "10_bit_h264": {"pix_fmt": "yuv420p10le", "options": FINE},
    "10_bit_422": {"name": "in.mov", "codec": "prores_ks", "pix_fmt": "yuv422p10le"},
    "turned": {"rotation": 90, "options": FINE},
    "upside_down": {"rotation": 180, "options": FINE},
    "interlaced": {"options": INTERLACED},
    "uneven_rate": {"name": "in.mkv", "stamps": UNEVEN, "options": FINE},
    "grey": {"name": "in.mkv", "codec": "ffv1", "pix_fmt": "gray"},
    "grey_16_bit": {"name": "in.mkv", "codec": "ffv1", "pix_fmt": "gray16le"},
    "full_range": {"full_range": True, "options": FINE},
    "motion_jpeg": {
        "name": "in.avi",
        "codec": "mjpeg",
        "pix_fmt": "yuvj420p",
        "full_range": True,
        "options": {"qscale": "2"},
    },
    "bt601": {"tags": (5, 6, 5), "options": FINE},
    "bt709": {"tags": (1, 1, 1), "options": FINE},
    "bt2020": {"tags": (9, 14, 9), "pix_fmt": "yuv420p10le", "options": FINE},
    "bt709_full_10_bit": {"tags": (1, 1, 1), "pix_fmt": "yuv420p10le", "full_range": True, "options": FINE},
    "alpha": {"name": "in.mov", "codec": "png", "pix_fmt": "rgba"},
    "alpha_vp9": {"name": "in.webm", "codec": "libvpx-vp9", "pix_fmt": "yuva420p"},
    "one_frame": {"stamps": (0,), "options": FINE},
    "hd": {"size": (1280, 720), "stamps": (0, 1), "options": FINE},
}


def picture(index: int, width: int, height: int) -> np.ndarray:
    """Return a BGR image of coloured slopes over a darker ground, with two signs and something that moves."""
    y, x = np.mgrid[0:height, 0:width]
    image = np.stack([80 + 100 * x / width, 200 - 150 * y / height, 60 + 60 * (x + y) / (width + height)], -1)
    image[height // 2 :] = image[height // 2 :] * 0.3 + 70
    image[height // 8 : height // 4, width // 8 : width // 3] = (20, 20, 220)
    image[height // 8 : height // 4, width // 2 : width * 2 // 3] = (220, 220, 220)
    left = 3 * index % (width - width // 8)
    image[height // 2 : height // 2 + height // 6, left : left + width // 10] = (30, 40, 30)
    return np.clip(image, 0, 255).astype(np.uint8)


def make_clip(  # noqa: PLR0913 - the ways in which cameras differ
    folder: Path,
    *,
    name: str = "in.mp4",
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (192, 144),
    stamps: Sequence[int] = range(8),
    options: dict[str, str] | None = None,
    tags: tuple[int, int, int] | None = None,
    rotation: int = 0,
    full_range: bool = False,
) -> Path:
    """Write the picture at `stamps` of 25 a second as a camera of this kind does."""
    path = folder / name
    matrix = tags[2] if tags else 6 if size[1] < 720 else 1
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        if rotation:
            stream.set_display_rotation(rotation)
        context = stream.codec_context
        if tags:
            context.color_primaries, context.color_trc, context.colorspace = tags
        colours = {} if pix_fmt == "rgba" else {"dst_colorspace": matrix, "dst_color_range": 1 + full_range}
        if colours:
            context.color_range = 1 + full_range
        for index, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(picture(index, *size), format="bgr24")
            frame = frame.reformat(format=pix_fmt, **colours)
            frame.pts, frame.time_base = stamp, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def augmented(clip: Path, folder: Path, **values: str) -> Path:
    """Make a variant and return its folder."""
    config = folder.with_suffix(".yaml")
    config.write_text(
        json.dumps(
            {
                "data": {"input_video": str(clip), "output_dir": str(folder)},
                "augmentation": {"sampled_vars": values},
                "output": {"crf": 4, "preset": "ultrafast"},
                "pipeline": {"retry": 0},
            }
        )
    )
    assert main(["--config", str(config)]) == 0
    return folder


def pictures(path: Path) -> list[np.ndarray]:
    """Return the frames as a player shows them, as numbers that can be subtracted."""
    info = probe(path)
    scaler = Scaler(info, info.width, info.height)
    return [scaler.picture(frame).astype(np.int16) for frame in read_frames(path)]


def times(path: Path) -> list[Fraction]:
    """Return the exact time of every frame."""
    return [frame.pts * frame.time_base for frame in read_frames(path)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_unchanged_variant_shows_the_source(kind: str, tmp_path: Path) -> None:
    """With no value asked for, size, times, tags, turn and every colour come out as they went in."""
    clip = make_clip(tmp_path, **KINDS[kind])
    out = augmented(clip, tmp_path / "out") / "augmented_video.mp4"
    source, variant = probe(clip), probe(out)
    assert (variant.width, variant.height, variant.rotation) == (source.width, source.height, 0)
    assert (variant.colour, variant.interlaced, variant.codec) == (source.colour, False, "h264")
    assert times(out) == times(clip)
    before, after = pictures(clip), pictures(out)
    assert np.abs(np.mean(before, axis=(0, 1, 2)) - np.mean(after, axis=(0, 1, 2))).max() < 1.5
    assert np.mean([np.abs(a - b).mean() for a, b in zip(before, after, strict=True)]) < 2


@pytest.mark.parametrize("kind", KINDS)
def test_any_source_can_be_a_wet_evening(kind: str, tmp_path: Path) -> None:
    """Rain and evening darken every kind of source alike, and keep its size and times."""
    clip = make_clip(tmp_path, **KINDS[kind])
    folder = augmented(clip, tmp_path / "out", weather="rain", time_of_day="evening")
    out = folder / "augmented_video.mp4"
    assert times(out) == times(clip)
    assert probe(out).colour == probe(clip).colour
    before, after = np.mean(pictures(clip)), np.mean(pictures(out))
    assert 0.35 * before < after < 0.97 * before


def test_what_was_done_to_the_source_is_noted(tmp_path: Path) -> None:
    """Fields that were woven apart, and packets that were broken, stand in the metadata's notes."""
    clip = make_clip(tmp_path, options=INTERLACED)
    notes = json.loads((augmented(clip, tmp_path / "a") / "metadata.json").read_text())["notes"]
    assert any("interlaced" in note for note in notes)
    clip = make_clip(tmp_path, stamps=range(30), options={"g": "8"})
    with av.open(str(clip)) as container:
        position, size = next((p.pos, p.size) for at, p in enumerate(container.demux(video=0)) if at == 9)
    data = bytearray(clip.read_bytes())
    data[position : position + size] = bytes(size)
    clip.write_bytes(bytes(data))
    folder = augmented(clip, tmp_path / "b", weather="fog")
    told = json.loads((folder / "metadata.json").read_text())
    assert "1 broken packet decoded around; the first: packet at " in "".join(told["notes"])
    assert len(times(folder / "augmented_video.mp4")) == 29
