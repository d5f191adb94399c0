"""The one form in which a picture or video is shown: `MEDIA:/absolute/path`, a bubble of its own."""

from __future__ import annotations

MEDIA_PREFIX = "MEDIA:"


def media_path(body: str) -> str | None:
    """Return the path in a media line, or None where the line is malformed."""
    if not body.startswith(MEDIA_PREFIX) or len(body.splitlines()) != 1:
        return None
    path = body.removeprefix(MEDIA_PREFIX)
    return path if path.startswith("/") and path == path.strip() else None
