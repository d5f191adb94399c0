"""The question bank and its answers: conditions, aggregation, counts, measurement, honest silence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skill_tools.errors import InputError
from skill_tools.media.probe import probe
from skill_tools.workers.labeling.answers import (
    Answer,
    Evidence,
    QuestionAnswer,
    Window,
    answer_bank,
    windows_of,
)
from skill_tools.workers.labeling.bytetrack import Sighting
from skill_tools.workers.labeling.classes import class_index
from skill_tools.workers.labeling.detector import Detections
from skill_tools.workers.labeling.gauge import Sample, Statistics
from skill_tools.workers.labeling.labels import LabelledClip, LabelStore
from skill_tools.workers.labeling.questions import QuestionBank, load_bank, option_for_count

CAR, BUS = class_index("car"), class_index("bus")
DAYLIGHT = Statistics(
    luma=130,
    spread=180,
    saturation=0.4,
    warmth=1.0,
    veil=0.1,
    white_ground=0,
    falling=0,
    upright=0,
    motion=1,
)

BOOLEAN = {"type": "boolean", "options": ["yes", "no"]}


class Script:
    """A model that answers window by window as it was told."""

    def __init__(self, *windows: Mapping[str, Answer] | str) -> None:
        self.windows = list(windows)
        self.asked: list[list[str]] = []

    def ask(self, questions: Sequence[Any], window: Window) -> Mapping[str, Answer] | str:
        """Give the script's answer for the window."""
        self.asked.append([question.id for question in questions])
        return self.windows[int(window.start_s // 10)]


def bank(*questions: dict[str, Any]) -> QuestionBank:
    """Make a bank; what a question leaves out is filled in."""
    filled = [{"question": "?", "options": ["a", "b"], **question} for question in questions]
    return QuestionBank.model_validate({"questions": filled})


@pytest.fixture
def evidence(short_clip: Path) -> Evidence:
    """Two windows of 10 s, in daylight; one car in the first, three others in the second."""
    store = LabelStore(min_track_frames=1)
    for second in range(20):
        cars = 1 if second < 10 else 3
        found = Detections(
            np.tile(np.array([(0, 0, 9, 9)], np.float32), (cars, 1)),
            np.ones(cars, np.float32),
            np.full(cars, CAR),
        )
        store.add(second, found, [Sighting(cars * 10 + row, row) for row in range(cars)])
    clip = replace(probe(short_clip), fps=probe(short_clip).fps / 10)
    return Evidence(
        labelled=LabelledClip("clip", clip, (CAR,), store),
        windows=windows_of(20, fps=6, window_frames=60),
        samples=[Sample(second, DAYLIGHT) for second in range(20)],
        asker="no VLM endpoint is configured",
    )


def answers(evidence: Evidence, *questions: dict[str, Any]) -> list[QuestionAnswer]:
    """Answer questions as a bank."""
    return list(answer_bank(bank(*questions), evidence))


def test_without_a_model_its_questions_stay_open(evidence: Evidence) -> None:
    """A question for the model is not answered, with the reason, and so is what depends on it."""
    first, second = answers(evidence, {"id": "q"}, {"id": "r", "include_if": {"question": "q", "in": ["a"]}})
    assert (first.status, first.reason) == ("not_answered", "no VLM endpoint is configured")
    assert (second.status, second.reason) == ("not_answered", "depends on 'q', which is not answered")


def test_conditions_are_followed_through_chains(evidence: Evidence) -> None:
    """A question is asked when its condition holds, and skipped with all that hang on it when not."""
    script = Script({"a": "a", "b": "a", "c": "a"}, {"a": "a", "b": "b", "c": "a"})
    chain = [
        {"id": "c", "include_if": {"question": "b", "in": ["b"]}},
        {"id": "d", "include_if": {"question": "c", "in": ["a"]}},
        {"id": "b", "include_if": {"question": "a", "in": ["a"]}},
        {"id": "a"},
    ]
    by_id = {answer.id: answer for answer in answers(replace(evidence, asker=script), *chain)}
    assert {name: answer.status for name, answer in by_id.items()} == {
        "a": "answered", "b": "answered", "c": "skipped", "d": "skipped"
    }  # fmt: skip
    assert by_id["c"].reason == "'b' is a"
    assert script.asked == [["a"], ["a"], ["b"], ["b"]]


def test_any_lets_one_window_suffice(evidence: Evidence) -> None:
    """With `any`, one yes is a yes, options add up, and something outweighs nothing."""
    script = Script(
        {"flag": "no", "many": ["nothing"], "one": "none"},
        {"flag": "yes", "many": ["b", "a"], "one": "b"},
    )
    flag, many, one = answers(
        replace(evidence, asker=script),
        {"id": "flag", "aggregate": "any", **BOOLEAN},
        {"id": "many", "aggregate": "any", "type": "multi", "options": ["nothing", "a", "b"]},
        {"id": "one", "aggregate": "any", "options": ["none", "a", "b"]},
    )
    assert (flag.answer, flag.confidence, flag.source) == ("yes", 0.5, "vlm")
    assert many.answer == ["a", "b"]
    assert one.answer == "b"


def test_majority_takes_what_most_windows_say(evidence: Evidence) -> None:
    """With `majority`, the option of most windows wins; of several, those that most windows name."""
    three = replace(evidence, windows=windows_of(30, fps=6, window_frames=60))
    script = Script({"q": "a", "m": ["a", "b"]}, {"q": "b", "m": ["b"]}, {"q": "b", "m": ["a", "b"]})
    single, multi = answers(
        replace(three, asker=script), {"id": "q"}, {"id": "m", "type": "multi", "options": ["a", "b", "c"]}
    )
    assert (single.answer, single.confidence) == ("b", 0.67)
    assert multi.answer == ["a", "b"]
    assert [window.answer for window in single.windows] == ["a", "b", "b"]


def test_a_window_without_answer_is_said_so(evidence: Evidence) -> None:
    """A window that the model failed in is left out and mentioned."""
    (answer,) = answers(replace(evidence, asker=Script("HTTP 500", {"q": "a"})), {"id": "q"})
    assert (answer.status, answer.answer) == ("answered", "a")
    assert "1 of 2 windows not answered" in answer.reason
    assert answer.windows[0].reason == "HTTP 500"


def test_counts_come_from_labels(evidence: Evidence) -> None:
    """`count:` is answered with different tracks: per window by majority, in the whole clip by any."""
    options = ["0", "1-2", "3", "4+"]
    majority, whole = answers(
        evidence,
        {"id": "m", "source": "count:car", "options": options},
        {"id": "w", "source": "count:car", "options": options, "aggregate": "any"},
    )
    assert (majority.answer, majority.source) == ("1-2", "labels")
    assert [window.answer for window in majority.windows] == ["1-2", "3"]
    assert (whole.answer, whole.reason) == ("4+", "4 different car track(s) in the clip")


def test_count_of_a_class_that_was_not_looked_for(evidence: Evidence) -> None:
    """Nothing is said about a class that the detector wasn't asked for."""
    (answer,) = answers(evidence, {"id": "q", "source": "count:bus", "options": ["0", "1+"]})
    assert (answer.status, answer.reason) == ("not_answered", "bus isn't among detection.classes")


@pytest.mark.parametrize(
    ("count", "options", "expected"),
    [
        (0, ["none", "1-5", "6+"], "none"),
        (5, ["0", "1\u20135", "more than 5"], "1\u20135"),
        (6, ["0", "1-5", "more than 5"], "more than 5"),
        (16, ["few (1-5)", "several (6 to 15)", "many (at least 16)"], "many (at least 16)"),
        (2, ["fewer than 3", "3 or more"], "fewer than 3"),
        (1, ["yes", "no"], "yes"),
        (0, ["yes", "no"], "no"),
        (3, ["few", "many"], None),
    ],
)
def test_options_that_name_numbers(count: int, options: list[str], expected: str | None) -> None:
    """Ranges are understood as people write them; words without numbers are not guessed at."""
    assert option_for_count(count, options) == expected


def test_measured_answers_are_marked(evidence: Evidence) -> None:
    """What the figures decide is answered, marked as measured, with confidence and figures."""
    weather, light = answers(
        evidence,
        {"id": "w", "source": "weather", "options": ["clear", "overcast", "rain"]},
        {"id": "l", "source": "lighting", "options": ["bright", "moderate", "dim"]},
    )
    assert (weather.answer, weather.source) == ("clear", "measured")
    assert weather.confidence is not None
    assert 0.5 < weather.confidence <= 0.9
    assert "spread 180" in weather.reason
    assert light.answer == "bright"


def test_figures_that_fit_several_options_decide_nothing(evidence: Evidence) -> None:
    """Where two options look alike in the figures, neither is claimed."""
    dull = replace(DAYLIGHT, warmth=1.15)
    between = replace(evidence, samples=[Sample(5, dull), Sample(15, dull)])
    (answer,) = answers(
        between, {"id": "t", "source": "time_of_day", "options": ["morning", "midday", "night"]}
    )
    assert answer.status == "not_answered"
    assert "morning and midday fit alike" in answer.reason


def test_the_model_is_asked_what_measurement_leaves_open(evidence: Evidence) -> None:
    """With a model at hand, an undecided measurement is not the last word."""
    script = Script({"s": "dry"}, {"s": "dry"})
    surface, weather = answers(
        replace(evidence, asker=script),
        {"id": "s", "source": "surface_condition", "options": ["dry", "wet"]},
        {"id": "w", "source": "weather", "options": ["clear", "rain"]},
    )
    assert (surface.answer, surface.source) == ("dry", "vlm")
    assert weather.source == "measured"
    assert script.asked == [["s"], ["s"]]


@pytest.mark.parametrize(
    ("duration_s", "edges"), [(3, [3]), (12, [12]), (16, [10, 16]), (20, [10, 20]), (24.9, [10, 24.9])]
)
def test_windows_cover_the_clip(duration_s: float, edges: list[float]) -> None:
    """Windows follow each other without a gap, and a short rest joins the last."""
    windows = windows_of(duration_s, fps=6, window_frames=60)
    assert [window.end_s for window in windows] == edges
    assert [window.start_s for window in windows] == [0, *edges[:-1]]


def test_cookbooks_banks_are_accepted() -> None:
    """Every cookbook's question bank can be read and put in order."""
    banks = sorted((Path(__file__).parents[3] / "assets" / "cookbooks").glob("*/auto_labeling/*bank.json"))
    for path in banks:
        loaded = load_bank(str(path))
        assert sum(len(one) for one in loaded.in_order()) == len(loaded.questions) > 0


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        ([{"id": "a", "source": "wether"}], "wether"),
        ([{"id": "a", "source": "count:cart"}], "cart"),
        ([{"id": "a"}, {"id": "a"}], "two questions have the id 'a'"),
        ([{"id": "a", "include_if": {"question": "z", "in": ["a"]}}], "'z', which isn't there"),
        (
            [{"id": "a"}, {"id": "b", "include_if": {"question": "a", "in": ["c"]}}],
            "no option of 'a'",
        ),
        (
            [
                {"id": "a", "include_if": {"question": "b", "in": ["a"]}},
                {"id": "b", "include_if": {"question": "a", "in": ["a"]}},
            ],
            "circle",
        ),
        ([{"id": "a", "optons": []}], "optons"),
    ],
)
def test_bad_banks_are_refused(tmp_path: Path, questions: list[dict[str, Any]], message: str) -> None:
    """A bank that refers to what doesn't exist, or in a circle, is refused with the place."""
    filled = [{"question": "?", "options": ["a", "b"], **question} for question in questions]
    path = tmp_path / "bank.json"
    path.write_text(json.dumps({"questions": filled}))
    with pytest.raises(InputError, match=message):
        load_bank(str(path))
