"""Every view of the tools: as agreed in the golden files, and within the limits of its provider."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from skill_tools.registry import TOOLS, call
from skill_tools.schema import input_schema, schema_of
from skill_tools.schema_views import (
    REFUSED_BY_ANTHROPIC_STRICT,
    VIEWS,
    anthropic,
    from_strict,
    mcp,
    openai,
    openai_strict,
    result_schema,
)
from skill_tools.tool import ToolResult
from tests.tools.workspace_bench import Workspace

GOLDEN = Path(__file__).parent / "golden" / "tools"
MAX_NESTING = 5
MAX_PROPERTIES = 100
MAX_TEXT = 15_000
NAME = r"[A-Za-z0-9_-]{1,64}"
FORMATS_OF_OPENAI_STRICT = {
    "date-time",
    "time",
    "date",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "uuid",
}

# What OpenAI's strict mode knows; a keyword that is not here refuses the whole request.
KNOWN_TO_OPENAI_STRICT = {
    "type",
    "description",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "const",
    "anyOf",
    "$ref",
    "$defs",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
}

# Arguments with everything that a view may bend: absent values, lists, maps with free keys.
CALLS: dict[str, dict[str, Any]] = {
    "select_flow": {"clips": ["a.mp4"], "variables": {"weather": "rain"}, "variants": 2},
    "check_submission": {"workflow": "assets/configs/osmo/e2e.yaml", "values": {"dataset": "d"}},
    "submit": {"run_id": "run-00000000", "dry_run": True, "values": {}},
    "poll": {"run_id": "run-00000000", "wait_s": 5},
    "check_message": {"messages": [{"body": "It rains now."}]},
    "inspect_engine": {"what": "pools"},
    "derive_storage_url": {},
    "prepare_demo": {},
    "preview": {"clip": "a.mp4", "variables": {"weather": "rain"}, "strengths": {"weather": 0.5}},
}


def parts(schema: dict[str, Any], depth: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield every schema within a schema, with how deep it lies."""
    yield depth, schema
    for named in ("properties", "$defs", "patternProperties"):
        for part in schema.get(named, {}).values():
            yield from parts(part, depth + 1)
    for single in ("items", "additionalProperties", "propertyNames"):
        if isinstance(schema.get(single), dict):
            yield from parts(schema[single], depth + 1)
    for option in schema.get("anyOf", []):
        yield from parts(option, depth)


def nesting(schema: dict[str, Any]) -> int:
    """Return how many objects and lists lie within each other, the root among them."""
    inside = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    inside += [schema["items"]] if isinstance(schema.get("items"), dict) else []
    inside += schema.get("anyOf", [])
    deepest = max((nesting(part) for part in inside), default=0)
    return deepest + bool({"object", "array"} & kinds_of(schema))


def kinds_of(schema: dict[str, Any]) -> set[str]:
    """Return the types that a schema takes."""
    kinds = schema.get("type", [])
    return {kinds} if isinstance(kinds, str) else set(kinds)


def strict(tool: str) -> dict[str, Any]:
    """Return the parameters of a tool as OpenAI's strict mode sees them."""
    parameters: dict[str, Any] = openai_strict(TOOLS[tool])["function"]["parameters"]
    return parameters


@pytest.mark.parametrize("name", VIEWS)
def test_each_view_is_as_agreed(name: str) -> None:
    """A change of what callers see is made on purpose: `python -m tests.golden_tools` writes it anew."""
    expected = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    assert [VIEWS[name](tool) for tool in TOOLS.values()] == expected


@pytest.mark.parametrize("name", VIEWS)
def test_the_command_line_prints_each_view(name: str, workspace: Workspace) -> None:
    """`vda tools --format` gives a program just what the golden file holds, for all tools or for one."""
    expected = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    assert json.loads(workspace.vda("tools", "--format", name).stdout) == expected
    assert json.loads(workspace.vda("tools", "run", "--format", name).stdout) == expected[0]


@pytest.mark.parametrize("view", VIEWS.values(), ids=list(VIEWS))
def test_views_are_pure(view: Callable[..., Any]) -> None:
    """A view gives the same twice and leaves the canonical schema as it was."""
    before = [input_schema(tool) for tool in TOOLS.values()]
    assert [view(tool) for tool in TOOLS.values()] == [view(tool) for tool in TOOLS.values()]
    assert [input_schema(tool) for tool in TOOLS.values()] == before


@pytest.mark.parametrize("tool", TOOLS)
def test_names_fit_every_provider(tool: str) -> None:
    """A name has at most 64 letters, digits, underscores and hyphens; a description is there."""
    assert re.fullmatch(NAME, tool)
    assert 0 < len(TOOLS[tool].summary) <= 1_024


