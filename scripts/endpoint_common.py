#!/usr/bin/env python3
"""Wait until an OpenAI-compatible endpoint lists a model; print its base URL, a tab and the model's name.

The key, if there is one, comes from the environment variable that --key-env names; a bare key,
`Bearer …` and `Authorization: Bearer …` all do. It is never printed.

Exit codes: 0 found; 2 bad arguments; 3 no model within the time, with the last reason on stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence

EXIT_NOT_FOUND = 3
REPLY_LIMIT_BYTES = 1_000_000
SUFFIXES = ("/chat/completions", "/completions", "/responses", "/embeddings", "/models")


def base_urls(url: str) -> list[str]:
    """Return the base URLs to try: the given one without known endings, then with or without /v1."""
    with_scheme = url.strip() if "://" in url else f"http://{url.strip()}"
    parts = urllib.parse.urlsplit(with_scheme)
    path = parts.path.rstrip("/")
    for suffix in SUFFIXES:
        path = path.removesuffix(suffix)
    other = path.removesuffix("/v1") if path.endswith("/v1") else f"{path}/v1"
    return [urllib.parse.urlunsplit((parts.scheme, parts.netloc, each, "", "")) for each in (path, other)]


def bearer(key: str) -> str:
    """Return the value of the Authorization header for a key in any of its three forms."""
    bare = key.strip().removeprefix("Authorization:").strip()
    return f"Bearer {bare.removeprefix('Bearer').strip()}"


def first_model(base_url: str, key: str, timeout_s: float) -> str:
    """Return the first model that an endpoint lists; OSError or ValueError if it lists none."""
    request = urllib.request.Request(f"{base_url}/models")  # noqa: S310 - main lets http and https through
    if key:
        request.add_header("Authorization", bearer(key))
    with urllib.request.urlopen(request, timeout=timeout_s) as reply:  # noqa: S310 - as above
        listed = json.loads(reply.read(REPLY_LIMIT_BYTES))
    models = listed.get("data") if isinstance(listed, dict) else None
    names = [m["id"] for m in models or [] if isinstance(m, dict) and isinstance(m.get("id"), str)]
    if not names:
        raise ValueError(f"{base_url}/models lists no model")
    return names[0]


def find(url: str, key: str, timeout_s: float, every_s: float) -> tuple[str, str] | str:
    """Return (base URL, model) as soon as there is one, or the last reason when the time is over."""
    end = time.monotonic() + timeout_s
    while True:
        reasons = []
        for base in base_urls(url):
            try:
                return base, first_model(base, key, max(0.1, min(10.0, end - time.monotonic())))
            except (OSError, ValueError) as error:
                reasons.append(f"{base}: {error}")
        if time.monotonic() + every_s > end:
            return "; ".join(reasons)
        time.sleep(every_s)


def main(arguments: Sequence[str] | None = None) -> int:
    """Wait, print and return the exit code."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    options.add_argument("--url", required=True)
    options.add_argument("--key-env", default="", metavar="NAME", help="environment variable with the key")
    options.add_argument("--timeout-s", type=float, default=180.0)
    options.add_argument("--every-s", type=float, default=10.0)
    given = options.parse_args(arguments)
    if urllib.parse.urlsplit(base_urls(given.url)[0]).scheme not in {"http", "https"}:
        options.error(f"{given.url} is no http or https URL")
    found = find(given.url, os.environ.get(given.key_env, ""), given.timeout_s, given.every_s)
    if isinstance(found, str):
        sys.stderr.write(f"no model within {given.timeout_s:g} s: {found}\n")
        return EXIT_NOT_FOUND
    sys.stdout.write("\t".join(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
