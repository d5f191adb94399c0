"""What could shine in a scene at night, found when an effect first asks, in some milliseconds.

Everything is found by its shape on the small background of a standing camera. When in doubt nothing is. What
is found by mistake gets a soft light within its own outline.
"""

from __future__ import annotations

from dataclasses import dataclass

from skill_tools.workers.augmentation.lamps import Lamp, burning, luminaires, street_lamps
from skill_tools.workers.augmentation.planes import Levels, Map, Planes
from skill_tools.workers.augmentation.windows import Pane, panes


@dataclass(frozen=True, eq=False)
class Lights:
    """What could shine in a scene."""

    panes: tuple[Pane, ...] = ()
    lamps: tuple[Lamp, ...] = ()
    indoors: bool = False
    """Whether luminaires at a ceiling tell that what passes for a sky is none."""

    def __bool__(self) -> bool:
        """Tell whether there is anything."""
        return bool(self.panes or self.lamps)

    @property
    def posts(self) -> tuple[Lamp, ...]:
        """The lamps whose place on the ground is known."""
        return tuple(lamp for lamp in self.lamps if lamp.foot is not None)


def find_lights(background: Planes, ground: Map, sky: Map, levels: Levels) -> Lights:
    """Return the windows and lamps of a scene whose camera stands, by its background at the small size."""
    ceiling = tuple(luminaires(background, ground, levels))
    if ceiling:
        return Lights(lamps=ceiling, indoors=True)
    windows = tuple(panes(background, ground, sky, levels))
    lamps = (
        *street_lamps(background.y, ground, sky, windows, levels),
        *burning(background.y, ground, levels),
    )
    return Lights(windows, lamps)
