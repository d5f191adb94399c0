"""Look at what the engine has: pools, credentials' names, pod templates, objects in the storage."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from pydantic import Field, JsonValue, TypeAdapter

from skill_tools.errors import InputError
from skill_tools.tool import Closed, Effects, Message, Outcome, Tool
from skill_tools.tools.context import Context
from skill_tools.tools.fields import Name, RunId, Url

MAX_ITEMS = 2_000
_JSON: TypeAdapter[list[JsonValue]] = TypeAdapter(list[JsonValue])


class InspectEngineInput(Closed):
    """What to look at; `url` says where for `storage`."""

    what: Literal["pools", "credentials", "pod_templates", "storage"]
    url: Url | None = None
    run_id: RunId | None = None


class InspectEngineOutput(Closed):
    """What there is, cut at a bound."""

    engine: Name
    items: Annotated[list[JsonValue], Field(max_length=MAX_ITEMS)]
    count: int


def inspect_engine(given: InspectEngineInput, context: Context) -> Outcome[InspectEngineOutput]:
    """Ask the engine and list what it says."""
    run = context.journal.run(given.run_id) if given.run_id else None
    name = run.engine if run else context.engines.choose(context.settings.engine)[0]
    engine = context.engines.named(name)
    if given.what == "storage":
        if given.url is None:
            raise InputError("No URL was given", expected="url, of the folder to list", code="input.no_url")
        found: list[object] = [asdict(item) for item in engine.list(given.url)]
    elif given.what == "pod_templates":
        found = [{"name": name, "template": body} for name, body in engine.pod_templates().items()]
    else:
        listed = engine.pools() if given.what == "pools" else engine.credentials()
        found = [asdict(item) for item in listed]
    items = _JSON.validate_python(TypeAdapter(list[object]).dump_python(found, mode="json"))
    data = InspectEngineOutput(engine=engine.name, items=items[:MAX_ITEMS], count=len(items))
    text = f"{len(items)} {given.what.replace('_', ' ')} on the {engine.name} engine."
    return Outcome(data, run.run_id if run else None, messages=[Message(body=text)])


INSPECT_ENGINE = Tool(
    name="inspect_engine",
    summary="List the engine's pools, credentials' names, pod templates or stored objects.",
    input_model=InspectEngineInput,
    output_model=InspectEngineOutput,
    effects=Effects(read_only=True),
    steps=inspect_engine,
    guards=("SECRET-SILENT",),
)
