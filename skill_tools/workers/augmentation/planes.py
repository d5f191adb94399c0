"""A frame as three planes that effects edit in place, and the arithmetic of their code values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from numpy.typing import ArrayLike, NDArray

from skill_tools.media.probe import ClipInfo

if TYPE_CHECKING:
    from skill_tools.workers.augmentation.boxes import Box

Plane: TypeAlias = NDArray[Any]
"""One plane: uint8, shape (rows, columns). OpenCV's own types know no element type."""
Map: TypeAlias = NDArray[Any]
"""One value a pixel: float32, shape (rows, columns), usually 0 to 1."""

_LIMITED_RANGE, _FULL_RANGE = 1, 2
_MANY_ROWS = 400


@dataclass(frozen=True)
class Levels:
    """What the code values of a clip mean: range and YCbCr matrix (ITU-R BT.601, BT.709, BT.2020)."""

    full_range: bool = False
    matrix: int = 6
    """Code point of ITU-T H.273: 1 BT.709, 9 BT.2020, anything else BT.601."""

    @classmethod
    def of(cls, clip: ClipInfo) -> Self:
        """Return what the codes of a clip's frames mean, by its tags."""
        return cls(clip.colour.full_range, clip.colour.matrix_for(clip.height))

    @property
    def black(self) -> float:
        """The luma code of black."""
        return 0.0 if self.full_range else 16.0

    @property
    def luma_span(self) -> float:
        """Codes from black to white."""
        return 255.0 if self.full_range else 219.0

    @property
    def chroma_span(self) -> float:
        """Codes from the least to the greatest chroma."""
        return 255.0 if self.full_range else 224.0

    def luma(self, value: float) -> float:
        """Return the code of a gamma-encoded luma from 0 (black) to 1 (white)."""
        return self.black + value * self.luma_span

    def unit(self, code: float) -> float:
        """Return the luma, 0 to 1 and somewhat beyond, of a code."""
        return (float(code) - self.black) / self.luma_span

    def values(self) -> NDArray[np.float64]:
        """Return the luma, 0 to 1 and somewhat beyond, of each of the 256 codes."""
        return (np.arange(256, dtype=np.float64) - self.black) / self.luma_span

    def rgb_to_ycbcr(self) -> NDArray[np.float64]:
        """Return the 3x3 matrix from gamma-encoded RGB to Y (0 to 1), Cb and Cr (-0.5 to 0.5)."""
        red, blue = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593)}.get(self.matrix, (0.299, 0.114))
        luma = np.array([red, 1 - red - blue, blue])
        cb = (np.array([0, 0, 1]) - luma) / (2 * (1 - blue))
        cr = (np.array([1, 0, 0]) - luma) / (2 * (1 - red))
        return np.stack([luma, cb, cr])


@dataclass(frozen=True)
class Planes:
    """The three planes of a 4:2:0 frame; `u` and `v` are half as wide and high, rounded up."""

    y: Plane
    u: Plane
    v: Plane
    frame: VideoFrame | None = field(default=None, kw_only=True, repr=False, compare=False)
    """The `yuv420p` frame whose memory they are, if it is one's."""

    @classmethod
    def of(cls, frame: VideoFrame, *, editable: bool = True) -> Self:
        """Return views of the planes of a `yuv420p` frame; editing them edits the frame.

        A decoder's own frames are not `editable`: later ones are predicted from them.
        """
        views = [_view(plane) for plane in frame.planes[:3]]
        if not editable:
            for view in views:
                view.flags.writeable = False
        return cls(*views, frame=frame)

    @property
    def editable(self) -> bool:
        """Whether they may be edited in place."""
        return bool(self.y.flags.writeable)

    def target(self) -> Planes:
        """Return planes to write an edit of these to, plane by plane: these, or those of a new frame."""
        return self if self.editable else Planes.of(VideoFrame(*self.size, "yuv420p"))

    def own(self) -> Planes:
        """Return planes of the same content that may be edited: these, or a copy in a new frame."""
        return self if self.editable else Planes.of(self.in_new_frame())

    def framed(self) -> VideoFrame:
        """Return a `yuv420p` frame of this content: that whose memory they are, or a copy."""
        return self.in_new_frame() if self.frame is None else self.frame

    def in_new_frame(self) -> VideoFrame:
        """Return a `yuv420p` frame of this content and of its own memory."""
        frame = VideoFrame(*self.size, "yuv420p")
        for plane, values in zip(frame.planes, self.all, strict=False):
            _view(plane)[:] = values
        return frame

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.y.shape[1], self.y.shape[0]

    @property
    def half_size(self) -> tuple[int, int]:
        """Width and height of the chroma planes."""
        return self.u.shape[1], self.u.shape[0]

    def copy(self) -> Planes:
        """Return planes of their own memory."""
        return Planes(self.y.copy(), self.u.copy(), self.v.copy())

    def within(self, box: Box) -> Planes:
        """Return views of the part in a box that begins on an even column and row."""
        return Planes(*(plane[where] for plane, where in zip(self.all, box.in_planes, strict=True)))

    def put(self, part: Planes, box: Box) -> None:
        """Write another part over what is in such a box."""
        for plane, values, where in zip(self.all, part.all, box.in_planes, strict=True):
            plane[where] = values

    @property
    def all(self) -> tuple[Plane, Plane, Plane]:
        """Luma and chroma."""
        return self.y, self.u, self.v

    def shrunk(self, width: int, height: int) -> Planes:
        """Return all three planes at one small size, averaged."""
        return Planes(*(shrink(plane, width, height) for plane in self.all))


