"""Reach OpenAI-compatible endpoints: normalise what people write, ask for the models, wait for them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit, urlunsplit

from skill_tools.access.secrets import Secret
from skill_tools.access.web import UnreachableError, ask, is_loopback, together
from skill_tools.errors import InputError

if TYPE_CHECKING:
    import httpx

Role = Literal["vlm", "llm"]

WITHIN_S = 10.0
"""How long one request may take."""

_ROUTES = ("/chat/completions", "/completions", "/responses", "/embeddings", "/models")
_CLUSTER = re.compile(r"\.svc(?:\.cluster\.local)?$|\.cluster\.local$")
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_HEADER = re.compile(r"^(?:authorization\s*:\s*)?(?:bearer\s+)?", re.IGNORECASE)
_KEYS = {
    "vlm": ("VLM_API_KEY", "LLM_API_KEY", "OPENAI_API_KEY", "NVIDIA_API_KEY", "NGC_CLI_API_KEY"),
    "llm": ("LLM_API_KEY", "VLM_API_KEY", "OPENAI_API_KEY", "NVIDIA_API_KEY", "NGC_CLI_API_KEY"),
}
_OK = 200
_DENIED = (401, 403)


@dataclass(frozen=True)
class EndpointProbe:
    """Whether an endpoint serves: `url` is the base that answered, or the first that was tried."""

    url: str
    healthy: bool
    models: tuple[str, ...] = ()
    denied: bool = False
    """The endpoint is there, but refuses the key; waiting won't help."""
    evidence: str = ""


@dataclass(frozen=True)
class Patience:
    """How long to wait for an endpoint, how often to ask, and by which clock."""

    wait_s: float = 180.0
    every_s: float = 10.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def normalise_url(text: str) -> str:
    """Return the base URL that people mean: scheme added, query, known routes and last slashes taken off.

    Without a scheme it is `http` for this machine, addresses, bare names and names inside a cluster, else
    `https`.

    Raises:
        InputError: no host, another scheme than http and https, or a key in the URL.
    """
    given = text.strip().strip("'\"<>").strip()
    url = given if _SCHEME.match(given) else f"{_scheme_for(given)}://{given}"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if (
        not host
        or parts.scheme.lower() not in {"http", "https"}
        or "@" in parts.netloc
        or re.search(r"\s", url)
    ):
        raise InputError(
            f"{_without_user(given)!r} is no endpoint's URL",
            expected="http://host[:port][/path] or https://…, without a user or a key in it",
            remedy="give the base URL; a key belongs into VLM_API_KEY or LLM_API_KEY",
            code="input.endpoint_url",
        )
    path = parts.path.rstrip("/")
    while any(path.endswith(route) for route in _ROUTES):
        path = next(path.removesuffix(route) for route in _ROUTES if path.endswith(route)).rstrip("/")
    return urlunsplit((parts.scheme.lower(), parts.netloc.lower(), path, "", ""))


def candidates(url: str) -> tuple[str, ...]:
    """Return the bases to try for what people wrote: with `/v1` first, then without."""
    base = normalise_url(url)
    bare = base.removesuffix("/v1")
    return (f"{bare}/v1", bare)


def is_cluster_internal(url: str) -> bool:
    """Tell whether a URL's host is a name that only the cluster's own DNS knows."""
    return bool(_CLUSTER.search(urlsplit(normalise_url(url)).hostname or ""))


def authorization(value: str) -> str:
    """Return the header's value for a bare key, `Bearer …` or `Authorization: Bearer …`."""
    return f"Bearer {_HEADER.sub('', value.strip()).strip()}"


def endpoint_key(environ: Mapping[str, str], role: Role) -> Secret | None:
    """Return the key for a VLM or an LLM: its own variable first, then the others that endpoints take."""
    for name in _KEYS[role]:
        value = _HEADER.sub("", environ.get(name, "").strip()).strip()
        if value:
            return Secret(value, name)
    return None


def probe_endpoints(
    urls: Sequence[str], keys: Sequence[Secret | None] = (), *, within_s: float = WITHIN_S
) -> tuple[EndpointProbe, ...]:
    """Ask several endpoints at the same time for their models; healthy is a list that isn't empty.

    Raises:
        InputError: one of them is no URL.
    """
    paired = [(candidates(url), keys[at] if at < len(keys) else None) for at, url in enumerate(urls)]
    return tuple(
        together([partial(_probe, bases=bases, key=key, within_s=within_s) for bases, key in paired])
    )


def wait_for_endpoint(
    url: str,
    key: Secret | None = None,
    patience: Patience | None = None,
    tick: Callable[[float], None] | None = None,
) -> EndpointProbe:
    """Ask until the endpoint serves, refuses the key, or the time is up; return the last probe.

    `tick` is told the seconds waited so far, before every pause.
    """
    with_patience = patience or Patience()
    start = with_patience.clock()
    while True:
        probe = probe_endpoints([url], [key])[0]
        waited_s = with_patience.clock() - start
        if probe.healthy or probe.denied or waited_s + with_patience.every_s > with_patience.wait_s:
            return probe
        if tick is not None:
            tick(waited_s)
        with_patience.sleep(with_patience.every_s)


async def _probe(
    client: httpx.AsyncClient, *, bases: Sequence[str], key: Secret | None, within_s: float
) -> EndpointProbe:
    headers = {"Authorization": authorization(key.reveal())} if key else {}
    account, denied = [], False
    for base in bases:
        try:
            answer = await ask(client, "GET", f"{base}/models", headers=headers, within_s=within_s)
        except UnreachableError as error:
            account.append(f"GET {base}/models: {error}")
            break  # another path on a host that doesn't answer won't answer either
        account.append(f"GET {base}/models → {answer.status}")
        denied = denied or answer.status in _DENIED
        models = _models_in(answer.document()) if answer.status == _OK else ()
        if models:
            return EndpointProbe(base, healthy=True, models=models, evidence="; ".join(account))
        if answer.status == _OK:
            account.append("no models in it")
    return EndpointProbe(bases[0], healthy=False, denied=denied, evidence="; ".join(account))


def _models_in(document: object) -> tuple[str, ...]:
    listed = document.get("data") if isinstance(document, dict) else document
    entries = listed if isinstance(listed, list) else []
    return tuple(
        str(each["id"]) for each in entries if isinstance(each, dict) and isinstance(each.get("id"), str)
    )


def _scheme_for(given: str) -> str:
    host = re.split(r"[/?#]", given, maxsplit=1)[0].rpartition("@")[2]
    name = host.split("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    inner = "." not in name or _CLUSTER.search(name) or is_loopback(name) or re.fullmatch(r"[0-9.]+", name)
    return "http" if inner or name.endswith((".local", ".internal")) else "https"


def _without_user(text: str) -> str:
    return re.sub(r"//[^/@]*@|^[^/@]*@", "***@", text)
