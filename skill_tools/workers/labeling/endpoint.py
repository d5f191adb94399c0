"""A client for an OpenAI-compatible vision-language model, with bounded time and no secrets in words."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from skill_tools.workers.labeling.config import Endpoint
from skill_tools.workers.labeling.frames import Still
from skill_tools.workers.labeling.model import ModelFailure, TimeLimits

KEY_NAMES = ("VLM_API_KEY", "OPENAI_API_KEY", "NVIDIA_API_KEY")
MOST_RESPONSE_BYTES = 4_000_000
PATIENCE = 2
"""Failures in a row after which the endpoint isn't asked any more."""

_SUFFIX = re.compile(r"/(?:chat/completions|completions|responses|embeddings|models)/?$")
_AUTH_WORDS = re.compile(r"^(?:authorization:\s*)?(?:bearer\s+)?", re.IGNORECASE)


class VisionModel:
    """Answers prompts about pictures; a context manager.

    After PATIENCE failures in a row, or `limits.total_s` in all, every further call fails at once.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        environ: Mapping[str, str],
        limits: TimeLimits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._base, self._model = base_url(endpoint.url), endpoint.model
        self._limits, self._clock = limits, clock
        self._start = clock()
        self._failures = 0
        self._last_failure = ""
        timeout = httpx.Timeout(limits.request_s, connect=min(10.0, limits.request_s))
        self._client = httpx.Client(headers=_auth(environ), timeout=timeout, follow_redirects=False)

    def __enter__(self) -> Self:
        """Use the connection pool within the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self._client.close()

    def complete(self, instructions: str, request: str, stills: Sequence[Still]) -> str:
        """Send `instructions` (the system's part), `request` and pictures; give the model's words.

        Raises:
            ModelFailure: it can't be reached, is too slow, or answers with an error or nonsense.
        """
        if self._failures >= PATIENCE:
            raise ModelFailure(f"the endpoint was given up: {self._last_failure}")
        try:
            words = _content(self._post(self._body(instructions, request, stills)))
        except ModelFailure as failure:
            self._failures += 1
            self._last_failure = str(failure)
            raise
        self._failures = 0
        return words

    def _body(self, instructions: str, request: str, stills: Sequence[Still]) -> dict[str, Any]:
        content: list[dict[str, Any]] = []
        for still in stills:
            data = base64.b64encode(still.jpeg).decode("ascii")
            content.append({"type": "text", "text": f"Frame at {still.timestamp_s:.2f} s:"})
            content.append({"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}})
        content.append({"type": "text", "text": request})
        return {
            "model": self._named_model(),
            "temperature": 0,
            "max_tokens": 4096,
            "messages": [
                {"role": "system", "content": instructions},
                {"role": "user", "content": content},
            ],
        }

    def _named_model(self) -> str:
        """Give the configured model, else the first that the endpoint lists."""
        if not self._model:
            listed = self._json("GET", "/models", None)
            try:
                self._model = str(listed["data"][0]["id"])
            except (LookupError, TypeError) as problem:
                raise ModelFailure("the endpoint lists no model") from problem
        return self._model

    def _post(self, body: Mapping[str, Any]) -> Any:
        return self._json("POST", "/chat/completions", body)

    def _json(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        """Exchange one request, over both forms of the base URL if the first isn't known there."""
        status = 0
        for base in dict.fromkeys((self._base, _other_form(self._base))):
            status, text = self._exchange(method, base + path, body)
            if status == httpx.codes.NOT_FOUND:
                continue
            self._base = base
            if status != httpx.codes.OK:
                break
            try:
                return json.loads(text)
            except ValueError as problem:
                raise ModelFailure("the endpoint's response isn't JSON") from problem
        raise ModelFailure(f"the endpoint answered with HTTP {status}")

    def _exchange(self, method: str, url: str, body: Mapping[str, Any] | None) -> tuple[int, str]:
        deadline = min(self._clock() + self._limits.request_s, self._start + self._limits.total_s)
        if self._clock() >= deadline:
            raise ModelFailure(f"the time for the model is used up ({self._limits.total_s:.0f} s)")
        try:
            with self._client.stream(method, url, json=body) as response:
                parts, size = [], 0
                for part in response.iter_bytes():
                    parts.append(part)
                    size += len(part)
                    if size > MOST_RESPONSE_BYTES:
                        raise ModelFailure("the endpoint's response is too long")
                    if self._clock() >= deadline:
                        raise _too_slow(self._limits)
                return response.status_code, b"".join(parts).decode("utf-8", errors="replace")
        except httpx.TimeoutException as problem:
            raise _too_slow(self._limits) from problem
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            raise ModelFailure(f"the endpoint can't be reached ({type(problem).__name__})") from problem


def base_url(given: str) -> str:
    """Normalise a URL as people give it: scheme added, query and known suffixes taken off."""
    url = given.strip()
    if "://" not in url:
        url = f"http://{url}"
    url = url.split("?", 1)[0].split("#", 1)[0].rstrip("/")
    return _SUFFIX.sub("", url).rstrip("/")


def _other_form(base: str) -> str:
    return base.removesuffix("/v1") if base.endswith("/v1") else f"{base}/v1"


def _auth(environ: Mapping[str, str]) -> dict[str, str]:
    for name in KEY_NAMES:
        key = _AUTH_WORDS.sub("", environ.get(name, "").strip()).strip()
        if key:
            return {"Authorization": f"Bearer {key}"}
    return {}


def _content(response: Any) -> str:
    try:
        content = response["choices"][0]["message"]["content"]
    except (LookupError, TypeError) as problem:
        raise ModelFailure("the endpoint's response holds no message") from problem
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    if not isinstance(content, str) or not content.strip():
        raise ModelFailure("the model gave no words")
    return content


def _too_slow(limits: TimeLimits) -> ModelFailure:
    return ModelFailure(f"the endpoint gave no whole answer within {limits.request_s:g} s")
