"""What falls through the air in front of the camera, in layers of depth that move with time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from skill_tools.workers.augmentation.planes import Plane, Planes, scale
from skill_tools.workers.augmentation.scene import Scene, View
from skill_tools.workers.augmentation.vocabulary import seed_for


@dataclass(frozen=True, eq=False)
class Layer:
    """Particles of one distance, drawn once on a sheet that slides past the camera.

    The sheet is as wide as the picture and goes on around its sides. It repeats downwards with its own
    period, each time from another place sideways, so no pattern is seen twice soon. Its first and last
    rows are empty, since no particle may be cut there.
    """

    sheet: Plane
    """Opacity; as wide as the picture, `period` rows."""
    fall_px_s: float
    drift_px_s: float
    sway_px: float = 0.0
    sway_hz: float = 0.0
    phase: float = 0.0

    def add_to(self, alpha: Plane, time_s: float, serial: int) -> None:
        """Add this layer's opacity at a time to `alpha`."""
        height, width = alpha.shape
        period = self.sheet.shape[0]
        sway = self.sway_px * np.sin(2 * np.pi * (self.sway_hz * time_s + self.phase))
        drift = round(self.drift_px_s * time_s + sway)
        cycle, offset = divmod(round(self.fall_px_s * time_s), period)
        row, source, turn = 0, (-offset) % period, -cycle - (1 if offset else 0)
        while row < height:
            rows = min(height - row, period - source)
            # A cycle keeps its sideways place while it passes, so that particles fall in one piece.
            left = (seed_for(serial, turn) - drift) % width
            onto, part = alpha[row : row + rows], self.sheet[source : source + rows]
            for shown, drawn in (
                (onto[:, : width - left], part[:, left:]),
                (onto[:, width - left :], part[:, :left]),
            ):
                if drawn.size:
                    cv2.add(shown, drawn, dst=shown)
            row, source, turn = row + rows, 0, turn + 1


def not_doubled(scene: Scene, strength: float) -> tuple[float, tuple[str, ...]]:
    """Return the strength for what falls, less where something falls in the source already, and the note."""
    if not scene.falling:
        return strength, ()
    return 0.35 * strength, ("Rain or snow falls in the source already: less of it is added.",)


class Falling:
    """Blends layers of bright particles into a frame."""

    def __init__(self, layers: tuple[Layer, ...], luma_code: float, *, opaque: bool) -> None:
        """Show `layers` in the luma code of the light they carry; `opaque` ones hide colour as well."""
        self._layers, self._opaque = layers, opaque
        self._light = round(luma_code)
        self._alpha: Plane | None = None

    def apply(self, planes: Planes, view: View) -> None:
        """Edit the planes of one frame in place."""
        if self._alpha is None:
            self._alpha = np.empty_like(planes.y)
            self._flat = np.full_like(planes.y, self._light)
            self._brighter = np.empty_like(planes.y)
        alpha = self._alpha
        alpha[:] = 0
        for serial, layer in enumerate(self._layers):
            layer.add_to(alpha, view.time_s, serial)
        # A drop carries light from the whole sky, so it shows where the picture is darker than that.
        brighter = cv2.subtract(self._flat, planes.y, dst=self._brighter)
        cv2.add(planes.y, scale(brighter, alpha, brighter), dst=planes.y)
        if self._opaque:
            self._hide_colour(planes, alpha)

    @staticmethod
    def _hide_colour(planes: Planes, alpha: Plane) -> None:
        half = cv2.resize(alpha, planes.half_size, interpolation=cv2.INTER_AREA)
        keep = cv2.bitwise_not(half)
        grey = cv2.convertScaleAbs(half, alpha=128 / 255)
        for plane in (planes.u, planes.v):
            cv2.add(scale(plane, keep, plane), grey, dst=plane)


def sheet(size: tuple[int, int], period: int) -> Plane:
    """Return an empty sheet for pictures of (width, height), of `period` rows."""
    return np.zeros((period, size[0]), np.uint8)


def place(sheet_: Plane, stamp: Plane, row: int, column: int) -> None:
    """Put a stamp on a sheet, going around its sides, brighter of both where they overlap."""
    height, width = stamp.shape
    room = sheet_.shape[1] - column
    spot = sheet_[row : row + height, column : column + width]
    np.maximum(spot, stamp if room >= width else stamp[:, :room], out=spot)
    if room < width:
        place(sheet_, stamp[:, room:], row, 0)


def scatter(sheet_: Plane, stamps: Sequence[Plane], count: int, rng: np.random.Generator) -> None:
    """Put `count` of the stamps on a sheet, anywhere that doesn't cut them at its upper or lower end."""
    period, width = sheet_.shape
    stamps = [stamp for stamp in stamps if stamp.shape[0] < period and stamp.shape[1] < width]
    if not stamps:
        return
    kinds = rng.integers(0, len(stamps), count)
    columns = rng.integers(0, width, count)
    heights = rng.random(count)
    for kind, column, height in zip(kinds.tolist(), columns.tolist(), heights.tolist(), strict=True):
        stamp = stamps[kind]
        place(sheet_, stamp, int(height * (period - stamp.shape[0])), column)
