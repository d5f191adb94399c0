"""JSON Schema (2020-12) of every tool's input and output, generated from the models.

python -m skill_tools.schema        writes schemas/<tool>.input.json and .output.json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from skill_tools.registry import TOOLS
from skill_tools.tool import AnyTool

DIALECT = GenerateJsonSchema.schema_dialect
SCHEMAS_DIR = Path(__file__).resolve().parent.parent / "schemas"


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a model with its dialect at the root."""
    return {"$schema": DIALECT, **model.model_json_schema(mode="serialization")}


def described(tool: AnyTool) -> dict[str, Any]:
    """Return all that a caller may know of a tool."""
    return {
        "name": tool.name,
        "description": tool.summary,
        "effects": tool.effects.model_dump(),
        "guards": [*tool.guards, *tool.outcome_guards],
        "input_schema": input_schema(tool),
        "output_schema": schema_of(tool.output_model),
    }


def input_schema(tool: AnyTool) -> dict[str, Any]:
    """Return the schema of what a tool takes: fields with a default are optional."""
    return {"$schema": DIALECT, **tool.input_model.model_json_schema(mode="validation")}


def documents() -> dict[str, str]:
    """Return every schema file's name and text."""
    texts = {}
    for tool in TOOLS.values():
        for kind, schema in (("input", input_schema(tool)), ("output", schema_of(tool.output_model))):
            texts[f"{tool.name}.{kind}.json"] = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    return texts


def write(folder: Path = SCHEMAS_DIR) -> None:
    """Write all schema files, and take away those of tools that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = documents()
    for stale in folder.glob("*.json"):
        if stale.name not in texts:
            stale.unlink()
    for name, text in texts.items():
        folder.joinpath(name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
