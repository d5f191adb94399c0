"""TOOLS, the one frozen list of tools, and `call`, which gets a call onto its road."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from pydantic import JsonValue

from skill_tools.access.secrets import known_secrets
from skill_tools.engines.here import EnginesHere
from skill_tools.errors import InputError, VdaError
from skill_tools.journal import Journal
from skill_tools.settings import Settings
from skill_tools.tool import AnyTool, Problem, ToolResult, first_calls
from skill_tools.tools.cancel import CANCEL
from skill_tools.tools.check_message import CHECK_MESSAGE
from skill_tools.tools.check_submission import CHECK_SUBMISSION
from skill_tools.tools.context import Context, Note, masked
from skill_tools.tools.derive_storage_url import DERIVE_STORAGE_URL
from skill_tools.tools.ensure_cache import ENSURE_CACHE
from skill_tools.tools.ensure_endpoints import ENSURE_ENDPOINTS
from skill_tools.tools.estimate_time import ESTIMATE_TIME
from skill_tools.tools.inspect_engine import INSPECT_ENGINE
from skill_tools.tools.logs import LOGS
from skill_tools.tools.poll import POLL
from skill_tools.tools.preflight import PREFLIGHT
from skill_tools.tools.prepare_dataset import PREPARE_DATASET
from skill_tools.tools.prepare_demo import PREPARE_DEMO
from skill_tools.tools.preview import PREVIEW
from skill_tools.tools.render_compare import RENDER_COMPARE
from skill_tools.tools.report import REPORT
from skill_tools.tools.run import run_tool
from skill_tools.tools.select_flow import SELECT_FLOW
from skill_tools.tools.stage_artifacts import STAGE_ARTIFACTS
from skill_tools.tools.submit import SUBMIT
from skill_tools.tools.walking import take

# In the order in which a run uses them.
STEPS: Mapping[str, AnyTool] = MappingProxyType(
    {
        tool.name: tool
        for tool in (
            SELECT_FLOW,
            ESTIMATE_TIME,
            PREFLIGHT,
            ENSURE_ENDPOINTS,
            DERIVE_STORAGE_URL,
            PREPARE_DEMO,
            PREPARE_DATASET,
            CHECK_SUBMISSION,
            ENSURE_CACHE,
            SUBMIT,
            POLL,
            LOGS,
            CANCEL,
            STAGE_ARTIFACTS,
            RENDER_COMPARE,
            REPORT,
            CHECK_MESSAGE,
            PREVIEW,
            INSPECT_ENGINE,
        )
    }
)
RUN = run_tool(STEPS)
TOOLS: Mapping[str, AnyTool] = MappingProxyType({RUN.name: RUN, **STEPS})


def call(
    name: str,
    arguments: Mapping[str, JsonValue] | None = None,
    *,
    settings: Settings | None = None,
    on_note: Callable[[Note], None] | None = None,
) -> ToolResult:
    """Call a tool by name.

    Args:
        name: One of `TOOLS`.
        arguments: The tool's input, as its schema says.
        settings: Where to work; read from the process otherwise.
        on_note: Is told how far long work is.

    Returns:
        The result; what a caller did wrong is in its `problem`, never an exception.
    """
    if name not in TOOLS:
        return _unknown_tool(name)
    try:
        given = _object({} if arguments is None else arguments)
        with opened(settings or Settings.read(), on_note) as context:
            return take(name, given, TOOLS, context)
    except VdaError as error:
        return failed(name, error)


@contextmanager
def opened(settings: Settings, on_note: Callable[[Note], None] | None = None) -> Iterator[Context]:
    """Open the context of a workspace, and close its journal behind it."""
    journal = Journal(settings.journal_file)
    engines = EnginesHere(settings)
    try:
        yield Context(settings, journal, engines, on_note) if on_note else Context(settings, journal, engines)
    finally:
        journal.close()


def failed(tool: str, error: VdaError) -> ToolResult:
    """Return the result of a call that never got onto its road, without any secret of the environment."""
    problem = Problem.of(error)
    result = ToolResult(ok=False, tool=tool, status=problem.status, problem=problem, next=first_calls(error))
    return masked(result, known_secrets(os.environ))


def _object(arguments: object) -> Mapping[str, JsonValue]:
    """Return arguments that a model or a command line has written, if they are an object at all.

    Raises:
        InputError: they are a list, a text or something else.
    """
    if isinstance(arguments, Mapping):
        return arguments
    raise InputError(
        f"The arguments are no JSON object but of the type {type(arguments).__name__}",
        expected="an object from argument to value, or nothing",
        remedy="give each value its argument's name",
        code="input.json",
    )


def _unknown_tool(name: str) -> ToolResult:
    near = difflib.get_close_matches(name, TOOLS, n=1)
    error = InputError(
        f"There is no tool {name!r}",
        expected=", ".join(TOOLS),
        remedy=f"did you mean {near[0]!r}?" if near else "`vda tools` lists them",
        code="input.unknown_tool",
    )
    return failed(name, error)
