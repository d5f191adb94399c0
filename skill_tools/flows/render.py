"""Fill in a workflow file as OSMO does: Jinja in a sandbox, its own tokens left alone, files read in.

OSMO renders twice. The first pass has the file's `default-values` under the submit values. Then the
client reads the files named by `localpath` in, and the whole is rendered again with the submit values
alone, so Jinja in an injected script is resolved, or refused, as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from skill_tools.errors import InputError
from skill_tools.flows.spec import ALL_SCHEMES, WorkflowSpec, parse
from skill_tools.flows.values import stand_in_values

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times as fast, where it was built
JINJA_MARKERS = ("{{", "{%", "{#")

_TOKEN = re.compile(r"\{\{(?:output|workflow_id|uuid|(?:input|host):[^{}]*)\}\}")
_TOP_LEVEL_KEY = re.compile(r"^([A-Za-z_][\w-]*):", re.MULTILINE)
_SECTIONS = frozenset({"workflow", "version", "default-values"})
_BREAKS_YAML = re.compile(r'["\\\x00-\x1f\x7f\x85\u2028\u2029]|:(?:\s|$)|(?:^|\s)#|\{[{%#]')


def render(text: str, values: Mapping[str, str]) -> str:
    """Return the workflow text after OSMO's first pass: values in, `default-values` gone, tokens kept.

    Raises:
        InputError: `input.undefined_variable` names what is missing, `input.template` a mistake in the
            Jinja, `input.unsafe_value` a value that would break the YAML it is pasted into.
    """
    _refuse_unsafe(values)
    if not is_templated(text):
        return text
    body, defaults = _split(text)
    return _substitute(body, {**defaults, **values}, "the workflow")


def is_templated(text: str) -> bool:
    """Tell whether OSMO takes a text for a template."""
    return "default-values" in text or any(marker in text for marker in JINJA_MARKERS)


def variables(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return (required, optional) names of submit values that a workflow file reads."""
    from jinja2 import TemplateSyntaxError, meta

    body, defaults = _split(text)
    guarded, _ = _guard_tokens(body)
    try:
        used = meta.find_undeclared_variables(_environment().parse(guarded))
    except TemplateSyntaxError as error:
        raise _template_error(error, "the workflow") from error
    used -= set(_environment().globals)
    return frozenset(used - defaults.keys()), frozenset(defaults)


def load_workflow(
    path: Path, values: Mapping[str, str], *, schemes: frozenset[str] = ALL_SCHEMES
) -> WorkflowSpec:
    """Return the workflow that OSMO would run: rendered, its local files read in, checked.

    `schemes` are those that its URLs may have.

    Raises:
        InputError: for a missing file, a value or variable that doesn't fit, YAML that can't be
            read, or anything that OSMO would refuse (`input.workflow_spec`, one violation a line).
    """
    document = load_document(path, values)
    return parse(document, schemes=schemes)


def load_document(path: Path, values: Mapping[str, str]) -> object:
    """Return the parsed workflow file after both of OSMO's passes, not yet checked."""
    rendered = render(_read(path, "workflow file"), values)
    document = _parsed(rendered, f"{path.name}, rendered")
    return _second_pass(_with_files(document, path.parent), values, where="")


def images_in(path: Path, skill_dir: Path) -> tuple[str, ...]:
    """Return the images of a workflow file's tasks, each once, whatever else the file holds.

    Submit values that it asks for are stood in for; the files that it names are not read.

    Raises:
        InputError: it can't be read, rendered or parsed.
    """
    text = _read(path, "workflow file")
    required, _ = variables(text) if is_templated(text) else (frozenset(), frozenset())
    values = dict.fromkeys(required, "not-given") | stand_in_values(skill_dir)
    document = _parsed(render(text, values), f"{path.name}, rendered")
    workflow = document.get("workflow") if isinstance(document, Mapping) else None
    listed = workflow if isinstance(workflow, Mapping) else {}
    groups = [group for group in listed.get("groups") or () if isinstance(group, Mapping)]
    tasks = [task for of in (listed, *groups) for task in of.get("tasks") or () if isinstance(task, Mapping)]
    return tuple(dict.fromkeys(str(task["image"]) for task in tasks if task.get("image")))


def resolve_tokens(
    text: str,
    *,
    output: str,
    inputs: Sequence[str],
    input_names: Mapping[str, int],
    workflow_id: str,
    hosts: Mapping[str, str],
) -> str:
    """Replace OSMO's tokens as the service does for one task; what matches nothing stays as it is.

    Args:
        text: a string of the task, or the contents of one of its files.
        output: replaces `{{output}}`.
        inputs: `inputs[N]` replaces `{{input:N}}`.
        input_names: task name to N, for `{{input:TASK}}`.
        workflow_id: replaces `{{workflow_id}}`.
        hosts: task name to host, for `{{host:TASK}}`; tasks of the same group only.
    """

    def replacement(match: re.Match[str]) -> str:
        kind, _, key = match[0][2:-2].partition(":")
        if kind == "output":
            return output
        if kind == "workflow_id":
            return workflow_id
        if kind == "host":
            return hosts.get(key, match[0])
        if kind == "input":
            number = int(key) if key.isdecimal() else input_names.get(key, len(inputs))
            return inputs[number] if number < len(inputs) else match[0]
        return match[0]

    return _TOKEN.sub(replacement, text)


