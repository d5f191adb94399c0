"""Ask web services at the same time, each within its time and with a bounded answer."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import httpx

WITHIN_S = 15.0
"""How long one request may take, from the connection to the last byte."""
ANSWER_BYTES = 4 * 2**20
AT_ONCE = 16
DIRECT = {"all://localhost": None, "all://127.0.0.1": None, "all://[::1]": None}
"""This machine is never asked through a proxy."""

ResultT = TypeVar("ResultT")


class UnreachableError(Exception):
    """No usable answer came: no listener, no such host, too slow, broken or too long."""


@dataclass(frozen=True)
class Answer:
    """What a service answered."""

    status: int
    headers: httpx.Headers
    body: bytes = field(repr=False)

    def document(self) -> object:
        """Return the body's JSON, or `None` where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


Job = Callable[["httpx.AsyncClient"], Awaitable[ResultT]]


async def ask(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    within_s: float = WITHIN_S,
) -> Answer:
    """Send one request.

    Raises:
        UnreachableError: no answer, or none that can be used.
    """
    import asyncio

    import httpx

    try:
        async with (
            asyncio.timeout(within_s),
            client.stream(method, url, headers=headers, timeout=within_s) as response,
        ):
            body = b""
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > ANSWER_BYTES:
                    raise UnreachableError(f"the answer is longer than {ANSWER_BYTES} bytes")
            return Answer(response.status_code, response.headers, body)
    except (TimeoutError, httpx.TimeoutException) as error:
        raise UnreachableError(f"no answer within {within_s:g} s") from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, ValueError, OSError) as error:
        raise UnreachableError(f"{type(error).__name__}: {error}".rstrip(": ")) from error


def together(jobs: Sequence[Job[ResultT]]) -> list[ResultT]:
    """Run jobs at the same time and return their results in order; the first error of one is raised.

    They run in a thread of their own, so this can be called from within an event loop too.
    """
    import asyncio

    import httpx

    async def run() -> list[ResultT]:
        limits = httpx.Limits(max_connections=AT_ONCE)
        async with httpx.AsyncClient(
            follow_redirects=True, max_redirects=5, limits=limits, mounts=DIRECT
        ) as client:
            return list(await asyncio.gather(*(job(client) for job in jobs)))

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(lambda: asyncio.run(run())).result()


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine's own."""
    bare = host.strip("[]").lower()
    if bare == "localhost" or bare.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False
