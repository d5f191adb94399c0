"""What figures alone say about weather, light and ground, and when they say nothing.

Figures see brightness, colour and motion, not meaning: a dark wall and a late hour look alike. So a judgement
is the *set* of values that fit what was measured, with the figures it rests on; whoever asks answers only
if a single option is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from skill_tools.workers.labeling.gauge import Statistics

LEAST_CONFIDENCE, MOST_CONFIDENCE = 0.5, 0.9


@dataclass(frozen=True)
class Judgement:
    """The values of a vocabulary that fit the statistics; none when they don't decide."""

    values: frozenset[str]
    confidence: float
    why: str


@dataclass(frozen=True)
class Limit:
    """A figure counts from `threshold` on, in the direction of `sure`, where nothing is left to doubt."""

    figure: str
    threshold: float
    sure: float

    def certainty(self, seen: Statistics) -> float | None:
        """Give 0 at the threshold up to 1 where it is sure; nothing on the other side."""
        share = (getattr(seen, self.figure) - self.threshold) / (self.sure - self.threshold)
        return None if share < 0 else min(float(share), 1.0)


@dataclass(frozen=True)
class Rule:
    """If every limit is met, the picture shows `what`, which fits `values`."""

    values: str
    what: str
    limits: tuple[Limit, ...]

    def judge(self, seen: Statistics) -> Judgement | None:
        """Judge, if the rule fits; confidence goes by the figure that is nearest its threshold."""
        certainties = [limit.certainty(seen) for limit in self.limits]
        met = [certainty for certainty in certainties if certainty is not None]
        if len(met) < len(certainties):
            return None
        confidence = LEAST_CONFIDENCE + (MOST_CONFIDENCE - LEAST_CONFIDENCE) * min(met, default=0.0)
        values = frozenset(self.values.split())
        return Judgement(values, round(confidence, 2) if values else 0.0, self._why(seen))

    def _why(self, seen: Statistics) -> str:
        names = (limit.figure for limit in self.limits)
        figures = ", ".join(f"{name} {getattr(seen, name):.3g}" for name in names)
        return f"{self.what} ({figures})" if figures else self.what


_WHITE_GROUND = Limit("white_ground", 0.45, 0.8)
_FOG = Rule("fog", "a veil over everything", (Limit("veil", 0.5, 0.65), Limit("spread", 110, 70)))

RULES: Mapping[str, tuple[Rule, ...]] = MappingProxyType(
    {
        "weather": (
            _FOG,
            Rule("snow", "a white ground", (_WHITE_GROUND,)),
            Rule(
                "rain",
                "short-lived upright streaks",
                (Limit("falling", 0.008, 0.03), Limit("upright", 0.2, 0.5), Limit("motion", 6, 3)),
            ),
            Rule("", "too dark to tell the state of the sky", (Limit("luma", 85, 0),)),
            Rule(
                "clear",
                "hard light, full colours",
                (Limit("spread", 165, 210), Limit("saturation", 0.25, 0.4)),
            ),
            Rule(
                "overcast",
                "flat, white light, pale colours",
                (
                    Limit("spread", 120, 80),
                    Limit("saturation", 0.22, 0.1),
                    Limit("warmth", 1.12, 1),
                    Limit("veil", 0.42, 0.3),
                ),
            ),
        ),
        "time_of_day": (
            Rule("night", "dark", (Limit("luma", 40, 15),)),
            Rule(
                "evening dusk sunset golden_hour sunrise",
                "dim, warm light",
                (Limit("luma", 88, 60), Limit("warmth", 1.15, 1.4)),
            ),
            Rule(
                "evening dusk twilight blue_hour",
                "dim, cool light",
                (Limit("luma", 78, 55), Limit("warmth", 0.95, 0.75)),
            ),
            Rule("", "dim, and of no colour that tells the hour", (Limit("luma", 95, 70),)),
            Rule(
                "morning afternoon evening golden_hour sunrise sunset",
                "warm daylight",
                (Limit("warmth", 1.25, 1.6),),
            ),
            Rule(
                "midday noon day",
                "hard, white daylight",
                (Limit("warmth", 1.1, 1), Limit("spread", 150, 190), Limit("luma", 115, 140)),
            ),
            Rule("morning midday noon afternoon day", "daylight", (Limit("luma", 95, 140),)),
        ),
        "lighting": (
            Rule("bright", "bright", (Limit("luma", 115, 150),)),
            Rule("", "between bright and moderate", (Limit("luma", 108, 115),)),
            Rule("moderate", "moderately lit", (Limit("luma", 78, 90),)),
            Rule("", "between moderate and dim", (Limit("luma", 70, 78),)),
            Rule("dim", "dim", (Limit("luma", 70, 40),)),
        ),
        # Bright marks on dry stone and reflections on wet stone have the same figures: no rule for either.
        "surface_condition": (
            Rule("", "a veil over everything", _FOG.limits),
            Rule("snow", "a white ground", (_WHITE_GROUND,)),
            Rule("", "a ground that may be dry or wet", ()),
        ),
    }
)
"""By the question bank's names of sources, what is tried in order; the first rule that fits judges."""


def judge(source: str, seen: Statistics) -> Judgement:
    """Judge `source` (a key of RULES) by the first rule that fits."""
    for rule in RULES[source]:
        judgement = rule.judge(seen)
        if judgement is not None:
            return judgement
    return Judgement(frozenset(), 0.0, "the figures are those of no one value")
