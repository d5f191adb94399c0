"""What may stand in a cookbook's files, and every departure from it, explained."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from skill_tools.cookbooks.document import Document, Place
from skill_tools.cookbooks.files import AUGMENTATION, LABELING, QUESTION_BANK, WORKFLOW_CONFIG
from skill_tools.cookbooks.problem import Problem
from skill_tools.cookbooks.vocabulary import VOCABULARY, nearest

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator, ValidationError

_SCHEMA_FILES = MappingProxyType(
    {
        AUGMENTATION: "augmentation.schema.json",
        LABELING: "auto_labeling_config.schema.json",
        QUESTION_BANK: "question_bank.schema.json",
    }
)

_MOST_CHOICES = 12
_EXPECTED: Mapping[str, str] = MappingProxyType(
    {
        "minimum": "at least {}",
        "maximum": "at most {}",
        "exclusiveMinimum": "more than {}",
        "exclusiveMaximum": "less than {}",
        "minItems": "at least {} of them",
        "maxItems": "at most {} of them",
        "minLength": "at least {} character(s)",
        "maxLength": "at most {} characters",
        "pattern": "text of the form {}",
    }
)
_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "object": "keys with values",
        "array": "a list",
        "string": "text",
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "null": "null",
    }
)


def departures(document: Document, schemas_dir: Path) -> Iterator[Problem]:
    """Yield everything in a file that its reader would refuse.

    Args:
        document: The file; its name says which schema is meant.
        schemas_dir: The folder of the schemas that are generated from the workers' models.
    """
    for error in _validator(document.file, schemas_dir).iter_errors(document.value):
        yield from _explained(error, document)


@cache
def _validator(file: str, schemas_dir: Path) -> Draft202012Validator:
    from jsonschema import Draft202012Validator

    if file == WORKFLOW_CONFIG:
        return Draft202012Validator(_workflow_config())
    path = schemas_dir / "cookbooks" / _SCHEMA_FILES[file]
    return Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))


def _workflow_config() -> dict[str, Any]:
    """Return the schema of what setup draws from."""
    weight = {"type": "number", "minimum": 0}
    variables = {
        name: _closed(dict.fromkeys(values, weight), minProperties=1) for name, values in VOCABULARY.items()
    }
    sampling = _closed(
        {
            "n_augmentations": {"type": "integer", "minimum": 1},
            "variables": _closed(variables, minProperties=1),
        },
        required=["variables"],
    )
    return _closed({"augmentation": sampling}, required=["augmentation"])


def _closed(properties: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties, **more}


def _explained(error: ValidationError, document: Document) -> Iterator[Problem]:
    explain = {
        "required": _missing,
        "additionalProperties": _unknown,
        "enum": _not_among,
        "minProperties": _empty,
        "anyOf": _none_of,
    }.get(str(error.validator), _unfit)
    yield from explain(error, document, tuple(error.absolute_path), error.validator_value)


def _missing(error: ValidationError, document: Document, place: Place, wanted: Any) -> Iterator[Problem]:
    for name in wanted:
        if name not in error.instance:  # type: ignore[operator]
            yield document.problem(place, f"{_dotted((*place, name))} is missing", remedy="add the key")


def _unknown(error: ValidationError, document: Document, place: Place, _: Any) -> Iterator[Problem]:
    known = [*_properties(error)]
    for name in map(str, error.instance):  # type: ignore[arg-type]
        if name not in known:
            what = f"{_dotted((*place, name))} is not known{nearest(name, known)}"
            remedy = "correct the key or take it out"
            yield document.problem((*place, name), what, expected=_listed(known), remedy=remedy)


def _properties(error: ValidationError) -> Mapping[str, Any]:
    return error.schema["properties"] if isinstance(error.schema, Mapping) else {}


def _not_among(error: ValidationError, document: Document, place: Place, wanted: Any) -> Iterator[Problem]:
    what = f"{_dotted(place)} is {error.instance!r}{nearest(str(error.instance), map(str, wanted))}"
    yield document.problem(place, what, expected=_listed(wanted), remedy="choose one of these")


def _empty(_: ValidationError, document: Document, place: Place, __: Any) -> Iterator[Problem]:
    yield document.problem(place, f"{_dotted(place)} is empty", remedy="name at least one")


def _none_of(error: ValidationError, document: Document, place: Place, _: Any) -> Iterator[Problem]:
    """Explain what is wrong within the form that was meant; where none was, name all of them."""
    deeper = [one for one in error.context or () if one.validator != "type"]
    for one in deeper:
        yield from _explained(one, document)
    if not deeper:
        types = [one.validator_value for one in error.context or ()]
        yield _problem(error, document, place, _expected("type", types))


def _unfit(error: ValidationError, document: Document, place: Place, wanted: Any) -> Iterator[Problem]:
    yield _problem(error, document, place, _expected(str(error.validator), wanted))


def _problem(error: ValidationError, document: Document, place: Place, expected: str) -> Problem:
    what = f"{_dotted(place)} is {_shown(error.instance)}"
    return document.problem(place, what, expected=expected, remedy="correct it")


def _expected(rule: str, wanted: Any) -> str:
    if rule == "type":
        return " or ".join(_TYPES[name] for name in ([wanted] if isinstance(wanted, str) else wanted))
    return _EXPECTED.get(rule, f"{rule} {{}}").format(wanted)


def _listed(choices: Any) -> str:
    words = [str(choice) for choice in choices]
    more = f" and {len(words) - _MOST_CHOICES} more" if len(words) > _MOST_CHOICES else ""
    return f"one of {', '.join(words[:_MOST_CHOICES])}{more}"


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"  # noqa: PLR2004 - a line that can be read


def _dotted(place: Place) -> str:
    """Return a place as people write it: `augmentation.variables`, `questions[3].id`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return text.removeprefix(".") or "the file"
