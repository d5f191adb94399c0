"""Fill the model caches with the cache workflow, wait for it, and hand back to the guard."""

from __future__ import annotations

from pydantic import Field

from skill_tools.engines.base import Engine, SubmitRequest, has_ended, has_failed
from skill_tools.errors import EngineError
from skill_tools.flows.catalog import CACHE_WORKFLOW
from skill_tools.flows.values import ValuesOf
from skill_tools.journal import RunRecord
from skill_tools.policy.watching import HEARTBEAT_S
from skill_tools.storage.url import Layout
from skill_tools.tool import Closed, Effects, Message, NextStep, Outcome, Tool
from skill_tools.tools.context import Context
from skill_tools.tools.fields import Line, Name, RunId
from skill_tools.tools.following import failed_task, follow, overall
from skill_tools.tools.sending import Sender

MAX_WAIT_S = 86_400.0
CACHE_BATCH = "cache"


class EnsureCacheInput(Closed):
    """The run whose caches are looked after."""

    run_id: RunId
    wait_s: float = Field(
        HEARTBEAT_S, ge=0, le=MAX_WAIT_S, description="Seconds to wait; a call waits 110 at the most."
    )


class EnsureCacheOutput(Closed):
    """Whether the caches are full now."""

    full: bool
    workflow_id: Name | None
    state: Line


def ensure_cache(given: EnsureCacheInput, context: Context) -> Outcome[EnsureCacheOutput]:
    """Submit the cache workflow unless the caches are full or it runs already; then wait."""
    run = context.journal.run(given.run_id)
    engine = context.engine(run)
    dataset = context.passed(run.run_id, "prepare_dataset")
    layout = Layout(dataset["storage_url"], dataset["dataset"], run.run_id)
    if _caches_full(engine, layout):
        return _full(run, None)
    workflow_id = _workflow(run, layout, context)
    states = follow(engine, [workflow_id], context, wait_s=given.wait_s)
    state = overall(states)
    if not has_ended(state):
        data = EnsureCacheOutput(full=False, workflow_id=workflow_id, state=state)
        text = f"The model caches are being filled ({workflow_id}: {state})."
        step = NextStep(tool="ensure_cache", arguments={"run_id": run.run_id}, why="waits on")
        return Outcome(data, run.run_id, "running", messages=[Message(body=text)], next=[step])
    if has_failed(state) or not _caches_full(engine, layout):
        context.journal.settle(run.run_id, CACHE_BATCH, "refused", workflow_id)
        failed = failed_task(states)
        lines = engine.logs(workflow_id, failed[1].name if failed else None, tail=5)
        raise EngineError(
            f"The cache workflow {workflow_id} ended {state}, a cache is empty: {' | '.join(lines)[:1_000]}",
            expected="objects in both model caches",
            remedy="mend what the log says and call ensure_cache again",
        )
    return _full(run, workflow_id)


def _caches_full(engine: Engine, layout: Layout) -> bool:
    return all(engine.list(url) for url in (layout.cosmos_cache_url, layout.labeling_cache_url))


def _workflow(run: RunRecord, layout: Layout, context: Context) -> str:
    """Return the cache workflow of this run, submitting it where none runs yet."""
    engine = context.engine(run)
    preflight = context.passed(run.run_id, "preflight")
    values = ValuesOf(
        layout=layout,
        gpu_platform=preflight["platform"],
        skills_dir=context.settings.skill_dir,
        cookbook=run.cookbook,
        n_augmentations=1,
        variables={},
        credentials=frozenset(preflight["credentials"]),
    ).for_batch(0, ["cache"])
    # `batch` would have the engine look for a setup task's output, which the cache workflow hasn't.
    plain = {name: value for name, value in values.items() if name != "batch"}
    request = SubmitRequest(context.settings.workflows_dir / CACHE_WORKFLOW, plain, preflight["pool"])
    return Sender(run.run_id, engine, context.journal).send(CACHE_BATCH, request).workflow_id


def _full(run: RunRecord, workflow_id: str | None) -> Outcome[EnsureCacheOutput]:
    data = EnsureCacheOutput(full=True, workflow_id=workflow_id, state="COMPLETED")
    step = NextStep(
        tool="check_submission", arguments={"run_id": run.run_id}, why="checks again with full caches"
    )
    return Outcome(data, run.run_id, messages=[Message(body="The model caches are full.")], next=[step])


ENSURE_CACHE = Tool(
    name="ensure_cache",
    summary="Fill the model caches with the cache workflow where they are empty.",
    input_model=EnsureCacheInput,
    output_model=EnsureCacheOutput,
    effects=Effects(changes_remote=True),
    steps=ensure_cache,
    guards=("SECRET-SILENT", "ETA-FIRST", "PREFLIGHT-FIRST", "POLL-HEARTBEAT"),
    outcome_guards=("POLL-CONTINUE",),
)
