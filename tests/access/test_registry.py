"""Images are probed at registries that play every answer the protocol has, and some that it hasn't."""

from __future__ import annotations

import base64
import threading

import pytest

from skill_tools.access.registry import (
    ImageRef,
    parse_challenges,
    parse_image,
    probe_all,
)
from skill_tools.access.secrets import Secret
from skill_tools.errors import InputError
from tests.access.web_lab import Reply, Request, Route, WebLab, unused_port

KEY = Secret("nvapi-made-up", "NGC_API_KEY")
BASIC = "Basic " + base64.b64encode(b"$oauthtoken:nvapi-made-up").decode()
MANIFEST = "/v2/team/image/manifests/1.0"
DIGEST = "sha256:" + "a" * 64


def image(web: WebLab) -> str:
    """Return the name of the image that tests ask for."""
    return f"{web.host}/team/image:1.0"


def guarded(*accepted: str) -> Route:
    """Return a manifest's route that takes one of these authorizations, and challenges all others."""

    def route(request: Request) -> Reply:
        if request.headers.get("authorization") in accepted:
            return Reply(200, "{}")
        host = request.headers["host"]
        realm = (
            f'Bearer realm="http://{host}/token?x=1",service="lab, inc",scope="repository:team/image:pull"'
        )
        return Reply(401, {}, {"WWW-Authenticate": f'Basic realm="a, \\"b\\"", {realm}'})

    return route


def token_service(anonymous: str | None, with_key: str | None) -> Route:
    """Return a token service's route."""

    def route(request: Request) -> Reply:
        token = with_key if request.headers.get("authorization") == BASIC else anonymous
        return Reply(200, {"token": token}) if token else Reply(401, {})

    return route


@pytest.mark.parametrize(
    ("name", "ref"),
    [
        ("ubuntu", ImageRef("docker.io", "library/ubuntu", "latest")),
        ("docker.io/ubuntu:22.04", ImageRef("docker.io", "library/ubuntu", "22.04")),
        ("nvidia/cuda:12", ImageRef("docker.io", "nvidia/cuda", "12")),
        ("nvcr.io/nvidia/base/ubuntu:22.04_x", ImageRef("nvcr.io", "nvidia/base/ubuntu", "22.04_x")),
        ("localhost/a", ImageRef("localhost", "a", "latest")),
        ("localhost:5000/a:b", ImageRef("localhost:5000", "a", "b")),
        ("[::1]:5000/a", ImageRef("[::1]:5000", "a", "latest")),
        (f"quay.io/a/b@{DIGEST}", ImageRef("quay.io", "a/b", DIGEST)),
        (f"quay.io/a/b:1@{DIGEST}", ImageRef("quay.io", "a/b", DIGEST)),
    ],
)
def test_image_names_are_taken_apart_as_docker_does(name: str, ref: ImageRef) -> None:
    """Docker Hub's short forms, ports, IPv6 addresses, tags and digests are told apart."""
    assert parse_image(name) == ref


@pytest.mark.parametrize(
    "name", ["", "quay.io/UPPER", "a b", "quay.io/", "a@sha256:1", "a:b:c", "a:-x", "http://a/b"]
)
def test_what_is_no_image_is_refused(name: str) -> None:
    """A name that no registry can have is the caller's mistake."""
    with pytest.raises(InputError) as caught:
        parse_image(name)
    assert caught.value.code == "input.image"


def test_manifest_urls_are_encrypted_but_on_this_machine() -> None:
    """Plain HTTP is for the loopback; Docker Hub has a host of its own."""
    assert parse_image("ubuntu").manifest_url == (
        "https://registry-1.docker.io/v2/library/ubuntu/manifests/latest"
    )
    assert parse_image("127.0.0.1:5/a").manifest_url.startswith("http://127.0.0.1:5/v2/")
    assert parse_image("localhost.evil.io/a").manifest_url.startswith("https://")


def test_challenges_are_read_in_any_shape() -> None:
    """Several schemes in one header, several headers, quotes, commas, odd spaces and cases."""
    first, second, third = parse_challenges(
        ['BASIC realm="a, b=\\"c\\"" ,bearer Realm = "https://x/t" , service=plain', "Negotiate"]
    )
    assert (first.scheme, first.parameters) == ("basic", {"realm": 'a, b="c"'})
    assert (second.scheme, second.parameters) == ("bearer", {"realm": "https://x/t", "service": "plain"})
    assert (third.scheme, third.parameters) == ("negotiate", {})


def test_open_registry_is_asked_once(web: WebLab) -> None:
    """A manifest that is there for everybody takes one HEAD request, and no key."""
    web.routes[MANIFEST] = Reply(200)
    (probe,) = probe_all([image(web)], KEY)
    assert (probe.status, probe.with_key) == ("ok", False)
    (request,) = web.requests
    assert request.method == "HEAD"
    assert "application/vnd.oci.image.index.v1+json" in request.headers["accept"]
    assert "authorization" not in request.headers


def test_registry_without_head_is_asked_with_get(web: WebLab) -> None:
    """A registry that only knows GET is understood."""
    web.routes[MANIFEST] = lambda request: Reply(200 if request.method == "GET" else 405)
    assert probe_all([image(web)])[0].status == "ok"


def test_anonymous_token_opens_a_public_image(web: WebLab) -> None:
    """A challenge is exchanged for a token without the key, its parameters kept, its own query too."""
    web.routes |= {MANIFEST: guarded("Bearer public"), "/token": token_service("public", "private")}
    (probe,) = probe_all([image(web)], KEY)
    assert (probe.status, probe.with_key) == ("ok", False)
    (asked,) = web.asked("/token")
    assert asked.query == {"x": ["1"], "service": ["lab, inc"], "scope": ["repository:team/image:pull"]}
    assert "authorization" not in asked.headers


