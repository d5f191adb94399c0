"""Check that a run can start: engine, pool, credentials, images; or this machine and the clips."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from skill_tools.engines.base import Pool
from skill_tools.errors import InputError, NeedsInput
from skill_tools.journal import RunRecord
from skill_tools.tool import Closed, Effects, Message, NextStep, Outcome, Problem, Tool
from skill_tools.tools import readiness_local, readiness_osmo
from skill_tools.tools.context import Context
from skill_tools.tools.fields import Line, Name, PathText, RunId
from skill_tools.tools.readiness import Check, Findings, ReadinessRequest


class PreflightInput(Closed):
    """The run to check, or a workflow file whose images are probed."""

    run_id: RunId | None = None
    workflow: PathText | None = Field(None, description="A workflow file; its images are probed.")
    no_probe: bool = Field(default=False, description="Ask no registry and no hub (closed networks).")
    refresh: bool = Field(default=False, description="Set credentials anew that exist already.")
    pool: Name | None = Field(None, description="The pool to use where several are ONLINE.")
    platform: Name | None = Field(None, description="The pool's platform to use, if not its default.")


class PreflightOutput(Closed):
    """What was found; pools are those that are ONLINE, platforms those of the chosen pool."""

    flow: Name | None
    engine: Name
    pool: Name
    pools: list[Name]
    platform: Name
    platforms: list[Name]
    gpus: int | None = Field(description="GPUs that a group of the pool can have; null where unknown.")
    credentials: list[Name]
    checks: Annotated[list[Check], Field(max_length=256)]
    summary: Line


def preflight(given: PreflightInput, context: Context) -> Outcome[PreflightOutput]:
    """Look at everything the run needs; red checks make the result a failure that names each."""
    run = context.open_run(given.run_id)
    name = run.engine if run else context.engines.choose(context.settings.engine)[0]
    engine, settings = context.engines.named(name), context.settings
    request = ReadinessRequest(given.workflow, probe=not given.no_probe, refresh=given.refresh)
    if name == "local":
        found = readiness_local.look(run, engine, settings)
    else:
        found = readiness_osmo.look(run, engine, settings, request)
    pool, online = _online_pool(found, given.pool)
    platform = _platform(pool, given.platform)
    if name == "osmo":
        may_store = run is None or context.journal.passed(run.run_id, "estimate_time") is not None
        found = readiness_osmo.keep_credentials(engine, settings, request, found, may_store=may_store)
    failed = [check for check in found.checks if check.status == "failed"]
    data = PreflightOutput(
        flow=run.flow if run else None,
        engine=name,
        pool=pool.name,
        pools=[each.name for each in online],
        platform=platform,
        platforms=list(pool.platforms),
        gpus=pool.gpus,
        credentials=sorted(credential.name for credential in found.credentials),
        checks=list(found.checks),
        summary=f"{len(found.checks) - len(failed)} of {len(found.checks)} checks are green",
    )
    return _outcome(data, run, failed)


def _online_pool(found: Findings, wanted: str | None) -> tuple[Pool, list[Pool]]:
    """Return the pool to use, and all that are ONLINE: the one asked for, the default, or the only one."""
    online = [pool for pool in found.pools if pool.status == "ONLINE"]
    name = wanted or found.state.default_pool
    chosen = [pool for pool in online if pool.name == name] or ([] if wanted else online)
    if len(chosen) == 1:
        return chosen[0], online
    if not online:
        raise NeedsInput(
            "No pool is ONLINE. Which pool shall the run wait for?",
            expected=f"an ONLINE pool; known: "
            f"{', '.join(f'{p.name} {p.status}' for p in found.pools) or 'none'}",
            remedy="ask the cluster's owner, or use --engine local",
            code="needs_input.POOL-ONLINE",
        )
    names = ", ".join(pool.name for pool in online)
    raise NeedsInput(
        f"{wanted} is not ONLINE. Which pool shall the run use: {names}?"
        if wanted
        else f"Which pool shall the run use: {names}?",
        expected="one ONLINE pool",
        remedy="call preflight again with pool, or set the default with `osmo profile set pool NAME`",
        code="needs_input.POOL-ONLINE",
    )


def _platform(pool: Pool, wanted: str | None) -> str:
    if wanted in pool.platforms:
        return wanted
    if wanted is None and pool.default_platform:
        return pool.default_platform
    if wanted is None and len(pool.platforms) == 1:
        return pool.platforms[0]
    raise NeedsInput(
        f"Which platform of {pool.name} shall the run use: {', '.join(pool.platforms) or 'none is listed'}?",
        expected="one platform that the pool lists",
        remedy="call preflight again with platform",
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
