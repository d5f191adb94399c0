"""The clip's pictures, decoded once, and the sampled ones that are kept, on disk, for later questions."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from skill_tools.media.probe import ClipInfo
from skill_tools.media.video import read_frames
from skill_tools.workers.labeling.detector import Image

JPEG_SIDE = 768
"""Longest side, in pixels, of a picture that is kept for a model."""

_JPEG_QUALITY = 80
_SLACK_S = 1e-3
_LIMITED_RANGE, _FULL_RANGE = 1, 2


@dataclass(frozen=True)
class Picture:
    """One frame of the clip as displayed."""

    image: Image
    pts: int
    timestamp_s: float


def read_pictures(clip: ClipInfo, skipped: list[str]) -> Iterator[Picture]:
    """Decode `clip` once; packets that were decoded around are named in `skipped`."""
    for frame in read_frames(clip.path, skipped=skipped):
        shown = frame.reformat(
            width=clip.width,
            height=clip.height,
            format="bgr24",
            src_colorspace=clip.colour.matrix_for(clip.height),
            src_color_range=_FULL_RANGE if clip.colour.full_range else _LIMITED_RANGE,
        )
        pts = frame.pts or 0
        image = np.asarray(shown.to_ndarray(), np.uint8)
        yield Picture(image, pts, float(pts * (frame.time_base or clip.time_base)))


class Sampler:
    """Picks frames at a steady rate by their time stamps."""

    def __init__(self, fps: float) -> None:
        self._step_s = 1 / fps
        self._next_s: float | None = None

    def takes(self, timestamp_s: float) -> bool:
        """Say whether the frame at `timestamp_s` is the next sample."""
        if self._next_s is None:
            self._next_s = timestamp_s
        if timestamp_s < self._next_s - _SLACK_S:
            return False
        while self._next_s <= timestamp_s + _SLACK_S:
            self._next_s += self._step_s
        return True


@dataclass(frozen=True)
class _Kept:
    timestamp_s: float
    offset: int
    size: int


@dataclass(frozen=True)
class Still:
    """A sampled picture as JPEG."""

    timestamp_s: float
    jpeg: bytes


class FrameSpool:
    """Keeps sampled pictures as JPEGs in a temporary file: any length of clip, no more memory."""

    def __init__(self, fps: float) -> None:
        self._sampler = Sampler(fps)
        self._kept: list[_Kept] = []

    def __enter__(self) -> Self:
        """Open the temporary file."""
        self._file = tempfile.TemporaryFile()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the temporary file."""
        self._file.close()

    def offer(self, timestamp_s: float, image: Image) -> None:
        """Keep `image` if it is the next sample."""
        if not self._sampler.takes(timestamp_s):
            return
        height, width = image.shape[:2]
        scale = JPEG_SIDE / max(height, width)
        if scale < 1:
            image = np.asarray(
                cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
            )
        _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        offset = self._file.seek(0, 2)
        self._file.write(jpeg.tobytes())
        self._kept.append(_Kept(timestamp_s, offset, jpeg.size))

    def stills(self, start_s: float, end_s: float, *, most: int) -> list[Still]:
        """Give up to `most` pictures, evenly spread over [start_s, end_s)."""
        inside = [kept for kept in self._kept if start_s <= kept.timestamp_s < end_s]
        return [self._read(kept) for kept in _spread(inside, most)]

    def _read(self, kept: _Kept) -> Still:
        self._file.seek(kept.offset)
        return Still(kept.timestamp_s, self._file.read(kept.size))


def _spread(items: Sequence[_Kept], most: int) -> list[_Kept]:
    if len(items) <= most:
        return list(items)
    return [items[round(place)] for place in np.linspace(0, len(items) - 1, most)]
