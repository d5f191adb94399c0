"""Find out whether images can be pulled, by asking their registries for the manifests.

The protocol is the OCI distribution specification's; the exchange of a challenge for a token is the one that
Docker's registries document.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from skill_tools.access.secrets import Secret
from skill_tools.access.web import WITHIN_S, Answer, UnreachableError, ask, is_loopback, together
from skill_tools.errors import InputError

if TYPE_CHECKING:
    import httpx

Status = Literal["ok", "access_denied", "missing_tag", "unreachable"]

DOCKER_HUB = "docker.io"
NGC_HOSTS = ("nvcr.io", "nvidia.com")
"""Where the NGC key may be sent, with all below them; and to this machine itself."""
NGC_USER = "$oauthtoken"

MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)

_DOMAIN = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]+)?")
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,}")
_CHALLENGE_PART = re.compile(
    r'\s*,?\s*(?:(?P<key>[A-Za-z0-9_.-]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,"]+))|(?P<scheme>[A-Za-z0-9_-]+))'
)

_OK = range(200, 300)
_DENIED = (401, 403)
_MISSING = 404
_NO_HEAD = (400, 405, 501)


@dataclass(frozen=True)
class ImageRef:
    """An image's name, taken apart."""

    registry: str
    repository: str
    reference: str
    """A tag, or a digest."""

    @property
    def host(self) -> str:
        """The host (and port) that answers for the registry."""
        return "registry-1.docker.io" if self.registry == DOCKER_HUB else self.registry

    @property
    def manifest_url(self) -> str:
        """Where the manifest is; plain HTTP for this machine only."""
        scheme = "http" if is_loopback(_host_of(self.host)) else "https"
        return f"{scheme}://{self.host}/v2/{self.repository}/manifests/{self.reference}"


