"""Check that a run can start: engine, pool, credentials, images; or this machine and the clips."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from skill_tools.engines.base import Engine, EngineState, Pool
from skill_tools.errors import EngineUnavailable, InputError, NeedsInput
from skill_tools.journal import RunRecord
from skill_tools.tool import Closed, Effects, Message, NextStep, Outcome, Problem, Tool
from skill_tools.tools import readiness_local, readiness_osmo
from skill_tools.tools.context import Context
from skill_tools.tools.fields import Line, Name, PathText, RunId
from skill_tools.tools.readiness import Check, ReadinessRequest


class PreflightInput(Closed):
    """The run to check, or a workflow file whose images are probed."""

    run_id: RunId | None = None
    workflow: PathText | None = Field(None, description="A workflow file; its images are probed.")
    no_probe: bool = Field(default=False, description="Ask no registry and no hub (closed networks).")
    refresh: bool = Field(default=False, description="Set credentials anew that exist already.")


class PreflightOutput(Closed):
    """What was found; pools are those that are ONLINE, platforms those of the chosen pool."""

    flow: Name | None
    engine: Name
    pool: Name
    pools: list[Name]
    platform: Name
    platforms: list[Name]
    credentials: list[Name]
    checks: Annotated[list[Check], Field(max_length=256)]
    summary: Line


def preflight(given: PreflightInput, context: Context) -> Outcome[PreflightOutput]:
    """Look at everything the run needs; red checks make the result a failure that names each."""
    run = context.open_run(given.run_id)
    name = run.engine if run else context.engines.choose(context.settings.engine)[0]
    engine = context.engines.named(name)
    state = _ready(engine)
    pool, online = _online_pool(engine, state)
    platform = _platform(pool)
    readiness = readiness_local if name == "local" else readiness_osmo
    request = ReadinessRequest(given.workflow, probe=not given.no_probe, refresh=given.refresh)
    checks = readiness.checks(run, engine, context, request)
    failed = [check for check in checks if check.status == "failed"]
    data = PreflightOutput(
        flow=run.flow if run else None,
        engine=name,
        pool=pool.name,
        pools=[each.name for each in online],
        platform=platform,
        platforms=list(pool.platforms),
        credentials=sorted(credential.name for credential in engine.credentials()),
        checks=checks,
        summary=f"{len(checks) - len(failed)} of {len(checks)} checks are green",
    )
    return _outcome(data, run, failed)


def _ready(engine: Engine) -> EngineState:
    state = engine.state()
    if not state.ready:
        raise EngineUnavailable(
            f"The {engine.name} engine can't be used: {state.reason}",
            expected="an engine that is installed and logged in",
            remedy="`vda doctor` says more; `--engine local` needs no cluster",
        )
    return state


def _online_pool(engine: Engine, state: EngineState) -> tuple[Pool, list[Pool]]:
    pools = engine.pools()
    online = [pool for pool in pools if pool.status == "ONLINE"]
    preferred = [pool for pool in online if pool.name == state.default_pool] or online
    if len(preferred) == 1:
        return preferred[0], online
    if not online:
        raise NeedsInput(
            "No pool is ONLINE. Which pool shall the run wait for?",
            expected=f"an ONLINE pool; known: {', '.join(f'{p.name} {p.status}' for p in pools) or 'none'}",
            remedy="ask the cluster's owner, or use --engine local",
            code="needs_input.POOL-ONLINE",
        )
    raise NeedsInput(
        f"Which pool shall the run use: {', '.join(pool.name for pool in online)}?",
        expected="one ONLINE pool",
        remedy="set the default with `osmo profile set pool NAME`",
        code="needs_input.POOL-ONLINE",
    )


def _platform(pool: Pool) -> str:
    if pool.default_platform:
        return pool.default_platform
    if len(pool.platforms) == 1:
        return pool.platforms[0]
    raise NeedsInput(
        f"Which platform of {pool.name} shall the run use: {', '.join(pool.platforms) or 'none is listed'}?",
        expected="one platform that the pool lists",
        code="needs_input.PLATFORM-EXACT",
    )


def _outcome(data: PreflightOutput, run: RunRecord | None, failed: list[Check]) -> Outcome[PreflightOutput]:
    text = "\n".join(
        [f"Preflight on {data.engine}: {data.summary}; pool {data.pool}, platform {data.platform}."]
        + [f"- {check.status}: {check.name}: {check.detail}" for check in data.checks if check.status != "ok"]
    )
    problem = None
    if failed:
        problem = Problem(
            code=InputError.default_code
            if all(check.input_fault for check in failed)
            else "engine.preflight",
            message="; ".join(f"{check.name}: {check.detail}" for check in failed),
            expected="every check green",
            remedy=" ".join(check.remedy for check in failed if check.remedy),
            retry="after_fix",
        )
    step = []
    if run and not failed:
        tool = "derive_storage_url" if run.engine == "local" else "ensure_endpoints"
        why = "says where the data lies" if run.engine == "local" else "sees to the model servers"
        step = [NextStep(tool=tool, arguments={"run_id": run.run_id}, why=why)]
    return Outcome(
        data, run.run_id if run else None, messages=[Message(body=text)], next=step, problem=problem
    )


PREFLIGHT = Tool(
    name="preflight",
    summary="Check that the run can start; on OSMO also set the credentials it needs.",
    input_model=PreflightInput,
    output_model=PreflightOutput,
    effects=Effects(changes_remote=True, destructive=True),
    steps=preflight,
    guards=("SECRET-SILENT", "ETA-FIRST"),
    outcome_guards=(
        "SECRET-REQUIRED",
        "SECRET-PREFIX",
        "SECRET-EVIDENCE",
        "SECRET-REFRESH",
        "POOL-ONLINE",
        "PLATFORM-EXACT",
    ),
)
