"""The guard: build the values of a submit, render the workflow with them, and look at all that matters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from skill_tools.cookbooks.shelf import Shelf
from skill_tools.engines.base import Engine, SubmitRequest
from skill_tools.errors import InputError, VdaError
from skill_tools.flows import render
from skill_tools.flows.catalog import CACHE_WORKFLOW, FLOWS, canonical_name
from skill_tools.flows.configs import plan_batches
from skill_tools.flows.spec import WorkflowSpec
from skill_tools.flows.values import OPTIONAL_VALUES, REQUIRED_VALUES, ValuesOf, stand_in_values
from skill_tools.journal import RunRecord
from skill_tools.policy.submission import CACHE_URLS, PLATFORM_CHECK
from skill_tools.storage.url import Layout, is_stem
from skill_tools.tool import Closed, Effects, Message, NextStep, Outcome, Problem, Tool
from skill_tools.tools.context import Context, Note
from skill_tools.tools.fields import Line, Name, PathText, RunId, Stem, Values
from skill_tools.tools.workflow_files import workflow_file

LABELING_FILES = ("auto_labeling_config.yaml", "event_analysis.md", "question_bank.json")
AUGMENTATION_FILES = (
    "augmentation.yaml",
    "prompt_polishing_system_prompt.md",
    "template_generation_system_prompt.md",
)


class CheckSubmissionInput(Closed):
    """A run, or a workflow file with the values that would be submitted with it."""

    run_id: RunId | None = None
    workflow: PathText | None = Field(None, description="A workflow file, one of the skill's or another.")
    values: Values = Field(default_factory=dict)


class GuardCheck(Closed):
    """One thing that the guard looked at."""

    name: Name
    ok: bool
    detail: Line = ""


class PlannedBatch(Closed):
    """One workflow of the run."""

    batch: Name
    videos: list[Stem]
    tasks: list[Name]
    values: Values


class CheckSubmissionOutput(Closed):
    """What the guard saw. `complete` says that a submit of these values may follow."""

    complete: bool
    workflow: PathText
    pool: Name | None
    cache_full: bool | None
    checks: list[GuardCheck]
    batches: Annotated[list[PlannedBatch], Field(max_length=1_000)]


def check_submission(given: CheckSubmissionInput, context: Context) -> Outcome[CheckSubmissionOutput]:
    """Check a run's values, given values, or the bare file, whichever there is."""
    file = workflow_file(given.workflow, context.settings) if given.workflow else None
    run = _run_meant(given, file, context)
    if run is not None:
        return _guard_run(run, file, context)
    if file is None:
        raise InputError(
            "There is no run and no workflow to check",
            expected="run_id, or workflow with or without values",
            remedy="begin a run with select_flow, or name a workflow file",
            code="input.nothing_to_check",
        )
    return _guard_file(file, given, context)


def _run_meant(given: CheckSubmissionInput, file: Path | None, context: Context) -> RunRecord | None:
    """Return the run that is named, or the open one of a flow's own file; values stand for themselves."""
    if given.run_id:
        return context.journal.run(given.run_id)
    own = file is None or file.parent == context.settings.workflows_dir.resolve()
    if given.values or not own:
        return None
    return context.open_run(None, canonical_name(file.stem) if file else None)


