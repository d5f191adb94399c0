"""Endpoints: what people write, what serves, and how long one waits."""

from __future__ import annotations

import pytest

from skill_tools.access.endpoints import (
    Patience,
    authorization,
    candidates,
    endpoint_key,
    is_cluster_internal,
    normalise_url,
    probe_endpoints,
    wait_for_endpoint,
)
from skill_tools.access.secrets import Secret
from skill_tools.errors import InputError
from tests.access.web_lab import Reply, Request, WebLab, unused_port

MODELS = {"object": "list", "data": [{"id": "qwen"}, {"id": "other"}]}


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://host:8000/v1", "http://host:8000/v1"),
        ("https://api.example.com/v1/chat/completions?x=1#y", "https://api.example.com/v1"),
        (" 'https://API.example.com/v1/' ", "https://api.example.com/v1"),
        ("api.example.com", "https://api.example.com"),
        ("api.example.com/v1/models/", "https://api.example.com/v1"),
        (
            "qwen3-vl.osmo-nims.svc.cluster.local:8000/v1",
            "http://qwen3-vl.osmo-nims.svc.cluster.local:8000/v1",
        ),
        ("localhost:8000", "http://localhost:8000"),
        ("127.0.0.1:8000/v1/completions", "http://127.0.0.1:8000/v1"),
        ("[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("vlm:8000/v1/embeddings", "http://vlm:8000/v1"),
        ("https://host/openai/Deploy/responses", "https://host/openai/Deploy"),
        ("HTTP://host/v1/chat/completions/models", "http://host/v1"),
    ],
)
def test_urls_are_normalised(given: str, url: str) -> None:
    """Schemes are added, quotes, queries, routes and slashes taken off; once more changes nothing."""
    assert normalise_url(given) == url
    assert normalise_url(url) == url


@pytest.mark.parametrize(
    "given",
    ["", "  ", "ftp://host", "http://", "http://user:secret-key@host/v1", "http://ho st", "http://h:99999x"],
)
def test_what_is_no_endpoint_is_refused_without_its_secret(given: str) -> None:
    """No host, a strange scheme, or a key in the URL is the caller's mistake; the key isn't repeated."""
    with pytest.raises(InputError) as caught:
        normalise_url(given)
    assert "secret-key" not in str(caught.value)


def test_both_forms_are_candidates() -> None:
    """With and without `/v1`, whichever was given."""
    assert candidates("http://h/v1") == candidates("http://h") == ("http://h/v1", "http://h")


def test_cluster_names_are_told_from_others() -> None:
    """Only names that the cluster's own DNS knows are internal."""
    assert is_cluster_internal("http://a.b.svc.cluster.local:8000/v1")
    assert is_cluster_internal("http://a.b.svc")
    assert not is_cluster_internal("https://svc.example.com")


@pytest.mark.parametrize("form", ["key-1", "Bearer key-1", "bearer  key-1 ", "Authorization: Bearer key-1"])
def test_every_form_of_a_key_makes_the_same_header(form: str) -> None:
    """A bare key, with its scheme, or the whole header."""
    assert authorization(form) == "Bearer key-1"
    assert endpoint_key({"VLM_API_KEY": form}, "vlm") == Secret("key-1", "x")


def test_keys_have_their_order() -> None:
    """Each role's own variable comes first."""
    environ = {"VLM_API_KEY": "v", "LLM_API_KEY": "l", "NGC_CLI_API_KEY": "n"}
    assert endpoint_key(environ, "vlm") == Secret("v", "")
    assert endpoint_key(environ, "llm") == Secret("l", "")
    assert endpoint_key({"NGC_CLI_API_KEY": "n", "NVIDIA_API_KEY": " "}, "llm") == Secret("n", "")
    assert endpoint_key({}, "vlm") is None


@pytest.mark.parametrize("path", ["/v1/models", "/models"])
def test_endpoint_is_found_with_or_without_its_version(web: WebLab, path: str) -> None:
    """The base that serves models is the one to use, whichever was written."""
    web.routes[path] = lambda request: (
        Reply(200, MODELS) if request.headers.get("authorization") == "Bearer k-123456" else Reply(401)
    )
    for given in (web.url, f"{web.url}/v1/chat/completions"):
        (probe,) = probe_endpoints([given], [Secret("k-123456", "VLM_API_KEY")])
        assert probe.healthy
        assert probe.models == ("qwen", "other")
        assert probe.url == web.url + path.removesuffix("/models")
        assert "k-123456" not in f"{probe}"


@pytest.mark.parametrize(
    ("reply", "denied"),
    [
        (Reply(200, {"data": []}), False),
        (Reply(200, "x"), False),
        (Reply(503), False),
        (Reply(401), True),
        (Reply(403), True),
        (Reply(fault="hang_up"), False),
    ],
)
def test_endpoint_without_models_is_not_healthy(web: WebLab, reply: Reply, denied: bool) -> None:
    """An empty list, trouble and a refused key are not health; a refusal says so."""
    web.routes |= {"/v1/models": reply, "/models": reply}
    (probe,) = probe_endpoints([web.url])
    assert (probe.healthy, probe.denied) == (False, denied)
    assert "/v1/models" in probe.evidence


def test_waiting_ends_when_the_endpoint_serves(web: WebLab) -> None:
    """A model that takes its time is waited for, by the clock that was passed in."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def models(request: Request) -> Reply:
        return Reply(200, MODELS) if now[0] >= 30 else Reply(503)

    web.routes["/v1/models"] = models
    told: list[float] = []
    patience = Patience(wait_s=180, every_s=10, clock=lambda: now[0], sleep=sleep)
    probe = wait_for_endpoint(web.url, patience=patience, tick=told.append)
    assert probe.healthy
    assert told == [0, 10, 20]


def test_waiting_is_bounded_and_stops_at_a_refusal(web: WebLab) -> None:
    """An endpoint that never serves costs what was allowed; one that refuses the key costs nothing."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    patience = Patience(wait_s=45, every_s=10, clock=lambda: now[0], sleep=sleep)
    assert not wait_for_endpoint(f"http://127.0.0.1:{unused_port()}", patience=patience).healthy
    assert now[0] == 40
    web.routes["/v1/models"] = Reply(401)
    assert wait_for_endpoint(web.url, patience=patience).denied
    assert now[0] == 40
