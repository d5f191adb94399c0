"""Small clips with a ground, walls, moving figures and, on request, a cut, a pan or an odd size."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame

from skill_tools.media.video import ClipWriter
from skill_tools.workers.augmentation.config import load_config
from skill_tools.workers.augmentation.planes import Planes
from skill_tools.workers.augmentation.variant import VIDEO_NAME, make_variants

WIDTH, HEIGHT = 192, 144


def street(index: int, *, pan: int = 0, room: bool = False) -> np.ndarray:
    """Return a BGR picture: sky or wall above, a textured grey ground below, one dark figure walking."""
    grain = np.random.default_rng(5).integers(-9, 9, (HEIGHT, WIDTH + 200, 1))
    image = np.full((HEIGHT, WIDTH + 200, 3), (120, 118, 116), np.int16)
    image[: HEIGHT // 2] = (70, 95, 140) if not room else (90, 110, 120)
    if not room:
        image[: HEIGHT // 5] = (225, 215, 205)
    for column in range(10, WIDTH + 190, 40):
        image[HEIGHT // 4 : HEIGHT // 2 - 6, column : column + 16] = (40, 45, 50)
    image[HEIGHT // 2 + 20 : HEIGHT // 2 + 23, :] = (200, 205, 205)
    image = np.clip(image + grain, 0, 255).astype(np.uint8)
    left = 20 + 4 * index + pan
    cv2.rectangle(image, (left, HEIGHT // 2 + 6), (left + 10, HEIGHT // 2 + 36), (35, 30, 45), -1)
    return np.ascontiguousarray(image[:, pan : pan + WIDTH])


def write_street(
    path: Path,
    *,
    frames: int = 12,
    rate: Fraction = Fraction(25),
    cut_every: int | None = None,
    pan: int = 0,
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> Path:
    """Write a clip of the street, or, with a cut every so many frames, of the street and a room in turn."""
    with ClipWriter(path, width=size[0], height=size[1], rate=rate, crf=8) as writer:
        for index in range(frames):
            image = street(index, pan=pan * index)
            if cut_every is not None and index // cut_every % 2:
                image = cv2.flip(255 - street(index, room=True), 0)
            writer.write_bgr(cv2.resize(image, size), index)
    return path


def planes(picture: np.ndarray) -> Planes:
    """Return a BGR picture as a clip's frame."""
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture, np.uint8), format="bgr24")
    return Planes.of(frame.reformat(format="yuv420p"))


def variant_of(clip: Path, folder: Path, wanted: str) -> Path:
    """Make a variant of a clip in a new folder; return its video."""
    folder.mkdir()
    config = folder / "config.yaml"
    config.write_text("data: {input_video: '', output_dir: ''}\noutput: {crf: 8}\n")
    given = [f"data.input_video={clip}", f"data.output_dir={folder}", f"augmentation.sampled_vars.{wanted}"]
    make_variants([load_config(config, given)])
    return folder / VIDEO_NAME


def told_by(code: str) -> str:
    """Run Python code in a process of its own and return what it prints."""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return told.stdout.strip()


@pytest.fixture
def make_street(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a clip of the street by name and options."""

    def make(name: str = "street.mp4", **options: Any) -> Path:
        return write_street(tmp_path / name, **options)

    return make


@pytest.fixture(scope="module")
def street_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one clip of the street, taken by a standing camera."""
    return write_street(tmp_path_factory.mktemp("street") / "street.mp4")
