"""The words that a cookbook may use: variables, their values, what an event can be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType

_SURFACES = ("dry", "wet", "puddles", "flooding", "snow", "sand")
VOCABULARY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "weather": ("clear", "overcast", "rain", "fog", "snow"),
        "time_of_day": (
            "sunrise",
            "morning",
            "midday",
            "afternoon",
            "golden_hour",
            "evening",
            "sunset",
            "twilight",
            "blue_hour",
            "night",
        ),
        "lighting": ("bright", "moderate", "dim"),
        "surface_condition": _SURFACES,
        "surface": _SURFACES,
        "road": _SURFACES,
    }
)
"""Every variable that a variant can have, and every value that can be rendered."""

MEASURED = ("weather", "time_of_day", "lighting", "surface_condition")
"""Variables that can be measured in the picture, so that a question about them needs no model."""

CATEGORIES = ("collision", "near_miss", "anomaly", "normal")
"""What an event can be; sub-categories are each scene's own."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean x?)` for the known word that is nearest, or nothing if none is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.4)
    return f" (did you mean {near[0]}?)" if near else ""
