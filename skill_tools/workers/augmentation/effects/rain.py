"""Rain: streaks at several depths that fall with gravity and wind, splashes, a veil of what is too far."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from skill_tools.workers.augmentation.distance import focal_px
from skill_tools.workers.augmentation.effects.base import Grade, Parts, Stage, mix
from skill_tools.workers.augmentation.effects.clouds import CLOSED, overcast
from skill_tools.workers.augmentation.effects.particles import (
    DRAWN_AHEAD,
    Falling,
    Layer,
    Sheet,
    in_view,
    not_doubled,
    scattered,
)
from skill_tools.workers.augmentation.effects.splashes import Splashes, splashes_ahead
from skill_tools.workers.augmentation.effects.veils import Change, SteadyVeil, depth_of
from skill_tools.workers.augmentation.planes import Plane
from skill_tools.workers.augmentation.scene import Scene, View
from skill_tools.workers.augmentation.vocabulary import drawn_seed

DISTANCES_M = (1.5, 2.7, 5.0, 10.0, 18.0)
_EXPOSURE_S = 1 / 60
_DROP_MM = 2.0
_LENS_MM = 2.0  # opening of the lens; as the far is in focus, each drop is blurred by as much
_KINDS = 32  # of streaks in a layer


def rain(scene: Scene, strength: float, rng: np.random.Generator, *, surface: str = "wet") -> Parts:
    """Return rain under a closed sky, and its splashes.

    Drops fall at their terminal velocity, 9.65 - 10.3 exp(-0.6 D) m/s for D mm (Atlas, Srivastava and
    Sekhon, "Doppler Radar Characteristics of Precipitation at Vertical Incidence", 1973); small ones are
    many, large ones few (Marshall and Palmer, "The Distribution of Raindrops with Size", 1948). A streak
    is as long as the fall during the exposure, out of focus when near, and brighter than what is behind
    it, since a drop shows a wide part of the sky (Garg and Nayar, "Vision and Rain", IJCV 2007); from dusk
    on it shows where lamps light it. Drops beyond the last layer are a veil after Koschmieder. On paved
    ground drops throw up crowns and on water they leave rings, in perspective and for about a tenth of a
    second; grass swallows most (Garg, Krishnan and Nayar, "Material Based Splashing of Water Drops", EGSR
    2007).
    """
    strength, notes = not_doubled(scene, strength)
    cloud = overcast(scene, 0.75 * strength, rng, closed=CLOSED)
    wind, layers = shower(scene.size, strength, drawn_seed(rng))
    splashes = Splashes(scene, strength, rng, surface=surface)

    def falling(sky_luma: float) -> Stage:
        return Falling(layers, min(0.92, 1.12 * sky_luma), scene.levels, (splashes,))

    grade = (
        cloud.grade.then(Grade.exposure(-0.30 * strength))
        .then(Grade.contrast(mix(1, 1.14, strength), pivot=0.42))
        .then(Grade.saturation(mix(1, 0.95, strength)))
    )
    return Parts(
        shading=cloud.shading,
        air=(_veil(scene, 0.24 * strength),),
        grade=grade,
        falling=(falling,),
        parameters={"wind": wind, "layers": len(layers)},
        notes=notes,
        already=bool(notes),
    )


def rain_ahead(size: tuple[int, int], strength: float, rng: np.random.Generator) -> None:
    """Draw what rain looks like in pictures of (width, height), whatever they show."""
    shower(size, strength, drawn_seed(rng))
    splashes_ahead(size)


@lru_cache(maxsize=DRAWN_AHEAD)
def shower(size: tuple[int, int], strength: float, seed: int) -> tuple[float, tuple[Layer, ...]]:
    """Return wind, sideways speed by falling speed, and streak layers."""
    rng = np.random.default_rng(seed)
    wind = float(rng.uniform(0.06, 0.24) * rng.choice((-1, 1)))
    return wind, rain_layers(size, strength, wind, rng)


def rain_layers(
    size: tuple[int, int], strength: float, wind: float, rng: np.random.Generator
) -> tuple[Layer, ...]:
    """Return streak layers for pictures of (width, height); `wind` is sideways speed by falling speed."""
    return tuple(_layer(size, distance, strength, wind, rng) for distance in DISTANCES_M)


def _layer(
    size: tuple[int, int], distance: float, strength: float, wind: float, rng: np.random.Generator
) -> Layer:
    width, height = size
    px_per_m = focal_px(size) / distance
    stamps = []
    for _ in range(_KINDS):
        drop_mm = min(4.0, 1.2 + float(rng.exponential(0.7)))
        across_mm = drop_mm + _LENS_MM
        # A drop dims by as much as it is spread, and shows the less the sooner it has passed a place.
        shown = drop_mm / across_mm * (drop_mm / _DROP_MM) / (_velocity(drop_mm) / _velocity(_DROP_MM))
        opacity = mix(0.35, 1.0, strength) * min(0.55, shown * rng.uniform(0.4, 1.15))
        stamps.append(
            _streak(
                max(3.0, _velocity(drop_mm) * _EXPOSURE_S * px_per_m),
                across_mm / 1000 * px_per_m,
                wind + float(rng.normal(0, 0.02)),
                opacity,
            )
        )
    longest = max(stamp.shape[0] for stamp in stamps)
    period = round(height * rng.uniform(1.15, 1.45)) + 2 * longest
    # Number of drops in a slice of air grows with the square of its distance and with its depth.
    count = 105 * strength * (distance / 2.6) ** 1.45 * in_view(size) * period / height
    drawn = scattered((width, period), stamps, round(count), rng)
    fall = _velocity(_DROP_MM) * px_per_m
    return Layer(Sheet.of(drawn), fall, wind * fall)


def _velocity(drop_mm: float) -> float:
    """Return the terminal velocity of a drop in m/s."""
    return 9.65 - 10.3 * float(np.exp(-0.6 * drop_mm))


def _streak(length: float, width: float, wind: float, opacity: float) -> Plane:
    """Return one streak's opacity, soft all around, slanted by the wind; length and width in pixels."""
    half = max(1.0, width)
    rows = int(np.ceil(length)) + 4
    columns = 2 * int(np.ceil(abs(wind) * length / 2 + half)) + 1
    y = np.arange(rows, dtype=np.float32)[:, None] - (rows - 1) / 2
    x = np.arange(columns, dtype=np.float32) - (columns - 1) / 2
    along = y / (length / 2)
    across = np.abs(x - wind * y)
    # In a small picture drops are thinner than a pixel; as faint as that makes them, no rain would be seen.
    profile = np.maximum(1 - across / half, 0) * min(1.0, width**0.6)
    faded = profile * np.clip(1.1 - along**2, 0, 1)
    return np.asarray(255 * opacity * faded, np.uint8)


def _veil(scene: Scene, strength: float) -> SteadyVeil:
    def change(view: View) -> Change:
        far = 1 - np.exp(-view.distant.depth_m / 45.0)
        cover = cv2.blur(far.astype(np.float32), (9, 9)) * strength
        return Change.veil(1 - cover, cover * 0.62, scene.levels, (0.006, -0.004))

    return SteadyVeil(change, of=depth_of)
