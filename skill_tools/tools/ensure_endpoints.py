"""See to the model servers that a run's workers speak to: reuse, deploy, wait; never take one down."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Literal

from pydantic import Field

from skill_tools.access.endpoints import endpoint_key, is_cluster_internal, normalise_url, probe_endpoints
from skill_tools.access.nim import Nims, service_url
from skill_tools.errors import EngineError
from skill_tools.journal import RunRecord
from skill_tools.policy.watching import HEARTBEAT_S
from skill_tools.tool import Closed, Effects, Message, NextStep, Outcome, Tool
from skill_tools.tools.context import Context, Note
from skill_tools.tools.fields import Line, Name, RunId, Url

Role = Literal["vlm", "llm"]
ROLES: tuple[Role, ...] = ("vlm", "llm")
# A deployment warms up for 10 to 15 minutes; one call waits up to the heartbeat, and `next` waits on.
MAX_WAIT_S = 86_400.0
LOOK_EVERY_S = 10.0


class EnsureEndpointsInput(Closed):
    """The run whose endpoints are looked after."""

    run_id: RunId
    wait_s: float = Field(
        HEARTBEAT_S, ge=0, le=MAX_WAIT_S, description="Seconds to wait; a call waits 110 at the most."
    )


class Endpoint(Closed):
    """A model server: whose it is, and whether it serves; null where nobody can look from here."""

    role: Role
    url: Url
    external: bool
    healthy: bool | None
    models: list[Name] = Field(default_factory=list)
    detail: Line = ""


class EnsureEndpointsOutput(Closed):
    """The endpoints of a run. The embedded engine needs none."""

    needed: bool
    deployed: bool
    endpoints: list[Endpoint]


def ensure_endpoints(given: EnsureEndpointsInput, context: Context) -> Outcome[EnsureEndpointsOutput]:
    """Probe; deploy the cluster's own where they are missing; wait a while; say what comes next."""
    run = context.journal.run(given.run_id)
    if run.engine == "local":
        return _settled(run, EnsureEndpointsOutput(needed=False, deployed=False, endpoints=[]))
    nims = Nims.from_environment(context.settings.environ)
    found = [_look(role, run, nims, context) for role in ROLES]
    _refuse_dead_externals(found)
    missing = [one for one in found if one.healthy is False]
    if not missing:
        return _settled(run, EnsureEndpointsOutput(needed=True, deployed=False, endpoints=found))
    _deploy_once(run, nims, context)
    until = time.monotonic() + given.wait_s
    while any(one.healthy is False for one in found) and time.monotonic() < until:
        context.on_note(Note("model servers", text=", ".join(one.url for one in missing)))
        time.sleep(min(LOOK_EVERY_S, max(0.0, until - time.monotonic())))
        found = [_look(role, run, nims, context) for role in ROLES]
    data = EnsureEndpointsOutput(needed=True, deployed=True, endpoints=found)
    if any(one.healthy is False for one in found):
        step = NextStep(tool="ensure_endpoints", arguments={"run_id": run.run_id}, why="waits on")
        message = Message(body="The model servers are warming up; that takes 10–15 minutes.")
        return Outcome(data, run.run_id, "running", [message], [step])
    return _settled(run, data)


def _look(role: Role, run: RunRecord, nims: Nims, context: Context) -> Endpoint:
    given = run.vlm_url if role == "vlm" else run.llm_url
    if given and not is_cluster_internal(given):
        probe = probe_endpoints([given], [endpoint_key(context.settings.environ, role)])[0]
        return Endpoint(
            role=role,
            url=probe.url,
            external=True,
            healthy=probe.healthy,
            models=[model[:128] for model in probe.models],
            detail=probe.evidence[:2_000],
        )
    models = nims.models(role)
    return Endpoint(
        role=role,
        url=normalise_url(given) if given else service_url(role),
        external=False,
        healthy=None if models is None else bool(models),
        models=[model[:128] for model in models or ()],
        detail="the cluster can't be looked into from here; the workers wait for it"
        if models is None
        else "",
    )


def _refuse_dead_externals(found: list[Endpoint]) -> None:
    for one in found:
        if one.external and not one.healthy:
            raise EngineError(
                f"The {one.role} endpoint {one.url} does not serve: {one.detail}",
                expected="a list of models at …/models",
                remedy="correct the URL or its key, or leave it out for the cluster's own",
                code="engine.endpoint",
            )


def _deploy_once(run: RunRecord, nims: Nims, context: Context) -> None:
    """Deploy, unless an earlier call of this run did: a deployment that warms up is waited for."""
    earlier = context.journal.passed(run.run_id, "ensure_endpoints")
    if earlier is not None and earlier.data.get("deployed"):
        return
    with ThreadPoolExecutor(max_workers=1) as thread:
        deployment = thread.submit(nims.deploy)
        while wait([deployment], timeout=LOOK_EVERY_S).not_done:
            context.on_note(Note("model servers", text="the installer is at work"))
        deployment.result()


def _settled(run: RunRecord, data: EnsureEndpointsOutput) -> Outcome[EnsureEndpointsOutput]:
    words = [
        f"{one.role} {one.url}: {'serves' if one.healthy else 'not seen from here'}" for one in data.endpoints
    ]
    text = "Endpoints: " + ("; ".join(words) or "the embedded engine needs none.")
    step = NextStep(
        tool="derive_storage_url", arguments={"run_id": run.run_id}, why="says where the data lies"
    )
    return Outcome(data, run.run_id, messages=[Message(body=text)], next=[step])


ENSURE_ENDPOINTS = Tool(
    name="ensure_endpoints",
    summary="See to the model servers: reuse healthy ones, deploy missing ones, wait; never take one down.",
    input_model=EnsureEndpointsInput,
    output_model=EnsureEndpointsOutput,
    effects=Effects(changes_remote=True),
    steps=ensure_endpoints,
    guards=("SECRET-SILENT", "ETA-FIRST", "POLL-HEARTBEAT"),
    outcome_guards=("NIM-REUSE", "NIM-DEPLOY", "NIM-EXTERNAL-OPT-IN", "NIM-NO-INFER", "NIM-NEVER-DOWN"),
)