@pytest.mark.parametrize("anonymous", [None, "public"])
def test_key_is_tried_after_anonymous_access_failed(web: WebLab, anonymous: str | None) -> None:
    """A private image takes the key, as `$oauthtoken`; evidence tells the steps and never the key."""
    web.routes |= {MANIFEST: guarded("Bearer private"), "/token": token_service(anonymous, "private")}
    assert probe_all([image(web)])[0].status == "access_denied"
    (probe,) = probe_all([image(web)], KEY)
    assert (probe.status, probe.with_key) == ("ok", True)
    assert "/token" in probe.evidence
    assert "nvapi" not in probe.evidence
    assert BASIC not in probe.evidence


def test_key_that_does_not_help_is_access_denied(web: WebLab) -> None:
    """A registry that refuses the key too denies access to this very image."""
    web.routes |= {MANIFEST: guarded(), "/token": token_service("public", "useless")}
    assert probe_all([image(web)], KEY)[0].status == "access_denied"


def test_registry_with_basic_authentication_takes_the_key(web: WebLab) -> None:
    """A challenge without a token service is answered directly."""
    web.routes[MANIFEST] = lambda request: (
        Reply(200)
        if request.headers.get("authorization") == BASIC
        else Reply(401, "", {"WWW-Authenticate": 'Basic realm="x"'})
    )
    assert probe_all([image(web)])[0].status == "access_denied"
    assert probe_all([image(web)], KEY)[0].with_key


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Reply(403), "access_denied"),
        (Reply(401), "access_denied"),
        (Reply(404), "missing_tag"),
        (Reply(429), "unreachable"),
        (Reply(500), "unreachable"),
        (Reply(503), "unreachable"),
        (Reply(fault="hang_up"), "unreachable"),
        (Reply(fault="nonsense"), "unreachable"),
        (Reply(302, "", {"Location": "/v2/team/image/manifests/1.0"}), "unreachable"),
    ],
)
def test_each_answer_has_its_status(web: WebLab, reply: Reply, status: str) -> None:
    """Refusals, missing tags and trouble are told apart, and the evidence says what was asked."""
    web.routes[MANIFEST] = reply
    (probe,) = probe_all([image(web)])
    assert probe.status == status
    assert MANIFEST in probe.evidence


@pytest.mark.parametrize(
    "reply",
    [Reply(200, "no json"), Reply(200, {}), Reply(200, {"token": 7}), Reply(500), Reply(fault="hang_up")],
)
def test_broken_token_service_is_a_warning(web: WebLab, reply: Reply) -> None:
    """When the exchange breaks nothing is known about the image."""
    web.routes |= {MANIFEST: guarded("Bearer public"), "/token": reply}
    assert probe_all([image(web)])[0].status == "unreachable"


def test_access_token_is_understood_too(web: WebLab) -> None:
    """Some token services call the token `access_token`."""
    web.routes |= {MANIFEST: guarded("Bearer public"), "/token": Reply(200, {"access_token": "public"})}
    assert probe_all([image(web)])[0].status == "ok"


def test_nobody_listening_is_a_warning() -> None:
    """Without a listener nothing is known about the image."""
    (probe,) = probe_all([f"127.0.0.1:{unused_port()}/a"])
    assert probe.status == "unreachable"


def test_key_goes_to_ngc_and_to_this_machine_only(web: WebLab) -> None:
    """A foreign registry that challenges gets no key, and neither does a token service in plain text."""
    web.routes[MANIFEST] = Reply(
        401, "", {"WWW-Authenticate": 'Bearer realm="http://registry.invalid/token"'}
    )
    (probe,) = probe_all([image(web)], KEY)
    assert probe.status == "unreachable"
    assert "registry.invalid" in probe.evidence
    assert all("authorization" not in request.headers for request in web.requests)


def test_probes_run_at_the_same_time(web: WebLab) -> None:
    """Five images are all asked for before any is answered, and come back in order."""
    everyone = threading.Barrier(5)

    def route(request: Request) -> Reply:
        everyone.wait(30)
        return Reply(404 if request.path.endswith("/3") else 200)

    web.routes |= {f"/v2/image/manifests/{tag}": route for tag in range(5)}
    probes = probe_all([f"{web.host}/image:{tag}" for tag in range(5)])
    assert [probe.status for probe in probes] == ["ok", "ok", "ok", "missing_tag", "ok"]


@pytest.mark.parametrize("fault", ["stall", "trickle"])
def test_registry_that_stalls_is_given_up(web: WebLab, fault: str) -> None:
    """One that never answers, or never ends its answer, ends at the limit and holds no other up."""
    web.routes |= {
        MANIFEST: Reply(200),
        "/v2/slow/manifests/1": lambda request: (
            Reply(405) if request.method == "HEAD" else Reply(fault=fault)
        ),
    }
    slow, fine = probe_all([f"{web.host}/slow:1", image(web)], within_s=1)
    assert (slow.status, fine.status) == ("unreachable", "ok")
    assert "no answer within 1 s" in slow.evidence


def test_probe_all_of_nothing_is_nothing() -> None:
    """No images, no probes."""
    assert probe_all([]) == ()


def test_this_machine_is_not_asked_through_a_proxy(web: WebLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment is for the world outside."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
    web.routes[MANIFEST] = Reply(200)
    assert probe_all([image(web)])[0].status == "ok"
