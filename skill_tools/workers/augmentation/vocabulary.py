"""The words that a variant is asked for in: variables, their values, strengths, and what contradicts what."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from skill_tools.errors import InputError

VALUES: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "weather": {
        "clear": (0.55, 0.85),
        "overcast": (0.65, 0.95),
        "rain": (0.6, 0.95),
        "fog": (0.5, 0.85),
        "snow": (0.55, 0.9),
    },
    "time_of_day": {
        "sunrise": (0.6, 0.9),
        "morning": (0.6, 0.9),
        "midday": (0.6, 0.9),
        "afternoon": (0.55, 0.85),
        "golden_hour": (0.65, 0.95),
        "evening": (0.6, 0.95),
        "sunset": (0.65, 0.95),
        "twilight": (0.6, 0.9),
        "blue_hour": (0.6, 0.9),
        "night": (0.65, 0.9),
    },
    "lighting": {"bright": (0.6, 0.9), "moderate": (0.6, 0.9), "dim": (0.6, 0.9)},
    "surface": {
        "dry": (0.6, 0.9),
        "wet": (0.6, 0.95),
        "puddles": (0.6, 0.9),
        "flooding": (0.6, 0.9),
        "snow": (0.55, 0.85),
        "sand": (0.5, 0.8),
    },
}
"""Variable to value to the range that its strength is drawn from; strength 0 changes nothing, 1 the most."""

SYNONYMS: Mapping[str, str] = {
    "road": "surface",
    "surface_condition": "surface",
    "ground": "surface",
    "time": "time_of_day",
}
"""Other names of variables, as cookbooks use them."""

_IN_THE_OPEN = frozenset({"rain", "fog", "snow"})
_WETTED_BY = {"rain": "wet", "snow": "snow"}


@dataclass(frozen=True)
class Wish:
    """What one variant has to show."""

    values: Mapping[str, str]
    """Canonical variable to value, contradictions resolved, in the order of `VALUES`."""
    strengths: Mapping[str, float]
    """Canonical variable to strength, 0 to 1."""
    notes: tuple[str, ...] = ()
    """What was resolved, in whole sentences."""

    def strength(self, variable: str) -> float:
        """Return the strength of a variable; 0 when it isn't asked for."""
        return self.strengths.get(variable, 0.0)

    def weaker(self, factor: float) -> Wish:
        """Return the same wish with every strength multiplied by `factor`."""
        return Wish(self.values, {name: value * factor for name, value in self.strengths.items()}, self.notes)


def wish_for(
    sampled: Mapping[str, str], *, fixed: Mapping[str, float] | float | None, seed: int, name: str
) -> Wish:
    """Return the wish that sampled variables stand for.

    A strength that isn't fixed is drawn in its value's range, from a hash of seed, `name` and variable:
    the same on every machine, and independent of the other variables.

    Raises:
        InputError: an unknown variable or value.
    """
    asked: dict[str, str] = {}
    notes: list[str] = []
    # The variable's own name first: it decides over its other names.
    for given in sorted(sampled, key=lambda given: given not in VALUES):
        variable, value = canonical(given), sampled[given]
        _check_value(given, variable, value)
        if asked.setdefault(variable, value) != value:
            notes.append(f"{given}={value} contradicts {variable}={asked[variable]}, which is shown.")
    values, resolved = _reconciled({variable: asked[variable] for variable in VALUES if variable in asked})
    notes += resolved
    strengths = {
        variable: _strength(variable, value, fixed, seed, name) for variable, value in values.items()
    }
    return Wish(values, strengths, tuple(notes))


def canonical(variable: str) -> str:
    """Return the name by which `VALUES` knows a variable.

    Raises:
        InputError: no variable has that name.
    """
    name = SYNONYMS.get(variable, variable)
    if name not in VALUES:
        known = {**VALUES, **SYNONYMS}
        raise InputError(
            f"Unknown variable {variable!r} in augmentation.sampled_vars.",
            expected=f"one of {', '.join(VALUES)} (or {', '.join(SYNONYMS)})",
            remedy=f"Did you mean {nearest(variable, known)!r}?",
            code="input.unknown_variable",
        )
    return name


def seed_for(*parts: object) -> int:
    """Return a 64-bit seed that depends on nothing but `parts`."""
    return int.from_bytes(hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()[:8], "big")


def generator(*parts: object) -> np.random.Generator:
    """Return a random generator seeded by `parts`."""
    return np.random.default_rng(seed_for(*parts))


def drawn_seed(rng: np.random.Generator) -> int:
    """Return a seed for what is drawn by itself, be it before all else."""
    return int(rng.integers(1 << 31))


def nearest(word: str, choices: Mapping[str, object]) -> str:
    """Return the choice most like `word`, for an error's remedy."""
    return (difflib.get_close_matches(word, list(choices), n=1, cutoff=0.0) or [next(iter(choices))])[0]


def _check_value(given: str, variable: str, value: str) -> None:
    if value not in VALUES[variable]:
        raise InputError(
            f"Unknown value {value!r} for {given}.",
            expected=f"one of {', '.join(VALUES[variable])}",
            remedy=f"Did you mean {nearest(value, VALUES[variable])!r}?",
            code="input.unknown_value",
        )


def _reconciled(values: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Resolve contradictions: what falls decides over the ground that it falls on, lamps over the sun."""
    notes: list[str] = []
    weather, surface = values.get("weather", ""), values.get("surface")
    if surface == "dry" and weather in _WETTED_BY:
        values["surface"] = _WETTED_BY[weather]
        notes.append(f"weather={weather} falls on the ground: surface=dry is shown as {_WETTED_BY[weather]}.")
    elif surface is None and weather in _WETTED_BY:
        values["surface"] = _WETTED_BY[weather]
        notes.append(f"weather={weather} implies surface={_WETTED_BY[weather]}.")
    if "lighting" in values and "time_of_day" in values:
        notes.append("lighting and time_of_day are both given: lamps are shown over the light of that hour.")
    if "lighting" in values and weather in _IN_THE_OPEN:
        notes.append(f"lighting is a room's, weather={weather} is of the open air: both are shown.")
    return values, notes


def _strength(
    variable: str, value: str, fixed: Mapping[str, float] | float | None, seed: int, name: str
) -> float:
    if isinstance(fixed, Mapping):
        for given, strength in fixed.items():
            if SYNONYMS.get(given, given) == variable:
                return strength
    elif fixed is not None:
        return fixed
    low, high = VALUES[variable][value]
    return round(float(generator(seed, name, variable).uniform(low, high)), 4)
