"""The tools as MCP, OpenAI, Anthropic or plain JSON want them described, from one canonical schema.

Every view is a pure function of a tool. The limits that they keep to are the providers' own: OpenAI's
strict mode (closed objects, every property required, no defaults, a subset of keywords) and what
Anthropic's strict mode takes (closed objects, no constraint keywords).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import JsonValue

from skill_tools.schema import described, input_schema, schema_of
from skill_tools.tool import AnyTool, ToolResult

Schema = dict[str, Any]

NAMED_PARTS = ("$defs", "properties", "patternProperties")
SINGLE_PARTS = ("items", "additionalProperties", "propertyNames", "contains", "not")
LISTED_PARTS = ("anyOf", "allOf", "oneOf", "prefixItems")

REFUSED_BY_OPENAI_STRICT = frozenset(
    {
        "minLength",
        "maxLength",
        "patternProperties",
        "propertyNames",
        "uniqueItems",
        "contains",
        "minProperties",
        "maxProperties",
    }
)
REFUSED_BY_ANTHROPIC_STRICT = REFUSED_BY_OPENAI_STRICT - {"patternProperties"} | {
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "pattern",
}


def mcp(tool: AnyTool) -> Schema:
    """Return a tool as an entry of MCP's `tools/list`: both schemas, and what it may change."""
    effects = tool.effects
    title = tool.name.replace("_", " ").capitalize()
    return {
        "name": tool.name,
        "title": title,
        "description": tool.summary,
        "inputSchema": _lean_input(tool),
        "outputSchema": result_schema(tool),
        "annotations": {
            "title": title,
            "readOnlyHint": effects.read_only,
            "destructiveHint": effects.destructive,
            "idempotentHint": effects.idempotent,
            "openWorldHint": effects.open_world,
        },
    }


def openai(tool: AnyTool) -> Schema:
    """Return a tool as OpenAI's Chat Completions protocol takes it, and with it most model servers."""
    function = {"name": tool.name, "description": tool.summary, "parameters": _lean_input(tool)}
    return {"type": "function", "function": function}


def openai_strict(tool: AnyTool) -> Schema:
    """Return a tool for OpenAI's strict mode; `from_strict` turns what a model answers back."""
    parameters = _rewritten(_lean_input(tool), _openai_strict)
    function = {
        "name": tool.name,
        "description": tool.summary,
        "strict": True,
        "parameters": parameters,
    }
    return {"type": "function", "function": function}


def anthropic(tool: AnyTool) -> Schema:
    """Return a tool as Anthropic's Messages API takes it.

    Its schema keeps to what strict mode takes, apart from maps with free keys. `strict` is left to the
    caller: all tools of a request share one grammar, whose size is bounded.
    """
    schema = _rewritten(_lean_input(tool), _anthropic)
    return {"name": tool.name, "description": tool.summary, "input_schema": schema}


VIEWS: Mapping[str, Callable[[AnyTool], Schema]] = MappingProxyType(
    {
        "mcp": mcp,
        "openai": openai,
        "openai-strict": openai_strict,
        "anthropic": anthropic,
        "json": described,
    }
)


def result_schema(tool: AnyTool) -> Schema:
    """Return the schema of a tool's whole result: what every result has, and this tool's own data.

    Bounds, titles and the inside of decisions are left out: they bind the tool, and a reader of results
    only pays for them, once a tool.
    """
    shape, data = schema_of(ToolResult), schema_of(tool.output_model)
    definitions = {**shape.pop("$defs"), **data.pop("$defs", {}), tool.output_model.__name__: data}
    definitions |= {"Decision": {"type": "object"}}
    definitions.pop("JsonValue", None)
    own = {"$ref": f"#/$defs/{tool.output_model.__name__}"}
    properties = shape["properties"] | {"data": {"anyOf": [own, {"type": "object", "maxProperties": 0}]}}
    return _rewritten(shape | {"properties": properties, "$defs": definitions}, _bare)


