"""Ask the Hugging Face hub: who a token is, whether a model is open to it, which files a data set has."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal
from urllib.parse import quote, urljoin, urlsplit

from skill_tools.access.secrets import Secret
from skill_tools.access.web import WITHIN_S, Answer, UnreachableError, ask, together
from skill_tools.errors import ArtifactError, EngineUnavailable, InputError, NeedsInput

if TYPE_CHECKING:
    import httpx

HubStatus = Literal["ok", "access_denied", "missing", "unreachable"]

PUBLIC_HUB = "https://huggingface.co"
MAX_PAGES = 200

_OK = 200
_DENIED = (401, 403)
_MISSING = 404


@dataclass(frozen=True)
class HubProbe:
    """Whether the hub lets a token do something; `unreachable` is a warning."""

    subject: str
    status: HubStatus
    evidence: str


@dataclass(frozen=True)
class HubFile:
    """A file of a repository; `size` in bytes."""

    path: str
    size: int | None


@dataclass(frozen=True)
class Hub:
    """A hub with a token, or without one. `within_s` is each request's; of a download, each silence's."""

    endpoint: str = PUBLIC_HUB
    token: Secret | None = field(default=None)
    within_s: float = WITHIN_S

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str], *, token: Secret | None = None, within_s: float = WITHIN_S
    ) -> Hub:
        """Return the hub that `HF_ENDPOINT` names, the public one without it."""
        return cls((environ.get("HF_ENDPOINT") or PUBLIC_HUB).rstrip("/"), token, within_s)

    def probe(self, models: Sequence[str] = ()) -> tuple[HubProbe, ...]:
        """Ask at the same time who the token is (with a token) and whether each model is open to it."""
        who = [self._whoami] if self.token else []
        return tuple(together([*who, *(partial(self._gate, model=model) for model in models)]))

    def dataset_files(self, repository: str, revision: str = "main") -> tuple[HubFile, ...]:
        """List all files of a data set's repository.

        Raises:
            InputError: there is no such repository.
            NeedsInput: it takes a token, or another one.
            EngineUnavailable: the hub can't be reached or doesn't answer as a hub does.
        """
        return together([partial(self._tree, repository=repository, revision=revision)])[0]

    def download(self, repository: str, path: str, target: Path, revision: str = "main") -> None:
        """Fetch one file of a data set's repository; it appears under its name whole or not at all.

        Raises:
            ArtifactError: it didn't arrive whole.
            InputError, NeedsInput, EngineUnavailable: as for `dataset_files`.
        """
        url = f"{self.endpoint}/datasets/{quote(repository)}/resolve/{quote(revision)}/{quote(path)}"
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
        try:
            with part.open("xb") as file:
                self._stream(url, repository, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def _stream(self, url: str, repository: str, file: BinaryIO) -> None:
        import httpx

        headers = {**self._headers, "Accept-Encoding": "identity"}
        try:
            with (
                httpx.Client(follow_redirects=True, timeout=self.within_s) as client,
                client.stream("GET", url, headers=headers) as answer,
            ):
                self._expect(answer.status_code, repository, answer.headers)
                file.writelines(answer.iter_bytes())
        except httpx.RemoteProtocolError as error:
            raise ArtifactError(
                f"{url}: {file.tell()} bytes arrived, then the connection broke: {error}",
                expected="the whole file",
                remedy="again",
                code="artifact.not_downloaded",
                retry="now",
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(f"{type(error).__name__}: {error}") from error

    async def _whoami(self, client: httpx.AsyncClient) -> HubProbe:
        url = f"{self.endpoint}/api/whoami-v2"
        try:
            answer = await ask(client, "GET", url, headers=self._headers, within_s=self.within_s)
        except UnreachableError as error:
            return HubProbe("the token", "unreachable", f"{url}: {error}")
        document = answer.document()
        name = document.get("name") if isinstance(document, dict) else None
        if answer.status == _OK and name:
            return HubProbe("the token", "ok", f"the hub knows it as {name}")
        status: HubStatus = "access_denied" if answer.status in _DENIED else "unreachable"
        return HubProbe("the token", status, f"GET {url} → {answer.status}")

    async def _gate(self, client: httpx.AsyncClient, *, model: str) -> HubProbe:
        """Ask as the hub's own client does; a hub without that question tells by the model's card."""
        account = []
        try:
            for question in (f"api/models/{quote(model)}/auth-check", f"api/models/{quote(model)}"):
                url = f"{self.endpoint}/{question}"
                answer = await ask(client, "GET", url, headers=self._headers, within_s=self.within_s)
                account.append(f"GET {url} → {answer.status}")
                if answer.status != _MISSING:
                    break
        except UnreachableError as error:
            return HubProbe(model, "unreachable", "; ".join([*account, str(error)]))
        said = answer.headers.get("x-error-message", "")
        return HubProbe(model, _gate_status(answer), "; ".join([*account, *([said] if said else [])]))

    async def _tree(
        self, client: httpx.AsyncClient, *, repository: str, revision: str
    ) -> tuple[HubFile, ...]:
        url = f"{self.endpoint}/api/datasets/{quote(repository)}/tree/{quote(revision)}?recursive=true"
        files: list[HubFile] = []
        for _ in range(MAX_PAGES):
            try:
                answer = await ask(client, "GET", url, headers=self._headers, within_s=self.within_s)
            except UnreachableError as error:
                raise self._unreachable(str(error)) from error
            self._expect(answer.status, repository, answer.headers)
            files += self._files_in(answer)
            following = _next_page(answer, url)
            if following is None:
                return tuple(files)
            url = following
        raise self._unreachable(f"the listing of {repository} has more than {MAX_PAGES} pages")

    def _files_in(self, answer: Answer) -> list[HubFile]:
        entries = answer.document()
        if not isinstance(entries, list):
            raise self._unreachable("the listing is no JSON list")
        files = [each for each in entries if isinstance(each, dict) and each.get("type") == "file"]
        return [HubFile(str(each.get("path")), _whole(each.get("size"))) for each in files]

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token.reveal()}"} if self.token else {}

    def _expect(self, status: int, repository: str, headers: httpx.Headers) -> None:
        if status == _OK:
            return
        said = headers.get("x-error-message") or f"HTTP {status}"
        if status in _DENIED:
            raise NeedsInput(
                f"Which Hugging Face token may read {repository}? The hub says: {said}",
                expected="a token with access to the repository, in HF_TOKEN",
                remedy="ask for access on the repository's page, then set HF_TOKEN",
                code="needs_input.hf_token",
            )
        if status == _MISSING:
            raise InputError(
                f"The hub has no {repository}, or not this file: {said}",
                expected="an existing repository",
                remedy="look at the name",
                code="input.repository",
            )
        raise self._unreachable(said)

    def _unreachable(self, reason: str) -> EngineUnavailable:
        return EngineUnavailable(
            f"The model hub {self.endpoint} can't be asked: {reason}",
            expected="an answer of the hub",
            remedy="look at the network and at HF_ENDPOINT, then again",
            code="engine.hub_unreachable",
            retry="now",
        )


def _gate_status(answer: Answer) -> HubStatus:
    if answer.status in _DENIED:
        return "access_denied"
    if answer.status == _MISSING:
        return "missing"
    return "ok" if answer.status == _OK else "unreachable"


def _next_page(answer: Answer, url: str) -> str | None:
    """Return the next page's URL; one on another host is not followed, for the token would go along."""
    import httpx

    link = httpx.Response(_OK, headers=answer.headers).links.get("next", {}).get("url")
    following = urljoin(url, link) if link else None
    return following if following and urlsplit(following).netloc == urlsplit(url).netloc else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None
