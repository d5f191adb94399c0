"""Begin a run: pick its flow from a name or from words, and keep what the user asked for."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from skill_tools.cookbooks.shelf import Cookbook, Shelf
from skill_tools.errors import InputError
from skill_tools.flows import intent
from skill_tools.flows.catalog import DEFAULT_FLOW, FLOWS, Flow, flow_named
from skill_tools.journal import RunRecord
from skill_tools.media.clips import find_clips
from skill_tools.media.probe import probe
from skill_tools.storage.url import check_dataset_name, derive, parse
from skill_tools.tool import Closed, Effects, Message, NextStep, Outcome, Tool
from skill_tools.tools.context import Context
from skill_tools.tools.fields import Line, Name, PathText, RunId, Url

MAX_CLIPS = 1_000
MAX_VARIANTS = 64
DEFAULT_COOKBOOK = "city_traffic"


class SelectFlowInput(Closed):
    """What the user wants, as far as it is known; everything may be left out."""

    request: Line = Field("", description="The user's own words, from which the flow is picked.")
    flow: Name | None = Field(None, description="A flow by its name, where the user gave one.")
    clips: Annotated[list[PathText], Field(max_length=MAX_CLIPS)] = Field(
        default_factory=list, description="The user's clips: files, folders or patterns."
    )
    dataset_url: Url | None = Field(None, description="The URL of a data set that is in a storage already.")
    storage_url: Url | None = Field(None, description="Where the clips are put for a run on OSMO.")
    dataset: Name | None = Field(None, description="A name for the data set; made from the clips otherwise.")
    cookbook: Name | None = Field(
        None, description="The scene's cookbook, the skill's or the workspace's; else city_traffic."
    )
    variants: int | None = Field(None, ge=1, le=MAX_VARIANTS, description="Variants of each clip.")
    variables: dict[Name, Name] = Field(
        default_factory=dict, max_length=16, description="Values to fix, such as weather: rain."
    )
    engine: Literal["auto", "local", "osmo"] | None = Field(None, description="Where the run goes.")
    vlm_url: Url | None = Field(None, description="An endpoint of the user's own for a VLM.")
    llm_url: Url | None = Field(None, description="An endpoint of the user's own for an LLM.")


class SelectFlowOutput(Closed):
    """The run that was begun."""

    run_id: RunId
    flow: Name
    workflow_file: Line
    groups: list[Name]
    engine: Name
    engine_reason: Line
    cookbook: Name
    n_augmentations: int
    variables: dict[Name, Name]
    clips: list[PathText]
    dataset: Name | None
    dataset_url: Url | None
    storage_url: Url | None
    demo: bool


def select_flow(given: SelectFlowInput, context: Context) -> Outcome[SelectFlowOutput]:
    """Check all that was given, then write the run's record; nothing is written when anything is wrong."""
    flow = flow_named(given.flow or intent.choose(given.request).flow or DEFAULT_FLOW)
    cookbook = Shelf.of(context.settings).named(given.cookbook or DEFAULT_COOKBOOK)
    cookbook.check_variables(given.variables)
    clips = _checked_clips(given)
    if given.dataset:
        check_dataset_name(given.dataset)
    if given.dataset_url:
        derive(given.dataset_url)
    engine, reason = context.engines.choose(given.engine or context.settings.engine)
    storage_url = _checked_storage(given, engine)
    record = RunRecord(
        run_id=f"run-{secrets.token_hex(4)}",
        created=time.time(),
        flow=flow.name,
        workflow_file=f"assets/configs/osmo/{flow.file}",
        engine="osmo" if engine == "osmo" else "local",
        engine_reason=reason,
        cookbook=cookbook.name,
        dataset=given.dataset,
        dataset_url=given.dataset_url,
        storage_url=storage_url,
        clips=clips,
        demo=not clips and not given.dataset_url,
        n_augmentations=_variants(given, cookbook, flow),
        variables=given.variables,
        vlm_url=given.vlm_url or "",
        llm_url=given.llm_url or "",
        request=given.request,
    )
    context.journal.start(record)
    return _outcome(record)