@pytest.mark.parametrize("tool", TOOLS)
def test_openai_strict_keeps_to_what_strict_mode_takes(tool: str) -> None:
    """Objects are closed, every property is required, nesting and keywords are within the limits."""
    schema = strict(tool)
    assert schema["type"] == "object"
    assert "anyOf" not in schema
    assert nesting(schema) <= MAX_NESTING
    count = 0
    for _, part in parts(schema):
        assert set(part) <= KNOWN_TO_OPENAI_STRICT, part
        assert part.get("format", "date") in FORMATS_OF_OPENAI_STRICT
        if "object" in kinds_of(part):
            assert part["additionalProperties"] is False
            assert part["required"] == list(part["properties"])
            assert all(re.fullmatch(NAME, name) for name in part["properties"])
            count += len(part["properties"])
        if "array" in kinds_of(part):
            assert {"type", "$ref"} & set(part["items"])
        assert "(?" not in part.get("pattern", "")
    assert count <= MAX_PROPERTIES
    assert len(json.dumps(schema)) <= MAX_TEXT


@pytest.mark.parametrize("tool", TOOLS)
def test_roots_are_plain_objects_everywhere(tool: str) -> None:
    """No provider takes a choice at the root; MCP's schemas, both, are valid and of an object."""
    entry = mcp(TOOLS[tool])
    roots = [
        entry["inputSchema"],
        entry["outputSchema"],
        openai(TOOLS[tool])["function"]["parameters"],
        anthropic(TOOLS[tool])["input_schema"],
    ]
    for root in roots:
        assert root["type"] == "object"
        assert not {"anyOf", "oneOf", "allOf"} & set(root)
        jsonschema.Draft202012Validator.check_schema(root)
    assert {type(hint) for name, hint in entry["annotations"].items() if name != "title"} == {bool}


@pytest.mark.parametrize("tool", TOOLS)
def test_anthropic_moves_constraints_into_words(tool: str) -> None:
    """No constraint keyword is left in the schema, and what it said is said in a description."""
    schema = anthropic(TOOLS[tool])["input_schema"]
    for _, part in parts(schema):
        assert not set(part) & REFUSED_BY_ANTHROPIC_STRICT
        if "properties" in part:
            assert part["additionalProperties"] is False
    if "run_id" in input_schema(TOOLS[tool]).get("required", []):
        assert "run-" in schema["properties"]["run_id"]["description"]


@pytest.mark.parametrize("tool", TOOLS)
def test_views_take_what_the_tool_takes(tool: str) -> None:
    """What is valid for the tool is valid in each view, and what lacks a required field is not."""
    arguments = CALLS.get(tool, {"run_id": "run-00000000"})
    views = (
        mcp(TOOLS[tool])["inputSchema"],
        openai(TOOLS[tool])["function"]["parameters"],
        anthropic(TOOLS[tool])["input_schema"],
    )
    for schema in (input_schema(TOOLS[tool]), *views):
        jsonschema.validate(arguments, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**arguments, "no_such_field": 1}, schema)


@pytest.mark.parametrize("tool", ["select_flow", "check_submission", "submit", "poll"])
def test_strict_arguments_come_back_as_the_tools_own(tool: str) -> None:
    """Nulls become absence and lists of pairs maps, so that a strict answer can be called."""
    given = CALLS[tool]
    maps = {name: value for name, value in given.items() if isinstance(value, dict)}
    pairs = {
        name: [{"name": key, "value": text} for key, text in value.items()] for name, value in maps.items()
    }
    answered = dict.fromkeys(strict(tool)["properties"]) | given | pairs
    jsonschema.validate(answered, strict(tool))
    assert from_strict(TOOLS[tool], answered) == given


def test_real_results_conform_to_the_schema_of_results(workspace: Workspace) -> None:
    """A green result, a refusal and a failure all have the shape that is published."""
    begun = workspace.call("select_flow", clips=[workspace.clip()])
    results = [
        begun,
        workspace.call("estimate_time", run_id=begun.run_id),
        workspace.call("submit", run_id=begun.run_id),
        workspace.call("poll", run_id=begun.run_id),
        call("logs", {"run_id": 1}, settings=workspace.settings),  # a number is no run id
    ]
    for result in results:
        schema = result_schema(TOOLS[result.tool])
        jsonschema.validate(result.model_dump(mode="json"), schema, jsonschema.Draft202012Validator)


def test_strict_nulls_within_lists_become_absence_too() -> None:
    """A null stands for what was left out wherever it lies."""
    answered = {"run_id": None, "messages": [{"kind": None, "body": "It rains now."}]}
    jsonschema.validate(answered, strict("check_message"))
    assert from_strict(TOOLS["check_message"], answered) == CALLS["check_message"]


def test_no_output_hides_a_part_of_the_result_itself() -> None:
    """Where a tool's data and the result have parts of one name, these are the same thing."""
    own = schema_of(ToolResult)["$defs"]
    for tool in TOOLS.values():
        data = schema_of(tool.output_model)
        parts_of_data = {**data.get("$defs", {}), tool.output_model.__name__: data}
        assert all(part == own[name] for name, part in parts_of_data.items() if name in own)


def test_every_reference_of_a_result_schema_leads_somewhere() -> None:
    """Nothing that was left out of a result's schema is still pointed to."""
    for tool in TOOLS.values():
        schema = result_schema(tool)
        jsonschema.Draft202012Validator.check_schema(schema)
        wanted = {part["$ref"].removeprefix("#/$defs/") for _, part in parts(schema) if "$ref" in part}
        assert wanted <= set(schema["$defs"])