@dataclass(frozen=True)
class Challenge:
    """One way to identify oneself that a `WWW-Authenticate` header offers; scheme and keys in lower case."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ImageProbe:
    """Whether an image can be pulled. `unreachable` says nothing about the image: a warning."""

    image: str
    status: Status
    evidence: str
    """What was asked and answered, step by step."""
    with_key: bool = False
    """Whether it took the key."""


def parse_image(image: str) -> ImageRef:
    """Take an image's name apart, as Docker does: `docker.io`, `library/` and `latest` are understood.

    Raises:
        InputError: it is no image's name.
    """
    name, _, digest = image.strip().partition("@")
    first, slash, rest = name.partition("/")
    named = slash and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    registry, path = (first, rest) if named else (DOCKER_HUB, name)
    path, colon, tag = path.partition(":")
    if registry in {DOCKER_HUB, "index.docker.io", "registry-1.docker.io"}:
        registry, path = DOCKER_HUB, path if "/" in path else f"library/{path}"
    wrong = (
        not _DOMAIN.fullmatch(registry)
        or not _REPOSITORY.fullmatch(path)
        or (colon and not _TAG.fullmatch(tag))
        or ("@" in image and not _DIGEST.fullmatch(digest))
    )
    if wrong:
        raise InputError(
            f"{image!r} is no image's name",
            expected="[registry[:port]/]repository[:tag][@digest], the repository in lower case",
            remedy="put the task's `image` right",
            code="input.image",
        )
    return ImageRef(registry, path, digest or tag or "latest")


def parse_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """Read `WWW-Authenticate` headers: several schemes in one, quoted commas, any case, odd spaces."""
    found: list[Challenge] = []
    for header in headers:
        for part in _CHALLENGE_PART.finditer(header):
            if part["scheme"]:
                found.append(Challenge(part["scheme"].lower()))
            elif found:
                quoted = part["quoted"]
                value = part["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                found[-1].parameters[part["key"].lower()] = value
    return tuple(found)


def probe_all(
    images: Sequence[str], key: Secret | None = None, *, within_s: float = WITHIN_S
) -> tuple[ImageProbe, ...]:
    """Probe images at the same time, in the order given; `within_s` is each request's.

    Every image is asked for anonymously first, then with the key where its registry is one that the key is
    for.

    Raises:
        InputError: one of them is no image's name.
    """
    parsed = [(image, parse_image(image)) for image in images]
    jobs = [partial(_probe, image=image, ref=ref, key=key, within_s=within_s) for image, ref in parsed]
    return tuple(together(jobs))


async def _probe(
    client: httpx.AsyncClient, *, image: str, ref: ImageRef, key: Secret | None, within_s: float
) -> ImageProbe:
    steps = _Steps(client, ref, within_s)
    fitting = key if key is not None and _may_have_key(ref) else None
    with_key = False
    try:
        answer, challenges = await steps.manifest(None)
        answer = await steps.anonymously(answer, challenges)
        if fitting is not None and answer.status in (*_DENIED, _MISSING):
            better = await steps.with_key(challenges, fitting)
            with_key = better is not None and better.status in _OK
            answer = better or answer
    except UnreachableError as error:
        return ImageProbe(image, "unreachable", steps.told(f"{error}"))
    if key is not None and fitting is None and answer.status in _DENIED:
        steps.note(f"the key is not for {ref.registry} and was not sent there")
    return ImageProbe(image, _status(answer), steps.told(), with_key)


class _Steps:
    """One image's requests, and the account of them."""

    def __init__(self, client: httpx.AsyncClient, ref: ImageRef, within_s: float) -> None:
        self._client, self._ref, self._within_s = client, ref, within_s
        self._account: list[str] = []

    def note(self, text: str) -> None:
        self._account.append(text)

    def told(self, last: str = "") -> str:
        return "; ".join([*self._account, *([last] if last else [])])

    async def manifest(self, authorization: str | None) -> tuple[Answer, tuple[Challenge, ...]]:
        headers = {"Accept": MANIFEST_TYPES} | ({"Authorization": authorization} if authorization else {})
        answer = await self._ask("HEAD", self._ref.manifest_url, headers)
        if answer.status in _NO_HEAD:
            answer = await self._ask("GET", self._ref.manifest_url, headers)
        return answer, parse_challenges(answer.headers.get_list("www-authenticate"))

    async def anonymously(self, answer: Answer, challenges: Sequence[Challenge]) -> Answer:
        bearer = _offered(challenges, "bearer")
        if answer.status not in _DENIED or bearer is None:
            return answer
        token = await self._token(bearer, None)
        return (await self.manifest(f"Bearer {token}"))[0] if token else answer

    async def with_key(self, challenges: Sequence[Challenge], key: Secret) -> Answer | None:
        bearer = _offered(challenges, "bearer")
        if bearer is None:
            return (await self.manifest(_basic(key)))[0]
        token = await self._token(bearer, key)
        return (await self.manifest(f"Bearer {token}"))[0] if token else None

    async def _token(self, challenge: Challenge, key: Secret | None) -> str | None:
        """Exchange a challenge for a token; `None` when the service refuses."""
        url = self._token_url(challenge)
        answer = await self._ask("GET", url, {"Authorization": _basic(key)} if key else {})
        if answer.status in (*_DENIED, _MISSING, 400):
            return None
        document = answer.document() if answer.status in _OK else None
        found = document.get("token") or document.get("access_token") if isinstance(document, dict) else None
        if not isinstance(found, str) or not found or "\n" in found:
            raise UnreachableError("the token service gave no token")
        return found

    def _token_url(self, challenge: Challenge) -> str:
        realm = urlsplit(challenge.parameters.get("realm", ""))
        safe = realm.scheme == "https" or (realm.scheme == "http" and is_loopback(realm.hostname or ""))
        if not safe:
            raise UnreachableError(f"the registry names {realm.geturl()!r} as its token service")
        wanted = {"scope": f"repository:{self._ref.repository}:pull"} | challenge.parameters
        query = [
            *parse_qsl(realm.query),
            *((name, wanted[name]) for name in ("service", "scope") if name in wanted),
        ]
        return urlunsplit(realm._replace(query=urlencode(query), fragment=""))

    async def _ask(self, method: str, url: str, headers: dict[str, str]) -> Answer:
        parts = urlsplit(url)
        who = "with the key" if headers.get("Authorization", "").startswith("Basic") else ""
        self.note(" ".join(filter(None, (method, f"{parts.scheme}://{parts.netloc}{parts.path}", who))))
        answer = await ask(self._client, method, url, headers=headers, within_s=self._within_s)
        self._account[-1] += f" → {answer.status}"
        return answer


def _status(answer: Answer) -> Status:
    if answer.status in _OK:
        return "ok"
    if answer.status in _DENIED:
        return "access_denied"
    return "missing_tag" if answer.status == _MISSING else "unreachable"


def _offered(challenges: Sequence[Challenge], scheme: str) -> Challenge | None:
    return next((each for each in challenges if each.scheme == scheme), None)


def _basic(key: Secret) -> str:
    return "Basic " + base64.b64encode(f"{NGC_USER}:{key.reveal()}".encode()).decode()


def _may_have_key(ref: ImageRef) -> bool:
    host = _host_of(ref.host).lower()
    return is_loopback(host) or any(host == known or host.endswith(f".{known}") for known in NGC_HOSTS)


def _host_of(netloc: str) -> str:
    return urlsplit(f"//{netloc}").hostname or ""