def _checked_clips(given: SelectFlowInput) -> tuple[str, ...]:
    """Return the user's clips as absolute paths, each of which opened and gave a frame."""
    if given.clips and given.dataset_url:
        raise InputError(
            "Both clips and a data set's URL were given",
            expected="one of the two",
            remedy="leave one out",
            code="input.two_inputs",
        )
    if not given.clips:
        return ()
    found = find_clips(given.clips)
    if len(found) > MAX_CLIPS:
        raise InputError(
            f"{len(found)} clips are too many for one run",
            expected=f"at most {MAX_CLIPS}",
            remedy="split them over several runs",
            code="input.too_many_clips",
        )
    for clip in found:
        probe(clip)
    return tuple(str(Path(clip).resolve()) for clip in found)


def _checked_storage(given: SelectFlowInput, engine: str) -> str | None:
    """Return the storage that the clips are put into, one that the engine can reach.

    Raises:
        InputError: it is no storage's URL, it is none of this engine's, or the data set has its own.
    """
    if given.storage_url is None:
        return None
    storage = parse(given.storage_url)
    if given.dataset_url:
        raise InputError(
            "Both a data set's URL and a storage's URL were given",
            expected="the data set's URL, which says where the storage is, or clips and a storage",
            remedy="leave storage_url out",
            code="input.two_inputs",
        )
    if (storage.scheme == "file") != (engine == "local"):
        raise InputError(
            f"{given.storage_url} is no storage of the {engine} engine",
            expected="file:///folder" if engine == "local" else "s3://, azure://, gs://, swift:// or tos://",
            remedy="leave storage_url out, or choose the other engine",
            code="input.storage_url",
        )
    return str(storage)


def _variants(given: SelectFlowInput, cookbook: Cookbook, flow: Flow) -> int:
    """Return how many variants of each clip are made; 1 stands for none where the flow makes none."""
    if flow.has_augmentation:
        return given.variants or cookbook.n_augmentations
    if given.variants or given.variables:
        makers = [name for name, known in FLOWS.items() if known.has_augmentation]
        raise InputError(
            f"{flow.name} makes no variants, and {'variants' if given.variants else 'variables'} were given",
            expected=f"a flow that makes variants: {', '.join(makers)}",
            remedy="choose such a flow, or leave variants and variables out",
            code="input.no_variants",
        )
    return 1


def _outcome(record: RunRecord) -> Outcome[SelectFlowOutput]:
    flow = FLOWS[record.flow]
    what = f"{len(record.clips)} clip(s)" if record.clips else record.dataset_url or "the demo data set"
    data = SelectFlowOutput(
        run_id=record.run_id,
        flow=flow.name,
        workflow_file=record.workflow_file,
        groups=list(flow.groups),
        engine=record.engine,
        engine_reason=record.engine_reason,
        cookbook=record.cookbook,
        n_augmentations=record.n_augmentations,
        variables=record.variables,
        clips=list(record.clips),
        dataset=record.dataset,
        dataset_url=record.dataset_url,
        storage_url=record.storage_url,
        demo=record.demo,
    )
    text = f"{record.run_id}: {flow.name} on the {record.engine} engine ({record.engine_reason}), for {what}."
    step = NextStep(
        tool="estimate_time",
        arguments={"run_id": record.run_id, "go_on": True},
        why="gives the time overview first",
    )
    return Outcome(data, record.run_id, messages=[Message(body=text)], next=[step])


SELECT_FLOW = Tool(
    name="select_flow",
    summary="Begin a run: pick the flow from the user's words or name, keep clips, cookbook and values.",
    input_model=SelectFlowInput,
    output_model=SelectFlowOutput,
    effects=Effects(writes_local=True, idempotent=False),
    steps=select_flow,
    guards=("SECRET-SILENT", "FLOW-SCOPE", "FLOW-INTENT", "FLOW-DEFAULT", "FLOW-ALIAS", "INPUT-DEMO"),
)