def copied(frame: VideoFrame) -> VideoFrame:
    """Return a `yuv420p` frame of its own memory, with the stamps of the one given."""
    return stamped(Planes.of(frame).in_new_frame(), frame)


def in_planes(frame: VideoFrame, levels: Levels) -> VideoFrame:
    """Return `frame`, or if need be a copy, as 8-bit 4:2:0 in the range of `levels`."""
    if frame.format.name == "yuv420p":
        return frame
    if frame.format.name == "yuvj420p":  # the same but for its name, which filters and encoders look at
        return copied(frame)
    wanted = _FULL_RANGE if levels.full_range else _LIMITED_RANGE
    given = frame.color_range if frame.color_range in {_LIMITED_RANGE, _FULL_RANGE} else wanted
    rgb = frame.format.is_rgb
    converted = frame.reformat(
        format="yuv420p",
        src_colorspace=None if rgb else levels.matrix,
        src_color_range=None if rgb else given,
        dst_colorspace=levels.matrix,
        dst_color_range=wanted,
    )
    return stamped(converted, frame)


def halved(plane: Plane) -> Plane:
    """Return a plane or map averaged down to half its size."""
    size = max(1, plane.shape[1] // 2), max(1, plane.shape[0] // 2)
    return cv2.resize(plane, size, interpolation=cv2.INTER_AREA)


def shrink(plane: Plane, width: int, height: int) -> Plane:
    """Return `plane` averaged down to a size, by halves as long as they go, which is the fastest.

    The result has memory of its own, also where there is nothing to shrink: it tells of the frame as it
    was before the effects edit it.
    """
    while (
        plane.shape[1] >= 2 * width
        and plane.shape[0] >= 2 * height
        and not (plane.shape[0] | plane.shape[1]) & 1
    ):
        plane = halved(plane)
    if plane.shape == (height, width):
        return plane.copy()
    return cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA)


def mean_luma(planes: Planes) -> float:
    """Return the mean luma code, of every eighth row where there are many."""
    return float(cv2.mean(planes.y[:: 8 if len(planes.y) >= _MANY_ROWS else 1])[0])


def percentiles(plane: Plane, shares: Sequence[float]) -> list[int]:
    """Return the codes below or at which these shares of a plane lie, in per cent; counted, not sorted."""
    counts = np.cumsum(cv2.calcHist([plane], [0], None, [256], [0, 256]))
    return [int(np.searchsorted(counts, counts[-1] * share / 100)) for share in shares]


def quantile(values: ArrayLike, share: float) -> float:
    """Return the number below which a share of some lie, 0 to 1; interpolated, so at 0.5 it is their median.

    NumPy's own `percentile`, `median` and `unique` load its masked arrays when first called: for a tenth
    of a second, no other thread gets Python's lock.
    """
    flat = np.ravel(values)
    place = share * (flat.size - 1)
    low = int(place)
    high = min(low + 1, flat.size - 1)
    ranked = np.partition(flat, [low, high])
    below, above = float(ranked[low]), float(ranked[high])
    return below + (place - low) * (above - below)


def numbers_in(labels: NDArray[Any]) -> NDArray[np.intp]:
    """Return the numbers from 1 on that occur among labels, each once, in their order."""
    return np.flatnonzero(np.bincount(labels.ravel())[1:]) + 1


def grow(values: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Return a map or plane interpolated up to (width, height)."""
    return cv2.resize(values, size, interpolation=cv2.INTER_LINEAR)


def as_codes(values: Map) -> Plane:
    """Return a map from 0 to 1 as bytes from 0 to 255."""
    return rounded(values * 255.0)


def rounded(values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers as the nearest bytes."""
    return np.clip(values + 0.5, 0, 255.5).astype(np.uint8)


def scale(plane: Plane, by: Plane, out: Plane | None = None) -> Plane:
    """Return plane x by / 255, rounded, written to `out` when given."""
    return cv2.multiply(plane, by, dst=out, scale=1 / 255.0)


def stamped(frame: VideoFrame, like: VideoFrame) -> VideoFrame:
    """Return `frame` with the time stamps of another."""
    frame.pts, frame.duration = like.pts, like.duration
    if like.time_base is not None:
        frame.time_base = like.time_base
    return frame


class Table:
    """What each byte becomes, looked up for two pixels at a time where rows are even: half the time."""

    def __init__(self, codes: Plane) -> None:
        """Look up in 256 `codes`."""
        self._codes = codes
        wide = codes.astype(np.uint16)
        self._pairs = (wide[:, None] << 8 | wide).ravel()

    def of(self, plane: Plane, out: Plane | None = None) -> Plane:
        """Return what becomes of a plane, written to `out` when given, which may be the same."""
        out = np.empty(plane.shape, np.uint8) if out is None else out
        if _in_pairs(plane) and _in_pairs(out):
            cv2.LUT(plane.view(np.uint16), self._pairs, dst=out.view(np.uint16))
        else:
            cv2.LUT(plane, self._codes, dst=out)
        return out


def _in_pairs(plane: Plane) -> bool:
    return plane.strides[1] == 1 and plane.strides[0] % 2 == 0 and plane.shape[1] % 2 == 0


def _view(plane: VideoPlane) -> Plane:
    rows: Plane = np.asarray(memoryview(plane)).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width]
