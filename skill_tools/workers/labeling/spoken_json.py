"""JSON objects out of a model's words: fences, thoughts, chatter and trailing commas are forgiven."""

from __future__ import annotations

import json
import re
from typing import Any

_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")


def objects_in(words: str) -> list[dict[str, Any]]:
    """Give the outermost JSON objects in `words`, in order; objects in an outer array count as well."""
    plain = _THOUGHT.sub("", words)
    return _scan(plain) or _scan(_TRAILING_COMMA.sub(r"\1", plain))


def _scan(text: str) -> list[dict[str, Any]]:
    decoder = json.JSONDecoder()
    found: list[dict[str, Any]] = []
    start = text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            if isinstance(value, dict):
                found.append(value)
        start = text.find("{", end)
    return found
