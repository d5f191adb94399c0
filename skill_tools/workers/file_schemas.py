"""JSON Schema (2020-12) of the cookbook's files that the workers read, generated from the workers' models.

python -m skill_tools.workers.file_schemas        writes schemas/cookbooks/<file>.schema.json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from skill_tools.workers.augmentation.config import Config
from skill_tools.workers.labeling.classes import CLASS_NAMES
from skill_tools.workers.labeling.config import DETECTORS, LabelingConfig
from skill_tools.workers.labeling.questions import QuestionBank

SCHEMAS_DIR = Path(__file__).resolve().parents[2] / "schemas" / "cookbooks"


def documents() -> dict[str, str]:
    """Return every schema file's name and text."""
    labeling = _schema(LabelingConfig)
    # What the worker looks up when it runs, a reader of the file may know before.
    spellings = dict.fromkeys([*CLASS_NAMES, *(name.replace(" ", "_") for name in CLASS_NAMES)])
    labeling["$defs"]["Detection"]["properties"]["classes"] |= {
        "items": {"type": "string", "enum": list(spellings)},
        "minItems": 1,
    }
    labeling["$defs"]["Models"]["properties"]["detector"]["enum"] = list(DETECTORS)
    schemas = {
        "augmentation": _schema(Config),
        "auto_labeling_config": labeling,
        "question_bank": _schema(QuestionBank),
    }
    return {
        f"{name}.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in schemas.items()
    }


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return {"$schema": GenerateJsonSchema.schema_dialect, **model.model_json_schema()}


if __name__ == "__main__":
    SCHEMAS_DIR.mkdir(parents=True, exist_ok=True)
    for file, text in documents().items():
        SCHEMAS_DIR.joinpath(file).write_text(text, encoding="utf-8")