def _guard_run(run: RunRecord, named: Path | None, context: Context) -> Outcome[CheckSubmissionOutput]:
    engine, flow = context.engine(run), FLOWS[run.flow]
    folder = context.settings.workflows_dir
    if named and (canonical_name(named.stem) != flow.name or named.parent != folder.resolve()):
        raise InputError(
            f"{run.run_id} is a run of {flow.name} as it was delivered, not of {named}",
            expected=run.workflow_file,
            remedy="begin another run with select_flow",
            code="input.other_flow",
        )
    preflight = context.passed(run.run_id, "preflight")
    dataset = context.passed(run.run_id, "prepare_dataset")
    layout = Layout(dataset["storage_url"], dataset["dataset"], run.run_id)
    values = ValuesOf(
        layout=layout,
        gpu_platform=preflight["platform"],
        skills_dir=context.settings.skill_dir,
        cookbook=Shelf.of(context.settings).submit_value(run.cookbook),
        n_augmentations=run.n_augmentations,
        variables=run.variables,
        vlm_url=run.vlm_url,
        llm_url=run.llm_url,
        credentials=frozenset(preflight["credentials"]),
    )
    videos = [clip["video"] for clip in dataset["clips"]]
    file = folder / flow.file
    planned: list[PlannedBatch] = []
    checks: list[GuardCheck] = []
    sizes_asked: set[int] = set()
    workers = _workers(run, len(videos), preflight)
    for batch in plan_batches(videos, run.n_augmentations, flow, workers=workers):
        batch_values = replace(values, workers=batch.workers).for_batch(batch.index, batch.videos)
        tasks, found = _checked_workflow(file, batch_values)
        if found[0].ok and len(tasks) not in sizes_asked:
            # Workflows of one size differ in their clips' names alone, which the engine doesn't look at.
            sizes_asked.add(len(tasks))
            context.on_note(Note("guard", len(planned), text=f"batch {batch.index}"))
            found += _engine_checks(engine, file, batch_values, preflight["pool"])
        checks += [check for check in found if not check.ok or batch.index == 0]
        planned.append(
            PlannedBatch(batch=str(batch.index), videos=list(batch.videos), tasks=tasks, values=batch_values)
        )
    checks.append(_dataset_check(engine, layout, videos))
    cache_full = all(engine.list(url) for url in (layout.cosmos_cache_url, layout.labeling_cache_url))
    return _verdict(run, file, preflight["pool"], checks, planned, cache_full=cache_full)


def _workers(run: RunRecord, clips: int, preflight: dict[str, Any]) -> int | None:
    """Return the most workers a group may have, None where nothing limits them.

    On this machine one: more would only share the same few cores. On a cluster as many as the pool has GPUs:
    a group's tasks start together, so a larger group would wait for ever.
    """
    if run.engine == "local":
        return 1
    gpus, wanted = preflight.get("gpus"), clips * max(run.n_augmentations, 1)
    return gpus if gpus is not None and gpus < wanted else None


def _checked_workflow(file: Path, values: dict[str, str]) -> tuple[list[str], list[GuardCheck]]:
    """Render a workflow with its values; return its tasks and what was looked at in it."""
    try:
        spec = render.load_workflow(file, values)
    except InputError as error:
        return [], [GuardCheck(name="workflow", ok=False, detail=error.message[:2_000])]
    tasks = [task for group in spec.groups for task in group.tasks]
    names = [task.name for task in tasks]
    off_platform = sorted(
        name
        for name, resource in spec.resources.items()
        if resource.platform not in {None, values["gpu_platform"]}
    )
    bad_stems = [video for video in values["video"].split(",") if not is_stem(video)]
    return names, [
        GuardCheck(name="workflow", ok=True, detail=f"{file.name}: {len(names)} tasks"),
        GuardCheck(name="setup task", ok="setup" in names),
        _files_check(spec, names),
        GuardCheck(name="VIDEO_NAME", ok=not bad_stems, detail=", ".join(bad_stems)),
        GuardCheck(name=PLATFORM_CHECK, ok=not off_platform, detail=", ".join(off_platform)),
        GuardCheck(
            name="cache URLs",
            ok=all(values.get(key) for key in CACHE_URLS),
        ),
    ]


def _files_check(spec: WorkflowSpec, tasks: list[str]) -> GuardCheck:
    """Look whether setup brings the cookbook's files that the workflow's tasks read."""
    wanted: tuple[str, ...] = ()
    if any(name.startswith("pl_") for name in tasks):
        wanted += LABELING_FILES
    if any(name.startswith("cosmos_") for name in tasks):
        wanted += AUGMENTATION_FILES
    setup = [task for group in spec.groups for task in group.tasks if task.name == "setup"]
    brought = {Path(file.path).name for task in setup for file in task.files}
    missing = [name for name in wanted if name not in brought]
    return GuardCheck(name="cookbook files in setup", ok=not missing, detail=", ".join(missing))


def _engine_checks(engine: Engine, file: Path, values: dict[str, str], pool: str) -> list[GuardCheck]:
    objections = engine.validate(SubmitRequest(file, values, pool))
    return [GuardCheck(name=f"{engine.name} engine", ok=not objections, detail="; ".join(objections)[:2_000])]


def _dataset_check(engine: Engine, layout: Layout, videos: list[str]) -> GuardCheck:
    listed = {found.path for found in engine.list(layout.dataset_url)}
    missing = [video for video in videos if f"{video}.mp4" not in listed]
    detail = f"{len(videos)} clip(s) at {layout.dataset_url}" if not missing else f"missing: {missing[:5]}"
    return GuardCheck(name="data set", ok=not missing, detail=detail)


