"""Ask NGC whether a key reaches an organisation's and a team's private images."""

from __future__ import annotations

import base64
import configparser
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlencode

from skill_tools.access.registry import NGC_USER
from skill_tools.access.secrets import Secret
from skill_tools.access.web import WITHIN_S, UnreachableError, ask, together

if TYPE_CHECKING:
    import httpx

AUTHENTICATION = "https://authn.nvidia.com"
"""Where NGC's own client exchanges a key for a token; `VDA_NGC_AUTHN_URL` names another place."""

_OK = 200
_DENIED = (400, 401, 403, 404)


@dataclass(frozen=True)
class NgcScope:
    """An organisation, and perhaps a team of it."""

    org: str
    team: str | None
    source: str

    @property
    def text(self) -> str:
        """The scope as NGC writes it."""
        return f"group/ngc:{self.org}/{self.team}" if self.team else f"group/ngc:{self.org}"


@dataclass(frozen=True)
class NgcProbe:
    """Whether the key reaches the scope; `unreachable` is a warning."""

    scope: NgcScope
    status: Literal["ok", "access_denied", "unreachable"]
    evidence: str


def ngc_scope(environ: Mapping[str, str]) -> NgcScope | None:
    """Return the scope to ask for: from NGC_ORG and NGC_TEAM, the NGC_CLI_ forms, or NGC's config file."""
    for prefix in ("NGC", "NGC_CLI"):
        org, team = _named(environ.get(f"{prefix}_ORG")), _named(environ.get(f"{prefix}_TEAM"))
        if org:
            return NgcScope(org, team, f"{prefix}_ORG")
    file = _config_file(environ)
    config = configparser.ConfigParser(interpolation=None)
    with suppress(OSError, configparser.Error, UnicodeDecodeError):
        config.read_string(file.read_text(encoding="utf-8"))
        current = config["CURRENT"] if config.has_section("CURRENT") else {}
        org, team = _named(current.get("org")), _named(current.get("team"))
        if org:
            return NgcScope(org, team, str(file))
    return None


def probe_scope(
    scope: NgcScope, key: Secret, environ: Mapping[str, str], *, within_s: float = WITHIN_S
) -> NgcProbe:
    """Ask NGC for a token of this scope, as its own client does."""
    base = (environ.get("VDA_NGC_AUTHN_URL") or AUTHENTICATION).rstrip("/")
    url = f"{base}/token?{urlencode({'service': 'ngc', 'scope': scope.text})}"
    return together([partial(_probe, scope=scope, key=key, url=url, within_s=within_s)])[0]


async def _probe(
    client: httpx.AsyncClient, *, scope: NgcScope, key: Secret, url: str, within_s: float
) -> NgcProbe:
    basic = base64.b64encode(f"{NGC_USER}:{key.reveal()}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Accept": "application/json"}
    try:
        answer = await ask(client, "GET", url, headers=headers, within_s=within_s)
    except UnreachableError as error:
        return NgcProbe(scope, "unreachable", f"{url}: {error}")
    document = answer.document()
    evidence = f"GET {url} → {answer.status}"
    if answer.status == _OK and isinstance(document, dict) and document.get("token"):
        return NgcProbe(scope, "ok", evidence)
    return NgcProbe(scope, "access_denied" if answer.status in _DENIED else "unreachable", evidence)


def _config_file(environ: Mapping[str, str]) -> Path:
    home = Path(environ.get("NGC_CLI_HOME") or environ.get("HOME") or Path.home()).expanduser()
    return home / ".ngc" / "config"


def _named(value: str | None) -> str | None:
    """Return a name; NGC's client writes `no-team` where there is none."""
    bare = (value or "").strip()
    return bare if bare and bare.lower() not in {"no-org", "no-team", "none"} else None
