"""Effects: what each value of the vocabulary does to a scene, and how the effects of a wish are chained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from skill_tools.workers.augmentation.effects.base import Grade, Parts, Stage
from skill_tools.workers.augmentation.effects.clouds import clear, overcast
from skill_tools.workers.augmentation.effects.daylight import HOURS, daylight
from skill_tools.workers.augmentation.effects.fog import fog
from skill_tools.workers.augmentation.effects.indoor import LIGHTINGS, indoor
from skill_tools.workers.augmentation.effects.laying import joined
from skill_tools.workers.augmentation.effects.night import night
from skill_tools.workers.augmentation.effects.rain import rain, rain_ahead
from skill_tools.workers.augmentation.effects.snowfall import snow, snow_ahead
from skill_tools.workers.augmentation.effects.steadying import Steadying
from skill_tools.workers.augmentation.effects.surface import SURFACES, ground_ahead, snow_cover_ahead, wet
from skill_tools.workers.augmentation.planes import Planes
from skill_tools.workers.augmentation.scene import Scene, View
from skill_tools.workers.augmentation.vocabulary import Wish, generator

__all__ = ["EFFECTS", "Chain", "Stage", "chain_for", "draw_ahead", "edited"]

Effect = Callable[[Scene, float, np.random.Generator], Parts]

EFFECTS: Mapping[str, Mapping[str, Effect]] = {
    "weather": {"clear": clear, "overcast": overcast, "rain": rain, "fog": fog, "snow": snow},
    "time_of_day": {**{hour: partial(daylight, hour) for hour in HOURS}, "night": night},
    "lighting": {lighting: partial(indoor, lighting) for lighting in LIGHTINGS},
    "surface": SURFACES,
}
"""Variable to value to the effect that shows it."""

_AHEAD: Mapping[tuple[str, str], Callable[[tuple[int, int], float, np.random.Generator], None]] = {
    ("weather", "rain"): rain_ahead,
    ("weather", "snow"): snow_ahead,
    **{("surface", value): ground_ahead for value in ("wet", "puddles", "flooding", "sand")},
    ("surface", "snow"): snow_cover_ahead,
}
"""What each value needs drawn, whatever the scene is."""


@dataclass(frozen=True, eq=False)
class Chain:
    """The stages of a variant for one scene, in the order in which light takes its way."""

    stages: tuple[Stage, ...]
    parameters: Mapping[str, Mapping[str, float]]
    """Figures by variable."""
    notes: tuple[str, ...]
    already: frozenset[str]
    """Variables whose value the source shows already."""


def chain_for(wish: Wish, scene: Scene, *, seed: int, name: str) -> Chain:
    """Return the stages that show `wish` in `scene`.

    Light falls on things, the ground is covered, air lies between, all is graded at once, lamps light,
    something falls in front, the sensor adds its noise, exposure is kept steady. Random choices hang on
    seed, name and variable alone, so every scene of a clip gets the same wind, sun side and patches.
    """
    parts = {
        variable: _effect(wish, variable, value)(
            scene, wish.strength(variable), generator(seed, name, variable, value)
        )
        for variable, value in wish.values.items()
    }
    every = tuple(parts.values())
    grade = Grade()
    for part in every:
        grade = grade.then(part.grade)
    sky = float(np.interp(0.80, np.linspace(0, 1, 256), grade.tone))
    if wish.values.get("time_of_day") == "night":
        sky *= 0.33
    stages = joined(
        (
            *(veil for part in every for veil in part.shading),
            *(veil for part in every for veil in part.ground),
            *(veil for part in every for veil in part.air),
            grade.stage(scene.levels),
            *(step for part in every for step in part.lamps),
            *(make(sky) for part in every for make in part.falling),
            *(stage for part in every for stage in part.sensor),
            *([Steadying(scene)] if every else []),
        )
    )
    return Chain(
        tuple(stages),
        {variable: part.parameters for variable, part in parts.items()},
        tuple(note for part in every for note in part.notes),
        frozenset(variable for variable, part in parts.items() if part.already),
    )


def draw_ahead(wish: Wish, size: tuple[int, int], *, seed: int, name: str) -> None:
    """Draw what doesn't hang on the scene for pictures of (width, height), for `chain_for` to find.

    Until a scene's first frames are decoded one core has little to do. Here that makes a variant 20 to 100 ms
    quicker.
    """
    for variable, value in wish.values.items():
        ahead = _AHEAD.get((variable, value))
        if ahead:
            ahead(size, wish.strength(variable), generator(seed, name, variable, value))


def edited(planes: Planes, view: View, stages: Iterable[Stage]) -> Planes:
    """Return the planes of one frame edited by stages: the ones given, if they may be edited, or others."""
    for stage in stages:
        planes = stage.apply(planes, view)
    return planes


def _effect(wish: Wish, variable: str, value: str) -> Effect:
    if (variable, value) == ("surface", "wet") and "lighting" in wish.values and "weather" not in wish.values:
        return partial(wet, indoor=True)
    if (variable, value) == ("weather", "rain"):
        return partial(rain, surface=wish.values.get("surface", "wet"))
    return EFFECTS[variable][value]
