"""Figures and judgements: what a changed picture is taken for, and what is left open."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from skill_tools.media.probe import probe
from skill_tools.workers.labeling.detector import Image
from skill_tools.workers.labeling.frames import Picture, read_pictures
from skill_tools.workers.labeling.gauge import Gauge, Statistics, averaged
from skill_tools.workers.labeling.judge import RULES, judge

Change = Callable[[Image, int], np.ndarray]


@pytest.fixture(scope="module")
def pictures(sample_clip: Path) -> list[Picture]:
    """Give the sample's first pictures."""
    return list(islice(read_pictures(probe(sample_clip), []), 12))


def measured(pictures: list[Picture], change: Change) -> Statistics:
    """Measure the pictures after `change` (picture, index) was applied to each."""
    gauge = Gauge()
    for index, picture in enumerate(pictures):
        image = np.clip(change(picture.image, index), 0, 255).astype(np.uint8)
        gauge.take(picture.timestamp_s, image, np.zeros((0, 4), np.float32))
    gauge.finish()
    statistics = averaged(gauge.samples)
    assert statistics is not None
    return statistics


def streaks(image: Image, index: int) -> np.ndarray:
    """Draw upright, translucent drops at other places in every frame."""
    generator = np.random.default_rng(index)
    layer = np.zeros(image.shape[:2], np.uint8)
    for x, y in generator.integers((0, 0), image.shape[1::-1], (700, 2)):
        cv2.line(layer, (int(x), int(y)), (int(x) + 2, int(y) + 22), 60, 1, cv2.LINE_AA)
    return image.astype(int) + layer[:, :, None]


def on_snow(image: Image) -> np.ndarray:
    """Whiten the ground, and leave what stands above it."""
    changed = image * 1.0
    middle = len(image) // 2
    changed[middle:] = changed[middle:] * 0.2 + 190
    return changed


@pytest.mark.parametrize(
    ("source", "change", "value"),
    [
        ("lighting", lambda image, _: image * 1.0, "bright"),
        ("lighting", lambda image, _: image * 0.4, "dim"),
        ("time_of_day", lambda image, _: image * 0.25, "night"),
        ("time_of_day", lambda image, _: image * (0.38, 0.5, 0.62), "evening"),
        ("time_of_day", lambda image, _: image * (0.62, 0.5, 0.45), "evening"),
        ("time_of_day", lambda image, _: image * (0.7, 0.95, 1.2), "morning"),
        ("weather", lambda image, _: image * 0.3 + 150, "fog"),
        ("weather", streaks, "rain"),
        ("weather", lambda image, _: on_snow(image), "snow"),
        ("surface_condition", lambda image, _: on_snow(image), "snow"),
    ],
)
def test_changed_pictures_are_told(pictures: list[Picture], source: str, change: Change, value: str) -> None:
    """Darkened, tinted, veiled, whitened and rained-on pictures are taken for what they were made."""
    judgement = judge(source, measured(pictures, change))
    assert value in judgement.values
    assert 0.5 <= judgement.confidence <= 0.9


@pytest.mark.parametrize(
    ("source", "change"),
    [
        ("surface_condition", lambda image, _: image),
        ("weather", lambda image, _: image * 0.3),
        ("lighting", lambda image, _: image * 0.61),
    ],
)
def test_figures_that_say_nothing_judge_nothing(pictures: list[Picture], source: str, change: Change) -> None:
    """A dull ground, a dark sky and a brightness between two levels are left open."""
    judgement = judge(source, measured(pictures, change))
    assert not judgement.values
    assert judgement.why


def test_dry_footage_is_no_rain(pictures: list[Picture]) -> None:
    """The noise and the walkers of a real dry clip are not taken for drops."""
    assert "rain" not in judge("weather", measured(pictures, lambda image, _: image)).values


def test_every_rule_names_real_figures() -> None:
    """No limit refers to a figure that isn't measured."""
    known = set(Statistics.__dataclass_fields__)
    assert {limit.figure for rules in RULES.values() for rule in rules for limit in rule.limits} <= known
