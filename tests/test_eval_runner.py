"""The runner of the evals for a real model, with scripted models behind a real HTTP server."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from evals.run_model import KEY_VARIABLE, main
from tests.scripted_model import (
    MODEL,
    Message,
    Script,
    ScriptedEndpoint,
    calling,
    follower,
    results_in,
    saying,
)

RunEvals = Callable[..., tuple[int, str]]
NO_SUCH_KEY = "a-key-of-this-test"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> RunEvals:
    """Give what does evals with a scripted model, and returns the exit code and what was printed."""

    def do(script: Script, *words: str) -> tuple[int, str]:
        with ScriptedEndpoint(script) as endpoint:
            code = main(["--url", endpoint.url, "--model", MODEL, *words])
        return code, capsys.readouterr().out

    return do


def clip_in(request: Mapping[str, Any]) -> str:
    """Return the first of the user's files, as the prompt names it."""
    system: str = request["messages"][0]["content"]
    return system.rpartition("Files in the user's folder:\n- ")[2].splitlines()[0]


def wishing(tool: str, **wishes: Any) -> Script:
    """Return a model that begins with the user's clip and these wishes, and follows."""
    return lambda request: follower(tool, clips=[clip_in(request)], **wishes)(request)


RAIN = {"variables": {"weather": "rain", "time_of_day": "evening"}}


@pytest.mark.parametrize("tool", ["select_flow", "run"])
def test_a_model_that_does_as_it_should_passes(run: RunEvals, tool: str) -> None:
    """Step by step or in one call, a rainy evening with its media in the last words is what was asked for."""
    code, out = run(wishing(tool, **RAIN), "explicit-rain-evening")
    assert (code, out.splitlines()) == (0, ["ok     explicit-rain-evening", "1 of 1 passed; 0 tokens"])


def test_other_values_than_the_user_asked_for_fail(run: RunEvals) -> None:
    """A run that ends well and has the wrong weather is not what was asked for."""
    code, out = run(wishing("run", variables={"weather": "clear"}), "explicit-rain-evening")
    assert code == 1
    assert out.startswith("FAILED explicit-rain-evening: select_flow: data.variables")


def stopping_before(tool: str, words: str) -> Script:
    """Return a model that follows up to a tool and then says something instead."""

    def answer(request: Mapping[str, Any]) -> Message:
        results = results_in(request)
        if results and results[-1]["next"] and results[-1]["next"][0]["tool"] == tool:
            return saying(words)
        return wishing("select_flow", **RAIN)(request)

    return answer


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (stopping_before("submit", "Shall I go on?"), "nobody is asked"),
        (stopping_before("prepare_dataset", "It comes later."), "prepare_dataset: it was never called"),
        (stopping_before("submit", "All variants are done!"), "this run is not complete"),
        (stopping_before("submit", ""), "without a word"),
    ],
)
def test_a_model_that_stops_asks_or_boasts_fails(run: RunEvals, model: Script, why: str) -> None:
    """Steps that never came, a needless question, a claim without evidence and silence are each told."""
    code, out = run(model, "explicit-rain-evening")
    assert code == 1
    assert why in out


def test_media_that_the_last_words_leave_out_are_missed(run: RunEvals) -> None:
    """A complete run whose side by side is not shown is not told of."""

    def silent(request: Mapping[str, Any]) -> Message:
        message = wishing("run", **RAIN)(request)
        return message if message.get("tool_calls") else saying("The run is complete.")

    code, out = run(silent, "explicit-rain-evening")
    assert code == 1
    assert "don't show MEDIA:" in out


def test_a_near_miss_is_passed_by_calling_nothing(run: RunEvals) -> None:
    """What is not for the skill is answered without it; a call is a failure."""
    assert run(lambda _request: saying("I train no models here."), "negative-train")[0] == 0
    eager = follower("select_flow", request="train")
    code, out = run(eager, "negative-train")
    assert code == 1
    assert "is not for this skill" in out


def test_a_question_that_the_run_needs_has_to_be_put(run: RunEvals) -> None:
    """Where a secret is missing, the last words ask for it; saying nothing of it fails."""

    def asking(request: Mapping[str, Any]) -> Message:
        results = results_in(request)
        if results and results[-1]["status"] == "needs_input":
            return saying(results[-1]["problem"]["message"])
        wishes = {"engine": "osmo", "dataset_url": "s3://lab/datasets/car"}
        return follower("select_flow", **wishes)(request)

    def mute(request: Mapping[str, Any]) -> Message:
        message = asking(request)
        return message if message.get("tool_calls") else saying("It does not start.")

    code, out = run(asking, "contextual-no-token")
    assert code == 0, out
    code, out = run(mute, "contextual-no-token")
    assert code == 1
    assert "don't ask" in out


@pytest.mark.parametrize("slip", ["{clips", "[1]", '"clip.mp4"', "null"])
def test_arguments_that_are_no_object_are_answered_and_can_be_mended(run: RunEvals, slip: str) -> None:
    """A model's slip comes back as a result, and its next try counts."""

    def slipping(request: Mapping[str, Any]) -> Message:
        if not any(one["role"] == "tool" for one in request["messages"]):
            wrong = calling("run_script", {})
            wrong["tool_calls"][0]["function"]["arguments"] = slip
            return wrong
        mended = [one for one in request["messages"] if '"call_0"' not in json.dumps(one)]
        return _renumbered(wishing("run", **RAIN)({**request, "messages": mended}))

    assert run(slipping, "explicit-rain-evening")[0] == 0


def _renumbered(message: Message) -> Message:
    for asked in message.get("tool_calls", ()):
        asked["id"] = "call_again"
    return message


def test_a_model_without_end_is_stopped(run: RunEvals) -> None:
    """Calling the same thing for ever is a failure after a bounded number of turns."""
    code, out = run(lambda _request: calling("inspect_engine", {"what": "pools"}), "explicit-rain-evening")
    assert code == 1
    assert "40 turns and no end" in out


def test_an_endpoint_that_fails_is_told_of_each_eval(capsys: pytest.CaptureFixture[str]) -> None:
    """A model that isn't there is no crash: the eval failed, with the reason."""
    with ScriptedEndpoint(lambda _request: saying("")) as endpoint:
        code = main(["--url", endpoint.url, "--model", "another", "negative-train"])
    assert code == 1
    assert "404" in capsys.readouterr().out


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sent as a bearer token and stands in no argument list."""
    monkeypatch.setenv(KEY_VARIABLE, NO_SUCH_KEY)
    with ScriptedEndpoint(lambda _request: saying("No.")) as endpoint:
        main(["--url", endpoint.url, "--model", MODEL, "negative-train"])
    assert endpoint.keys == [f"Bearer {NO_SUCH_KEY}"]


def test_the_trigger_set_is_asked_query_by_query(run: RunEvals) -> None:
    """Name and description alone decide; a model that loads the skill for everything fails half of it."""

    def loads_all(request: Mapping[str, Any]) -> Message:
        system = request["messages"][0]["content"]
        assert "Do not use for" in system
        assert [one["function"]["name"] for one in request["tools"]] == ["load_skill"]
        return calling("load_skill", {"name": "physical-ai-video-data-augmentation"})

    code, out = run(loads_all, "--triggers")
    assert (code, out.splitlines()[-1]) == (1, "10 of 20 passed; 0 tokens")