def _refuse_unsafe(values: Mapping[str, str]) -> None:
    for name, value in values.items():
        found = _BREAKS_YAML.search(value)
        if found:
            raise InputError(
                f"The value of {name} holds {found[0]!r}, which breaks the workflow that it is pasted into.",
                expected='no ", \\, line break, ": ", " #" or Jinja braces in a submit value',
                remedy=f"give {name} without it",
                code="input.unsafe_value",
            )


def _split(text: str) -> tuple[str, dict[str, Any]]:
    """Part the text into what is rendered and the mapping under `default-values`."""
    heads = list(_TOP_LEVEL_KEY.finditer(text))
    body, defaults_text = text[: heads[0].start()] if heads else text, ""
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        if head[1] not in _SECTIONS:
            raise InputError(
                f'Unknown top-level key "{head[1]}" found in the workflow spec.',
                expected="workflow, version and default-values at the left margin, nothing else",
                code="input.workflow_spec",
            )
        section = text[head.start() : following.start() if following else len(text)]
        if head[1] == "default-values":
            defaults_text = section
        else:
            body += section
    loaded = _parsed(defaults_text, "default-values") if defaults_text else {}
    defaults = loaded.get("default-values") if isinstance(loaded, dict) else None
    if defaults is not None and not isinstance(defaults, dict):
        raise InputError("default-values is not a mapping of names to values.", code="input.workflow_yaml")
    return body, defaults or {}


def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    return SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)


def _guard_tokens(text: str) -> tuple[str, Callable[[str], str]]:
    """Hide OSMO's tokens from Jinja; the second value puts them back."""
    tokens: list[str] = []

    def hide(match: re.Match[str]) -> str:
        tokens.append(match[0])
        return f"\ue000{len(tokens) - 1}\ue001"

    def restore(rendered: str) -> str:
        return re.sub("\ue000(\\d+)\ue001", lambda match: tokens[int(match[1])], rendered)

    return _TOKEN.sub(hide, text), restore


def _substitute(text: str, data: Mapping[str, Any], where: str) -> str:
    from jinja2 import TemplateError, UndefinedError

    guarded, restore = _guard_tokens(text)
    try:
        return restore(_environment().from_string(guarded).render(data))
    except UndefinedError as error:
        raise InputError(
            f"{error.message or error} ({where}).",
            expected=f"one of the values given: {', '.join(sorted(data)) or 'none'}",
            remedy="add it as a pair name=value of the one --set-string, or correct the name in the file",
            code="input.undefined_variable",
        ) from error
    except (TemplateError, ArithmeticError, TypeError, ValueError) as error:
        raise _template_error(error, where) from error


def _template_error(error: Exception, where: str) -> InputError:
    from jinja2 import TemplateSyntaxError

    line = f", line {error.lineno}" if isinstance(error, TemplateSyntaxError) else ""
    return InputError(
        f"Jinja can't render {where}{line}: {error}.",
        expected="Jinja that OSMO's sandbox takes; a token such as {{output}} has no space in its braces",
        remedy="correct the file; text that only looks like Jinja goes between {% raw %} and {% endraw %}",
        code="input.template",
    )


def _parsed(text: str, where: str) -> Any:
    try:
        return yaml.load(text, _LOADER)  # noqa: S506 - one of the two safe loaders
    except yaml.YAMLError as error:
        raise InputError(
            f"Workflow spec is not properly formatted ({where}): {error}.",
            expected="YAML",
            remedy="correct the file, or the value that was pasted into it",
            code="input.workflow_yaml",
        ) from error


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The {what} {path} can't be read: {getattr(error, 'strerror', None) or error}.",
            expected="an existing UTF-8 text file; localpath counts from the workflow file's folder",
            remedy="check the path, and skills_dir if it begins with it",
            code="input.workflow_file",
        ) from error


def _with_files(node: Any, folder: Path) -> Any:
    """Replace each `localpath` beside a `path` by the contents of that file."""
    if isinstance(node, list):
        return [_with_files(item, folder) for item in node]
    if not isinstance(node, dict):
        return node
    local = node.get("localpath")
    if isinstance(local, str) and "path" in node and "contents" not in node:
        others = {key: value for key, value in node.items() if key != "localpath"}
        return {**others, "contents": _read(folder / local, "local file")}
    return {key: _with_files(value, folder) for key, value in node.items()}


def _second_pass(node: Any, values: Mapping[str, str], where: str) -> Any:
    if isinstance(node, dict):
        return {key: _second_pass(value, values, f"{where}.{key}") for key, value in node.items()}
    if isinstance(node, list):
        return [_second_pass(item, values, f"{where}.{index}") for index, item in enumerate(node)]
    if isinstance(node, str) and any(marker in node for marker in JINJA_MARKERS):
        return _substitute(node, values, f"{where.lstrip('.')}, in OSMO's second pass")
    return node
