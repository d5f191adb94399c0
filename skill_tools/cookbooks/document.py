"""A cookbook's file with the line of everything in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from skill_tools.cookbooks.problem import Problem

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Place = tuple[str | int, ...]
"""Keys and indices from the top of a document down to something in it."""


@dataclass(frozen=True)
class Document:
    """What a YAML or JSON file says, and where."""

    file: str
    """Its name within the cookbook."""
    value: Any
    lines: dict[Place, int] = field(default_factory=dict, repr=False)
    """Line of every key and every item, counted from 1."""

    def line(self, *place: str | int) -> int:
        """Return the line of a key or an item, of the nearest thing around it where it isn't there."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def at(self, *place: str | int) -> Any:
        """Return what stands in a place, None where nothing does."""
        value = self.value
        for step in place:
            try:
                value = value[step]
            except (LookupError, TypeError):
                return None
        return value

    def problem(self, place: Sequence[str | int], what: str, **how: Any) -> Problem:
        """Return a problem of this file at the line of a place."""
        return Problem(self.file, self.line(*place), what, **how)


def read_text(directory: Path, file: str) -> str | Problem:
    """Return a file's text, or why there is none."""
    try:
        return (directory / file).read_text(encoding="utf-8")
    except FileNotFoundError:
        return Problem(file, 1, "the file is missing", remedy="take it from a scene like yours")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        return Problem(file, line, "this is no UTF-8 text", "UTF-8", "save the file as UTF-8")
    except OSError as error:
        return Problem(file, 1, f"the file can't be read: {error.strerror}")


def read_document(directory: Path, file: str) -> tuple[Document | None, list[Problem]]:
    """Read a YAML or JSON file; what can't be read is a problem, and so is a key that is there twice."""
    text = read_text(directory, file)
    if isinstance(text, Problem):
        return None, [text]
    try:
        return _read_json(file, text) if file.endswith(".json") else _read_yaml(file, text)
    except json.JSONDecodeError as error:
        return None, [Problem(file, error.lineno, f"this is no JSON: {error.msg}", remedy="correct the line")]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        why = getattr(error, "problem", None) or error
        line = mark.line + 1 if mark else 1
        return None, [Problem(file, line, f"this is no YAML: {why}", remedy="correct the line")]


def embedded_json(file: str, text: str, start: int) -> tuple[Document, int]:
    """Read the JSON object that begins at `start` in a text; return it, and where it ends.

    Raises:
        json.JSONDecodeError: what stands there is none.
    """
    value, end = json.JSONDecoder().raw_decode(text, start)
    above = text.count("\n", 0, start)
    lines, _ = _located(file, yaml.compose(text[start:end].replace("\t", " "), _LOADER))
    return Document(file, value, {(): above + 1, **{place: above + n for place, n in lines.items()}}), end


def _read_yaml(file: str, text: str) -> tuple[Document, list[Problem]]:
    loader = _LOADER(text)
    try:
        node = loader.get_single_node()
        lines, doubles = _located(file, node)
        value = None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()
    return Document(file, value, lines), doubles


def _read_json(file: str, text: str) -> tuple[Document, list[Problem]]:
    value = json.loads(text)
    # JSON is YAML but for tabs, which it has between its words alone.
    lines, doubles = _located(file, yaml.compose(text.replace("\t", " "), _LOADER))
    return Document(file, value, lines), doubles


def _located(file: str, top: yaml.Node | None) -> tuple[dict[Place, int], list[Problem]]:
    """Return the line of everything, and each key that stands twice: one of its values would be lost."""
    lines: dict[Place, int] = {}
    doubles = []
    for place, mark in _walk(top, (), set()):
        line = mark.line + 1
        if place in lines:
            what = f"the key {place[-1]!r} is here twice, first in line {lines[place]}"
            doubles.append(Problem(file, line, what, "each key once", "take one of the two out"))
        lines.setdefault(place, line)
    return lines, doubles


def _walk(node: yaml.Node | None, place: Place, seen: set[int]) -> Iterator[tuple[Place, yaml.Mark]]:
    """Yield the place of every key and item with its mark; what an alias repeats, once."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*place, key.value), key.start_mark
            yield from _walk(value, (*place, key.value), seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*place, index), item.start_mark
            yield from _walk(item, (*place, index), seen)
