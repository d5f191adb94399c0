"""NGC is asked whether a key reaches an organisation and a team."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from skill_tools.access.ngc import NgcScope, ngc_scope, probe_scope
from skill_tools.access.secrets import Secret
from tests.access.web_lab import Reply, WebLab, unused_port

KEY = Secret("nvapi-made-up", "NGC_API_KEY")
SCOPE = NgcScope("acme", "vision", "NGC_ORG")


def test_scope_comes_from_the_variables_and_then_from_the_config_file(tmp_path: Path) -> None:
    """NGC_ORG and NGC_TEAM come first, then NGC_CLI_…, then the file of NGC's own client."""
    environ = {"HOME": str(tmp_path)}
    assert ngc_scope(environ) is None
    config = tmp_path / ".ngc" / "config"
    config.parent.mkdir()
    config.write_text("; made by ngc\n[CURRENT]\napikey = nvapi-%secret\norg = filed\nteam = no-team\n")
    assert ngc_scope(environ) == NgcScope("filed", None, str(config))
    environ |= {"NGC_CLI_ORG": "second", "NGC_CLI_TEAM": "no-team"}
    assert ngc_scope(environ) == NgcScope("second", None, "NGC_CLI_ORG")
    environ |= {"NGC_ORG": "acme", "NGC_TEAM": "vision"}
    assert ngc_scope(environ) == SCOPE


def test_broken_config_file_is_no_scope(tmp_path: Path) -> None:
    """A file that can't be read says nothing."""
    (tmp_path / ".ngc").mkdir()
    (tmp_path / ".ngc" / "config").write_bytes(b"\xff\xfe no section")
    assert ngc_scope({"HOME": str(tmp_path)}) is None


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Reply(200, {"token": "t"}), "ok"),
        (Reply(200, "x"), "unreachable"),
        (Reply(401), "access_denied"),
        (Reply(403), "access_denied"),
        (Reply(500), "unreachable"),
        (Reply(fault="hang_up"), "unreachable"),
    ],
)
def test_each_answer_has_its_status(web: WebLab, reply: Reply, status: str) -> None:
    """The key is exchanged for a token of the scope; a refusal and trouble are told apart."""
    web.routes["/token"] = reply
    probe = probe_scope(SCOPE, KEY, {"VDA_NGC_AUTHN_URL": web.url})
    assert probe.status == status
    (request,) = web.requests
    assert request.query == {"service": ["ngc"], "scope": ["group/ngc:acme/vision"]}
    assert base64.b64decode(request.headers["authorization"].split()[1]) == b"$oauthtoken:nvapi-made-up"
    assert "nvapi" not in f"{probe}"


def test_nobody_listening_is_a_warning() -> None:
    """Without a listener nothing is known about the key."""
    environ = {"VDA_NGC_AUTHN_URL": f"http://127.0.0.1:{unused_port()}"}
    assert probe_scope(NgcScope("acme", None, "x"), KEY, environ).status == "unreachable"
