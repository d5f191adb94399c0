"""A worker's configuration as it was given: a YAML file, and `key=value` overrides laid over it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from skill_tools.errors import InputError

TEXT_SECTIONS = ("data.", "endpoints.", "models.", "prompts.")
"""Their values are paths, names and URLs: what YAML would make of 007, [a].mp4 or `a: b` is not meant."""


def read_document(file: Path | None, overrides: Sequence[str]) -> Any:
    """Return what `file` and the overrides say together, not yet checked against any model.

    Raises:
        InputError: `input.config_missing`, `input.config_invalid` or `input.override`.
    """
    try:
        given = [] if file is None else [OmegaConf.load(file)]
        # Unsafe is it for what it is given, which nobody else sees; an empty mapping takes mappings alone.
        merged = OmegaConf.unsafe_merge({}, *given, *map(_override, overrides))
        return OmegaConf.to_container(merged, resolve=True)
    except FileNotFoundError as error:
        raise InputError(
            f"The configuration {file} does not exist",
            expected="a YAML file",
            remedy="check --config",
            code="input.config_missing",
        ) from error
    except (OSError, OmegaConfBaseException, YAMLError, TypeError, ValueError) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(
            f"The configuration {file or 'in the overrides'} can't be read: {first}",
            expected="a YAML mapping, and overrides like section.key=value",
            remedy="check the file and the quoting",
            code="input.config_invalid",
        ) from error


def _override(text: str) -> Any:
    key, equals, value = text.partition("=")
    if not equals or not key.strip("."):
        raise InputError(
            f"{text!r} is no override",
            expected="key=value with a dotted key, as in section.key=30",
            remedy="put options before the overrides, and a value after the sign",
            code="input.override",
        )
    if not key.startswith(TEXT_SECTIONS):
        return OmegaConf.from_dotlist([text])
    tree: Any = value.replace("${", "\\${")  # what only looks like a reference to another key is text too
    for part in reversed(key.split(".")):
        tree = {part: tree}
    return OmegaConf.create(tree)
