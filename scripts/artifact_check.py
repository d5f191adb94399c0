#!/usr/bin/env python3
"""Tell whether a container CLI's output directory holds what it should, whole: exit 0 yes, 1 no and why.

Usage: artifact_check.py variant|labels|files DIRECTORY

variant: augmented_video.mp4 is an MP4 with its index and all its bytes, metadata.json is a JSON object.
labels: summary.json, which is written last, and annotations_coco.json are JSON objects, as is every other
`*.json` at least readable.
files: something is there, and every `*.json` is readable.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

HEADER_BYTES, LONG_HEADER_BYTES = 8, 16
KINDS = ("variant", "labels", "files")
ARGUMENTS = 2


def problem(kind: str, directory: Path) -> str:
    """Return what is missing or broken, or nothing."""
    try:
        if kind == "variant":
            whole_mp4(directory / "augmented_video.mp4")
            json_object(directory / "metadata.json")
        elif kind == "labels":
            json_object(directory / "summary.json")
            json_object(directory / "annotations_coco.json")
        if not any(path.is_file() and path.stat().st_size for path in directory.rglob("*")):
            return f"{directory} is empty"
        for path in directory.rglob("*.json"):
            json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def json_object(path: Path) -> None:
    """Raise ValueError unless the file holds a JSON object."""
    if not isinstance(json.loads(path.read_bytes()), dict):
        raise ValueError(f"{path} holds no JSON object")  # noqa: TRY004 - a file's content, not an argument


def whole_mp4(path: Path) -> None:
    """Raise ValueError unless the file's boxes fill it exactly and an index and media are among them."""
    kinds = set()
    size = path.stat().st_size
    with path.open("rb") as file:
        offset = 0
        while offset < size:
            file.seek(offset)
            header = file.read(LONG_HEADER_BYTES)
            if len(header) < HEADER_BYTES:
                raise ValueError(f"{path} ends within a box")
            length, kind = struct.unpack(">I4s", header[:HEADER_BYTES])
            if length == 1 and len(header) == LONG_HEADER_BYTES:
                length = struct.unpack(">Q", header[HEADER_BYTES:])[0]
            length = length or size - offset
            if length < HEADER_BYTES:
                raise ValueError(f"{path} is no MP4")
            kinds.add(kind)
            offset += length
    if offset != size or not kinds >= {b"moov", b"mdat"}:
        raise ValueError(f"{path} is cut off or no MP4")


def main(arguments: list[str]) -> int:
    """Check and return the exit code."""
    if len(arguments) != ARGUMENTS or arguments[0] not in KINDS:
        sys.stderr.write("usage: artifact_check.py variant|labels|files DIRECTORY\n")
        return 2
    found = problem(arguments[0], Path(arguments[1]))
    if found:
        sys.stderr.write(f"{found}\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