def _verdict(
    run: RunRecord,
    file: Path,
    pool: str,
    checks: list[GuardCheck],
    planned: list[PlannedBatch],
    *,
    cache_full: bool,
) -> Outcome[CheckSubmissionOutput]:
    red = [check for check in checks if not check.ok]
    data = CheckSubmissionOutput(
        complete=not red and cache_full,
        workflow=str(file),
        pool=pool,
        cache_full=cache_full,
        checks=checks,
        batches=planned,
    )
    if red:
        return Outcome(data, run.run_id, problem=_red(red))
    tasks = sum(len(batch.tasks) for batch in planned)
    text = f"Guard: green. {len(planned)} workflow(s) with {tasks} tasks would be submitted to {pool}."
    arguments = {"run_id": run.run_id}
    if not cache_full:
        step = NextStep(tool="ensure_cache", arguments=arguments, why="fills the model caches")
        return Outcome(
            data,
            run.run_id,
            messages=[Message(body="Guard: green but for the model caches, which are filled first.")],
            next=[step],
        )
    step = NextStep(tool="submit", arguments=arguments, why="submits what was checked")
    return Outcome(data, run.run_id, messages=[Message(body=text)], next=[step])


def _red(red: list[GuardCheck]) -> Problem:
    return Problem(
        code="input.guard",
        message="; ".join(f"{check.name}: {check.detail or 'not as it should be'}" for check in red),
        expected="every check of the guard green",
        remedy="mend what is named and call check_submission again",
        retry="after_fix",
    )


def _guard_file(file: Path, given: CheckSubmissionInput, context: Context) -> Outcome[CheckSubmissionOutput]:
    """Check a workflow file with given values, or the raw template where values are missing."""
    known = {*REQUIRED_VALUES, *OPTIONAL_VALUES}
    unknown = sorted(given.values.keys() - known)
    if unknown:
        raise InputError(
            f"{unknown[0]!r} is no submit value",
            expected=", ".join((*REQUIRED_VALUES, *OPTIONAL_VALUES)),
            remedy="leave it out or correct its name",
            code="input.unknown_value",
        )
    missing = [key for key in REQUIRED_VALUES if not given.values.get(key)]
    known_values = {key: value for key, value in given.values.items() if value}
    values = stand_in_values(context.settings.skill_dir) | known_values
    tasks, checks = _checked_workflow(file, values)
    if not missing:
        checks += _storage_checks(values, context)
    data = CheckSubmissionOutput(
        complete=False,
        workflow=str(file),
        pool=None,
        cache_full=None,
        checks=checks,
        batches=[PlannedBatch(batch="0", videos=[], tasks=tasks, values=given.values)],
    )
    red = [check for check in checks if not check.ok]
    text = f"{file.name}: {len(tasks)} tasks, structure {'green' if not red else 'red'}."
    if missing:
        text += f" Not given, so not checked: {', '.join(missing)}."
    return Outcome(data, None, messages=[Message(body=text)], problem=_red(red) if red else None)


def _storage_checks(values: dict[str, str], context: Context) -> list[GuardCheck]:
    """Look at the data set and the caches of values that no run stands behind."""
    engine = context.engines.named("local" if values["storage_url"].startswith("file://") else "osmo")
    layout = Layout(values["storage_url"], values["dataset"], values["run_id"])
    try:
        empty = [values[key] for key in CACHE_URLS if not engine.list(values[key])]
        found = _dataset_check(engine, layout, values["video"].split(","))
    except VdaError as error:
        return [GuardCheck(name="data set", ok=False, detail=error.message[:2_000])]
    told = f"{', '.join(empty)} holds nothing; a run's ensure_cache fills it with {CACHE_WORKFLOW}"
    return [found, GuardCheck(name="model caches", ok=not empty, detail=told if empty else "")]


CHECK_SUBMISSION = Tool(
    name="check_submission",
    summary="The guard: render the workflow with the values of the submit and check all of it.",
    input_model=CheckSubmissionInput,
    output_model=CheckSubmissionOutput,
    effects=Effects(read_only=True),
    steps=check_submission,
    guards=("SECRET-SILENT", "FLOW-ALIAS", "INPUT-STEM", "INPUT-KEEP"),
    outcome_guards=("CACHE-AUTO", "SCHED-PLATFORM"),
)
