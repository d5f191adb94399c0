"""Fog: light that is lost on the way and light that is gained, by distance; never a blur."""

from __future__ import annotations

import numpy as np

from skill_tools.workers.augmentation.effects.base import Parts, mix
from skill_tools.workers.augmentation.effects.clouds import Flattening
from skill_tools.workers.augmentation.effects.veils import Change, SteadyVeil, depth_of
from skill_tools.workers.augmentation.planes import quantile
from skill_tools.workers.augmentation.scene import Scene, View

_NOTED = 0.3  # of a veil


def fog(scene: Scene, strength: float, rng: np.random.Generator) -> Parts:
    """Return fog of a visibility between some 260 m and 40 m, to the scale of the depth estimate.

    Koschmieder's law (1924): I = J·t + A·(1 - t), t = exp(-beta·d), beta = 3.912 / visibility. A source that
    is foggy already gets as much less.
    """
    veil = scene.light.veil
    far = quantile(scene.geometry.depth_m, 0.92)
    # To scale for a far view; a view that ends near still has to show its fog.
    visibility = min(mix(260.0, 40.0, strength), 3.912 * max(far, 3.0) / mix(0.6, 2.8, strength))
    beta = 3.912 / visibility * min(1.0, 4 * strength) * (1 - 0.9 * veil)
    airlight = 0.74 + float(rng.uniform(-0.03, 0.03))
    # Light scattered into the lens from all around takes some of what is near as well.
    near = mix(1.0, 0.97, strength)

    def change(view: View) -> Change:
        passes = near * np.maximum(np.exp(-beta * view.distant.depth_m), 0.03)
        return Change.veil(passes, (1 - passes) * airlight, scene.levels, (0.008, -0.006))

    return Parts(
        shading=(Flattening(scene, mix(1.0, 0.7, strength)),),
        air=(SteadyVeil(change, of=depth_of),),
        parameters={"visibility_m": 3.912 / max(beta, 1e-6), "airlight": airlight},
        notes=("The source is foggy already: less fog is added.",) if veil > _NOTED else (),
        already=veil > _NOTED,
    )
