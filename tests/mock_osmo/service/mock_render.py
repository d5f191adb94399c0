"""How the service makes a workflow of a template: two passes, default values, its own tokens kept."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jinja2
import jinja2.sandbox
import yaml
from mock_text import Refused

TOKEN = re.compile(r"\{\{(?:output|workflow_id|uuid|(?:input|host):[^{}]*)\}\}")
MARKERS = ("{%", "{{", "{#", "default-values")
TOP_LEVEL = ("workflow", "default-values", "version")


def is_template(text: str, version: str) -> bool:
    """Tell whether the CLI takes a file for a template; the released one misses a lone block."""
    markers = MARKERS if version != "6.3.1" else ("{%%", *MARKERS[1:])
    return any(marker in text for marker in markers)


def rendered(text: str, values: dict[str, Any]) -> str:
    """Return the text of the first pass; the same with no defaults in it is the second."""
    body, defaults = _sections(text)
    return _substituted(body, {**defaults, **values})


def _sections(text: str) -> tuple[str, dict[str, Any]]:
    keys = list(re.finditer(r"^([A-Za-z_][\w-]*):", text, re.MULTILINE))
    for key in keys:
        if key.group(1) not in TOP_LEVEL:
            raise Refused(f'Unknown top-level key "{key.group(1)}" found in the workflow spec.', code=400)
    at = next((key for key in keys if key.group(1) == "default-values"), None)
    if at is None:
        return text, {}
    after = next((key.start() for key in keys if key.start() > at.start()), len(text))
    defaults = yaml.safe_load(text[at.start() : after])["default-values"] or {}
    return text[: at.start()] + text[after:], defaults


def _substituted(text: str, values: dict[str, Any]) -> str:
    tokens: list[str] = []

    def hide(found: re.Match[str]) -> str:
        tokens.append(found.group())
        return f"\0{len(tokens) - 1}\0"

    environment = jinja2.sandbox.SandboxedEnvironment(undefined=jinja2.StrictUndefined)
    try:
        plain = environment.from_string(TOKEN.sub(hide, text)).render(values)
    except jinja2.TemplateSyntaxError as error:
        raise Refused(
            f"Jinja substitution failure: {type(error)}: {error.message}\n  line {error.lineno}", exit_code=1
        ) from error
    except (jinja2.TemplateError, TypeError) as error:
        raise Refused(f"Jinja substitution failure: {type(error)}: {error}", exit_code=1) from error
    return re.sub("\0(\\d+)\0", lambda found: tokens[int(found.group(1))], plain)


def parsed(text: str) -> Any:
    """Return the YAML of a rendered text."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Refused(f"Workflow spec is not properly formatted: {error}", exit_code=1) from error


def with_local_files(document: Any, folder: Path) -> Any:
    """Return the document with the files that `localpath` names read in."""
    for task in tasks_of(document):
        for file in task.get("files") or []:
            if "localpath" not in file:
                continue
            if "contents" in file:
                raise Refused("Files tag dont support contents and localpath together", code=1, exit_code=1)
            path = folder / file.pop("localpath")
            if not path.exists():
                raise Refused(f"The file/path {path} does not exist!", code=1, exit_code=1)
            file["contents"] = path.read_text()
    return document


def groups_of(document: Any) -> list[dict[str, Any]]:
    """Return a workflow's groups; a task on its own is a group of one."""
    workflow = document.get("workflow") or {}
    alone = [{"name": f"{task.get('name')}-group", "tasks": [task]} for task in workflow.get("tasks") or []]
    return [*(workflow.get("groups") or []), *alone]


def tasks_of(document: Any) -> list[dict[str, Any]]:
    """Return all tasks of a workflow."""
    return [task for group in groups_of(document) for task in group.get("tasks") or []]
