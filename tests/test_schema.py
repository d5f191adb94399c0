"""The checked-in schemas are the models' own, valid, closed and bounded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from skill_tools.registry import TOOLS
from skill_tools.schema import DIALECT, SCHEMAS_DIR, described, documents, write

DOCUMENTS = documents()


def objects_in(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield every schema of an object with named properties, however deep."""
    if isinstance(schema, dict):
        if "properties" in schema and schema.get("type") == "object":
            yield schema
        for value in schema.values():
            yield from objects_in(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from objects_in(value)


def test_the_checked_in_schemas_are_those_of_the_models() -> None:
    """Files and models agree to the letter; `python -m skill_tools.schema` writes them anew."""
    found = {file.name: file.read_text(encoding="utf-8") for file in SCHEMAS_DIR.glob("*.json")}
    assert found.keys() == DOCUMENTS.keys()
    stale = [name for name, text in DOCUMENTS.items() if found[name] != text]
    assert stale == []


def test_every_tool_has_an_input_and_an_output_schema() -> None:
    """Two files a tool, named after it."""
    assert DOCUMENTS.keys() == {f"{name}.{kind}.json" for name in TOOLS for kind in ("input", "output")}


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_a_schema_is_valid_and_closed(name: str) -> None:
    """Each is JSON Schema 2020-12, of an object that takes no fields but its own."""
    schema = json.loads(DOCUMENTS[name])
    assert schema["$schema"] == DIALECT == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)
    assert schema["type"] == "object"
    for each in objects_in(schema):
        assert each["additionalProperties"] is False, each.get("title")


@pytest.mark.parametrize("tool", sorted(TOOLS))
def test_every_input_is_bounded(tool: str) -> None:
    """No text and no list of an input may be of any length."""
    schema = json.loads(DOCUMENTS[f"{tool}.input.json"])
    for path, each in _typed(schema, ""):
        if each["type"] == "string":
            assert {"maxLength", "enum", "const", "pattern", "format"} & each.keys(), path
        if each["type"] == "array":
            assert "maxItems" in each, path


def _typed(schema: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        if isinstance(schema.get("type"), str):
            yield path, schema
        for key, value in schema.items():
            if key not in {"default", "enum", "propertyNames"}:
                yield from _typed(value, f"{path}/{key}")
    elif isinstance(schema, list):
        for number, value in enumerate(schema):
            yield from _typed(value, f"{path}/{number}")


@pytest.mark.parametrize("tool", sorted(TOOLS))
def test_a_tool_is_described_in_a_sentence_with_its_effects(tool: str) -> None:
    """Every surface can say what a tool does and what it may change."""
    about = described(TOOLS[tool])
    assert about["description"].endswith(".")
    assert about["effects"].keys() >= {"read_only", "writes_local", "changes_remote", "idempotent"}
    assert not (about["effects"]["read_only"] and about["effects"]["changes_remote"])
    json.dumps(about)


def test_writing_takes_stale_files_away_and_changes_nothing_twice(tmp_path: Path) -> None:
    """The schema of a tool that is gone goes too, and a second writing gives the same files."""
    (tmp_path / "gone.input.json").write_text("{}")
    write(tmp_path)
    first = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert "gone.input.json" not in first
    write(tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == first