def from_strict(tool: AnyTool, arguments: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Turn arguments that follow the strict view into the tool's own.

    Nulls stood for what was left out; lists of pairs stood for maps.
    """
    properties = input_schema(tool)["properties"]
    given = {name: _without_nulls(value) for name, value in arguments.items() if value is not None}
    return {
        name: _unpaired(value) if _is_map(properties.get(name, {})) else value
        for name, value in given.items()
    }


def _rewritten(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """Apply a change to every schema within a schema, the innermost first."""
    node = dict(schema)
    for key in NAMED_PARTS:
        if key in node:
            node[key] = {name: _rewritten(part, change) for name, part in node[key].items()}
    for key in SINGLE_PARTS:
        if isinstance(node.get(key), dict):
            node[key] = _rewritten(node[key], change)
    for key in LISTED_PARTS:
        if key in node:
            node[key] = [_rewritten(part, change) for part in node[key]]
    return change(node)


def _lean_input(tool: AnyTool) -> Schema:
    """Return what a tool takes, without what repeats a name or the tool's own sentence."""
    lean = _rewritten(input_schema(tool), _without_noise)
    return {key: value for key, value in lean.items() if key != "description"}


def _without_noise(node: Schema) -> Schema:
    kept = {key: value for key, value in node.items() if key not in {"title", "$schema"}}
    if kept.get("default", 0) is None:
        del kept["default"]
    options = kept.get("anyOf", [])
    plain = [option for option in options if option != {"type": "null"}]
    if len(options) - len(plain) != 1 or len(plain) != 1 or not isinstance(plain[0].get("type"), str):
        return kept
    del kept["anyOf"]
    return _nullable(plain[0] | kept)


def _nullable(node: Schema) -> Schema:
    kind = node.get("type")
    if kind is None:
        return {"anyOf": [node, {"type": "null"}]}
    kinds = [kind] if isinstance(kind, str) else list(kind)
    if "null" in kinds:
        return node
    values = {"enum": [*node["enum"], None]} if "enum" in node else {}
    return node | {"type": [*kinds, "null"]} | values


def _bare(node: Schema) -> Schema:
    """Return what a reader of a result needs: names, types and values."""
    lean = {} if node.get("$ref") == "#/$defs/JsonValue" else _without_noise(node)
    noise = REFUSED_BY_ANTHROPIC_STRICT - {"maxProperties"} | {"description", "default"}
    if lean.get("additionalProperties") in ({}, False):
        noise |= {"additionalProperties"}
    return {key: value for key, value in lean.items() if key not in noise}


def _openai_strict(node: Schema) -> Schema:
    if _is_map(node):
        node = _paired(node)
    default = node.get("default")
    said = _told(node, REFUSED_BY_OPENAI_STRICT, [f"default {default}"] if default else [])
    said.pop("default", None)
    if "properties" not in said:
        return said
    required = set(said.get("required", ()))
    properties = {
        name: part if name in required else _nullable(part) for name, part in said["properties"].items()
    }
    return said | {"properties": properties, "required": list(properties), "additionalProperties": False}


def _anthropic(node: Schema) -> Schema:
    if "patternProperties" in node:
        (value,) = node["patternProperties"].values()
        (pattern,) = node["patternProperties"]
        node = {key: part for key, part in node.items() if key != "patternProperties"}
        node |= {"additionalProperties": value}
        return _told(node, REFUSED_BY_ANTHROPIC_STRICT, [f"names match {pattern}"])
    return _told(node, REFUSED_BY_ANTHROPIC_STRICT, [])


def _told(node: Schema, refused: frozenset[str], also: list[str]) -> Schema:
    """Move the constraints that a provider doesn't take into the description."""
    moved = [f"{key} {node[key]}" for key in node if key in refused and not isinstance(node[key], dict)]
    kept = {key: value for key, value in node.items() if key not in refused}
    notes = "; ".join([*moved, *also])
    if notes:
        kept["description"] = f"{node['description']} ({notes})" if "description" in node else notes
    return kept


def _is_map(node: Schema) -> bool:
    """Whether a schema is of an object with free keys."""
    open_values = isinstance(node.get("additionalProperties"), dict)
    return "properties" not in node and (open_values or "patternProperties" in node)


def _paired(node: Schema) -> Schema:
    """Return the schema of a map as that of a list of pairs, which can be closed."""
    patterns = node.get("patternProperties")
    pattern, value = next(iter(patterns.items())) if patterns else (None, node["additionalProperties"])
    name: Schema = {"type": "string", "pattern": pattern} if pattern else {"type": "string"}
    pair = {
        "type": "object",
        "properties": {"name": name, "value": value},
        "required": ["name", "value"],
        "additionalProperties": False,
    }
    limit = {"maxItems": node["maxProperties"]} if "maxProperties" in node else {}
    said = {"description": node["description"]} if "description" in node else {}
    return said | {"type": "array", "items": pair} | limit


def _without_nulls(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {name: _without_nulls(part) for name, part in value.items() if part is not None}
    return [_without_nulls(part) for part in value] if isinstance(value, list) else value


def _unpaired(value: JsonValue) -> JsonValue:
    if not isinstance(value, list):
        return value
    pairs = [pair for pair in value if isinstance(pair, dict)]
    return {str(pair.get("name")): pair.get("value") for pair in pairs}
