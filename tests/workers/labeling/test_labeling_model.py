"""What is asked of a vision-language model, against a real HTTP server: answers, errors, nonsense, delay."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from skill_tools.workers.labeling.answers import Window
from skill_tools.workers.labeling.config import Endpoint
from skill_tools.workers.labeling.endpoint import VisionModel, base_url
from skill_tools.workers.labeling.events import ask_events, read_events
from skill_tools.workers.labeling.frames import FrameSpool
from skill_tools.workers.labeling.model import ModelFailure, TimeLimits
from skill_tools.workers.labeling.questions import Question
from skill_tools.workers.labeling.visual import MOST_STILLS, VisualAsker

WINDOW = Window(0, 10)
QUESTIONS = (
    Question(id="queue", question="Is there a queue?", options=("yes", "no"), type="boolean"),
    Question(id="where", question="Where?", options=("Left lane", "right lane", "nowhere"), type="multi"),
    Question(id="who", question="Who?", options=("a car", "a bus")),
)
EVENT = {"event_id": 9, "start_time": 1, "end_time": 2.5, "category": "near_miss"}


@pytest.fixture
def spool() -> Iterator[FrameSpool]:
    """Ten seconds of grey pictures, four a second."""
    with FrameSpool(4) as kept:
        for tick in range(80):
            kept.offer(tick / 8, np.full((60, 80, 3), tick, np.uint8))
        yield kept


def model_at(url: str, environ: dict[str, str] | None = None, **limits: float) -> VisionModel:
    """Open a model at `url`."""
    return VisionModel(Endpoint(url=url), environ=environ or {}, limits=TimeLimits(**limits))


def test_answers_in_the_options_words(serve: Any, spool: FrameSpool) -> None:
    """Answers are taken whatever their case or wrapping; what is no option is no answer."""
    words = 'Sure!\n```json\n{"queue": true, "where": ["left LANE", "sky"], "who": "a tram",}\n```'
    with serve(words) as server, model_at(server.url) as model:
        given = VisualAsker(model, spool).ask(QUESTIONS, WINDOW)
    assert given == {"queue": "yes", "where": ["Left lane"]}


def test_request_carries_pictures_and_questions(serve: Any, spool: FrameSpool) -> None:
    """One request holds the listed model, evenly spread JPEGs as data URLs and all questions."""
    with serve("{}") as server, model_at(server.url) as model:
        VisualAsker(model, spool).ask(QUESTIONS, WINDOW)
    (request,) = server.requests
    assert request["model"] == "listed-model"
    parts = request["messages"][1]["content"]
    images = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    assert len(images) == MOST_STILLS
    assert all(url.startswith("data:image/jpeg;base64,") for url in images)
    assert base64.b64decode(images[0].partition(",")[2])[:2] == b"\xff\xd8"
    assert all(question.question in parts[-1]["text"] for question in QUESTIONS)


def test_failing_server_is_a_reason(serve: Any, spool: FrameSpool) -> None:
    """An HTTP error gives the reason; after two in a row the endpoint is left in peace."""
    with serve("x", status=500) as server, model_at(server.url) as model:
        asker = VisualAsker(model, spool)
        reasons = [asker.ask(QUESTIONS, WINDOW) for _ in range(4)]
    assert reasons[0] == "the endpoint answered with HTTP 500"
    assert reasons[3] == "the endpoint was given up: the endpoint answered with HTTP 500"
    assert len(server.requests) == 2


def test_nonsense_is_a_reason(serve: Any, spool: FrameSpool) -> None:
    """Words without JSON answer nothing."""
    with serve("I can't see any video.") as server, model_at(server.url) as model:
        given = VisualAsker(model, spool).ask(QUESTIONS, WINDOW)
    assert given == "the model's words hold no JSON object"


def test_slow_server_is_a_reason(serve: Any, spool: FrameSpool) -> None:
    """A server that takes too long is waited for no longer than the limit."""
    with serve("{}", delay_s=1.5) as server, model_at(server.url, request_s=0.3) as model:
        given = VisualAsker(model, spool).ask(QUESTIONS, WINDOW)
    assert given == "the endpoint gave no whole answer within 0.3 s"


def test_nobody_there_is_a_reason(spool: FrameSpool) -> None:
    """An address where nobody listens gives a reason, not an error."""
    with model_at("http://127.0.0.1:9/v1") as model:
        given = VisualAsker(model, spool).ask(QUESTIONS, WINDOW)
    assert given == "the endpoint can't be reached (ConnectError)"


def test_time_for_the_model_is_bounded_in_all(serve: Any) -> None:
    """When the whole allowance is used up, nothing more is sent."""
    now = iter([0.0, *[100.0] * 20])
    with serve("{}") as server:
        model = VisionModel(
            Endpoint(url=server.url, model="m"),
            environ={},
            limits=TimeLimits(request_s=5, total_s=50),
            clock=lambda: next(now),
        )
        with model, pytest.raises(ModelFailure, match="used up"):
            model.complete("", "", [])
    assert server.requests == []


@pytest.mark.parametrize(
    ("environ", "header"),
    [
        ({"VLM_API_KEY": "key-1", "OPENAI_API_KEY": "key-2"}, "Bearer key-1"),
        ({"OPENAI_API_KEY": "Bearer key-2"}, "Bearer key-2"),
        ({"NVIDIA_API_KEY": "Authorization: Bearer key-3"}, "Bearer key-3"),
        ({}, None),
    ],
)
def test_key_comes_from_the_environment(serve: Any, environ: dict[str, str], header: str | None) -> None:
    """The first key that is set is sent, in whatever form it was given, and none if there is none."""
    with serve("{}") as server, model_at(server.url, environ) as model:
        model.complete("", "", [])
    assert server.authorizations == [header]


@pytest.mark.parametrize("suffix", ["", "/", "/chat/completions", "/models?x=1"])
def test_urls_as_people_give_them(serve: Any, suffix: str) -> None:
    """Suffixes are taken off, and the form with /v1 is found when it was left out."""
    with serve("words") as server, model_at(server.url.removesuffix("/v1") + suffix) as model:
        assert model.complete("", "", []) == "words"


def test_scheme_is_added() -> None:
    """A bare host becomes an http URL."""
    assert base_url("host:8000/v1/chat/completions") == "http://host:8000/v1"


def test_events_from_two_objects(serve: Any, spool: FrameSpool) -> None:
    """Metadata and events are read, events in order of time and numbered."""
    later = {**EVENT, "start_time": "0:07.5", "end_time": "99 s", "category": "Near Miss"}
    words = f'```json\n{{"scene": "x"}}\n```\n{json.dumps({"version": "1.0", "events": [later, EVENT]})}'
    with serve(words) as server, model_at(server.url) as model:
        document = ask_events(model, spool, prompt="Watch.", video="clip", duration_s=10)
    assert (document.status, document.metadata) == ("answered", {"scene": "x"})
    assert [(event.event_id, event.start_time, event.end_time) for event in document.events] == [
        (1, 1, 2.5), (2, 7.5, 10)
    ]  # fmt: skip
    assert document.per_category == {"near_miss": 2}
    assert server.requests[0]["messages"][0]["content"] == "Watch."


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"category": "party"}, "category"),
        ({"end_time": 0.5}, "ends before it starts"),
        ({"start_time": 11, "end_time": 12}, "after the clip's end"),
        ({"start_time": None}, "start_time"),
    ],
)
def test_events_that_do_not_hold_up_are_left_out(change: dict[str, Any], reason: str) -> None:
    """An invalid event is dropped and mentioned; the valid ones stay."""
    words = json.dumps({"events": [{**EVENT, **change}, EVENT]})
    document = read_events(words, video="clip", duration_s=10)
    assert len(document.events) == 1
    assert document.reason.startswith("1 event(s) left out")
    assert reason in document.reason


@pytest.mark.parametrize("words", ["no idea", '{"events": "none"}', "{broken", ""])
def test_words_without_events_answer_nothing(words: str) -> None:
    """Without an object that holds a list of events the document is not answered, with the reason."""
    document = read_events(words, video="clip", duration_s=10)
    assert (document.status, document.per_category) == ("not_answered", None)
    assert document.reason


def test_failing_server_leaves_events_open(serve: Any, spool: FrameSpool) -> None:
    """An HTTP error is the reason of a not_answered."""
    with serve("x", status=503) as server, model_at(server.url) as model:
        document = ask_events(model, spool, prompt="", video="clip", duration_s=10)
    assert (document.status, document.reason) == ("not_answered", "the endpoint answered with HTTP 503")
