"""The hub is asked who a token is, whether models are open, and which files a data set has."""

from __future__ import annotations

from pathlib import Path

import pytest

from skill_tools.access.hub import Hub, HubFile
from skill_tools.access.secrets import Secret
from skill_tools.errors import ArtifactError, EngineUnavailable, InputError, NeedsInput
from tests.access.web_lab import Reply, Request, WebLab, unused_port

TREE = "/api/datasets/lab/demo/tree/main"
TOKEN = Secret("hf_made-up", "HF_TOKEN")


@pytest.fixture
def hub(web: WebLab) -> Hub:
    """Give the lab's hub with a token."""
    return Hub.from_environment({"HF_ENDPOINT": f"{web.url}/"}, token=TOKEN)


def known(request: Request) -> bool:
    """Tell whether a request carries the token."""
    return request.headers.get("authorization") == "Bearer hf_made-up"


def test_public_hub_is_the_default() -> None:
    """Without HF_ENDPOINT the public hub is asked."""
    assert Hub.from_environment({}).endpoint == "https://huggingface.co"


def test_token_and_models_are_probed(web: WebLab, hub: Hub) -> None:
    """The token's owner and each model's gate come back, with the evidence and without the token."""
    web.routes |= {
        "/api/whoami-v2": lambda request: Reply(200, {"name": "me"}) if known(request) else Reply(401),
        "/api/models/lab/open/auth-check": Reply(200),
        "/api/models/lab/gated/auth-check": Reply(403, "", {"X-Error-Message": "ask for access"}),
        "/api/models/lab/old": Reply(200, {}),
        "/api/models/lab/down/auth-check": Reply(503),
    }
    probes = hub.probe(["lab/open", "lab/gated", "lab/old", "lab/none", "lab/down"])
    assert [probe.status for probe in probes] == [
        "ok",
        "ok",
        "access_denied",
        "ok",
        "missing",
        "unreachable",
    ]
    assert "me" in probes[0].evidence
    assert "ask for access" in probes[2].evidence
    assert not any("hf_made-up" in f"{probe}" for probe in probes)
    assert "hf_made-up" not in repr(hub)


@pytest.mark.parametrize(
    ("reply", "status"),
    [(Reply(401), "access_denied"), (Reply(500), "unreachable"), (Reply(200, "x"), "unreachable")],
)
def test_token_that_the_hub_does_not_know_is_denied(web: WebLab, hub: Hub, reply: Reply, status: str) -> None:
    """A refusal is about the token; trouble is a warning."""
    web.routes["/api/whoami-v2"] = reply
    assert hub.probe()[0].status == status


def test_hub_that_nobody_answers_for_is_a_warning() -> None:
    """Without a listener a probe says so, and a listing is an error that may be tried again."""
    hub = Hub(f"http://127.0.0.1:{unused_port()}", TOKEN)
    assert {probe.status for probe in hub.probe(["a/b"])} == {"unreachable"}
    with pytest.raises(EngineUnavailable) as caught:
        hub.dataset_files("a/b")
    assert caught.value.retry == "now"


def test_listing_follows_its_pages_on_the_same_host_only(web: WebLab, hub: Hub) -> None:
    """All pages are read; folders are left out; a page on another host is not asked for."""

    def tree(request: Request) -> Reply:
        assert known(request)
        if "cursor" in request.query:
            link = {"Link": '<http://elsewhere.invalid/more>; rel="next"'}
            return Reply(200, [{"type": "file", "path": "b.mp4", "size": 2}], link)
        link = {"Link": f'<{TREE}?recursive=true&cursor=2>; rel="next"'}
        return Reply(
            200, [{"type": "directory", "path": "d"}, {"type": "file", "path": "d/a.mp4", "size": 1}], link
        )

    web.routes[TREE] = tree
    assert hub.dataset_files("lab/demo") == (HubFile("d/a.mp4", 1), HubFile("b.mp4", 2))


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(401, "", {"X-Error-Message": "Invalid credentials"}), NeedsInput),
        (Reply(403), NeedsInput),
        (Reply(404), InputError),
        (Reply(502), EngineUnavailable),
        (Reply(200, {"no": "list"}), EngineUnavailable),
    ],
)
def test_listing_that_fails_is_a_typed_error(
    web: WebLab, hub: Hub, reply: Reply, error: type[Exception]
) -> None:
    """A missing repository, a missing right and trouble are told apart."""
    web.routes[TREE] = reply
    with pytest.raises(error):
        hub.dataset_files("lab/demo")


FILE = "/datasets/lab/demo/resolve/main/d/a%20b.mp4"


def test_download_brings_the_whole_file(web: WebLab, hub: Hub, tmp_path: Path) -> None:
    """A file arrives under its name, after a redirect too, with folders made for it."""
    web.routes |= {FILE: Reply(302, "", {"Location": "/blob"}), "/blob": Reply(200, b"\x00clip" * 1000)}
    target = tmp_path / "new" / "a b.mp4"
    hub.download("lab/demo", "d/a b.mp4", target)
    assert target.read_bytes() == b"\x00clip" * 1000
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(body="half", fault="short"), ArtifactError),
        (Reply(404), InputError),
        (Reply(403), NeedsInput),
        (Reply(fault="nonsense"), ArtifactError),
        (Reply(500), EngineUnavailable),
    ],
)
def test_download_that_breaks_leaves_what_was_there(
    web: WebLab, hub: Hub, tmp_path: Path, reply: Reply, error: type[Exception]
) -> None:
    """Half a file never takes the name, and no rest of it stays."""
    web.routes[FILE] = reply
    target = tmp_path / "a.mp4"
    target.write_bytes(b"older")
    with pytest.raises(error):
        hub.download("lab/demo", "d/a b.mp4", target)
    assert target.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [target]
