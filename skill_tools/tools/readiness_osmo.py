"""What a run on OSMO needs: credentials, a GPU pool, images that can be pulled, a hub that lets it in."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from skill_tools.access.hub import Hub
from skill_tools.access.ngc import ngc_scope, probe_scope
from skill_tools.access.registry import probe_all
from skill_tools.access.secrets import (
    HF_VARIABLES,
    Secret,
    hugging_face_token,
    ngc_key,
)
from skill_tools.engines.base import Engine
from skill_tools.errors import EngineError, NeedsInput, VdaError
from skill_tools.flows.catalog import flow_named
from skill_tools.flows.render import load_workflow
from skill_tools.flows.values import stand_in_values
from skill_tools.journal import RunRecord
from skill_tools.media.atomic import whole_file
from skill_tools.settings import Settings
from skill_tools.storage.url import derive
from skill_tools.tools.context import Context
from skill_tools.tools.readiness import Check, ReadinessRequest

HF_CREDENTIAL, NGC_CREDENTIAL = "hf_token", "nvcr_io"
NGC_REGISTRY, NGC_USER = "nvcr.io", "$oauthtoken"
# What the augmentation container loads, behind a licence that the token's owner has to have accepted.
GATED_MODELS = ("nvidia/Cosmos-Transfer2.5-2B",)
GPU_RESOURCE = "nvidia.com/gpu"
AMBIENT_SCHEMES = ("s3", "azure")

Look = Callable[[], list[Check]]


def checks(run: RunRecord | None, engine: Engine, context: Context, request: ReadinessRequest) -> list[Check]:
    """Set the credentials that a run needs, and ask everything else at the same time.

    Raises:
        NeedsInput: a secret that is required is neither stored in OSMO nor to be found here.
    """
    environ = context.settings.environ
    token, key = hugging_face_token(environ), ngc_key(environ)
    stored = {credential.name: credential for credential in engine.credentials()}
    if token is None and HF_CREDENTIAL not in stored:
        raise _missing_token()
    kept = _Keeper(run, engine, context.settings, request, frozenset(stored))
    looks: list[Look] = [
        lambda: [_gpu_toleration(engine)],
        lambda: [_data_credential(run, engine)],
    ]
    if request.probe:
        looks += [
            lambda: _images(run, request, key, context.settings),
            lambda: _hub(token, environ),
            lambda: _ngc_scope(key, environ),
        ]
    asked = _at_once(looks)
    # A key that its registry or hub refuses is not stored over one that may be good.
    refused = {check.name.split(":")[0] for check in asked if check.status == "failed"}
    return [
        kept.hugging_face(None if "hub" in refused else token),
        kept.ngc(None if "ngc scope" in refused else key),
        *asked,
    ]


def _missing_token() -> NeedsInput:
    return NeedsInput(
        f"A Hugging Face token is missing: set {HF_VARIABLES[0]}",
        expected="a token in HF_TOKEN, HUGGING_FACE_HUB_TOKEN or the hub client's token file",
        remedy="export HF_TOKEN and call preflight again",
        code="needs_input.SECRET-REQUIRED",
    )


def _at_once(looks: Sequence[Look]) -> list[Check]:
    """Take all looks at the same time, so that the whole takes as long as the slowest."""
    with ThreadPoolExecutor(max_workers=len(looks)) as pool:
        return [check for found in pool.map(_without_raising, looks) for check in found]


def _without_raising(look: Look) -> list[Check]:
    try:
        return look()
    except VdaError as error:
        return [Check(name="probe", status="warning", detail=error.message[:2_000], remedy=error.remedy)]


class _Keeper:
    """Stores credentials: those that are missing, those whose key is new here, all on a refresh."""

    def __init__(
        self,
        run: RunRecord | None,
        engine: Engine,
        settings: Settings,
        request: ReadinessRequest,
        stored: frozenset[str],
    ) -> None:
        self._run, self._engine, self._request, self._stored = run, engine, request, stored
        self._marks = _Fingerprints(settings.state_dir / "credentials.json")

    def hugging_face(self, token: Secret | None) -> Check:
        """Keep or store the GENERIC credential with the hub's token."""
        payload = {"token": token.reveal()} if token else {}
        return self._keep(HF_CREDENTIAL, "GENERIC", token, payload)

    def ngc(self, key: Secret | None) -> Check:
        """Keep or store the REGISTRY credential; without a key there is simply none."""
        payload = {"registry": NGC_REGISTRY, "username": NGC_USER, "auth": key.reveal()} if key else {}
        return self._keep(NGC_CREDENTIAL, "REGISTRY", key, payload)

    def _keep(self, name: str, kind: str, secret: Secret | None, payload: Mapping[str, str]) -> Check:
        title, exists = f"credential {name}", name in self._stored
        if secret is None:
            detail = "kept as it is" if exists else "not stored; images that need no key can be pulled"
            return Check(name=title, status="ok", detail=detail)
        from_environment = not secret.source.startswith("/")
        is_new = from_environment and not self._marks.knows(name, secret)
        if exists and not self._request.refresh and not is_new:
            return Check(name=title, status="ok", detail="kept as it is")
        if self._run is None:
            return Check(
                name=title, status="ok", detail="would be stored by the preflight of a run", remedy=""
            )
        try:
            self._engine.set_credential(name, kind, payload, replace=exists)
        except EngineError as error:
            return Check(name=title, status="failed", detail=error.message[:2_000], remedy=error.remedy)
        self._marks.remember(name, secret)
        done = "replaced" if exists else "stored"
        return Check(name=title, status="ok", detail=f"{done} from {secret.source}")


class _Fingerprints:
    """Tells whether a secret is the one that was stored last, without keeping it.

    A keyed digest with a key made for this workspace alone: the file says nothing about the secret.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def knows(self, name: str, secret: Secret) -> bool:
        """Tell whether this secret was stored under this name."""
        known = self._read()
        mark = known.get(name, "")
        return bool(mark) and hmac.compare_digest(mark, self._mark(known["salt"], secret))

    def remember(self, name: str, secret: Secret) -> None:
        """Note that this secret was stored under this name."""
        known = self._read() or {"salt": secrets.token_hex(32)}
        known[name] = self._mark(known["salt"], secret)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(self._file) as part:
            part.write_text(json.dumps(known))

    def _read(self) -> dict[str, str]:
        try:
            known = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) and "salt" in known else {}

    @staticmethod
    def _mark(salt: str, secret: Secret) -> str:
        return hmac.new(bytes.fromhex(salt), secret.reveal().encode(), hashlib.sha256).hexdigest()


def _gpu_toleration(engine: Engine) -> Check:
    """Look for the toleration without which no pod comes onto a tainted GPU node."""
    templates = engine.pod_templates()
    tolerated = any(
        toleration.get("key") in {GPU_RESOURCE, None} for toleration in _tolerations(list(templates.values()))
    )
    if tolerated:
        return Check(name="GPU toleration", status="ok", detail="in a pod template")
    return Check(
        name="GPU toleration",
        status="warning",
        detail=f"no pod template tolerates {GPU_RESOURCE}; on tainted nodes tasks stay PENDING",
        remedy="ask the cluster's owner to add the toleration to the pod template",
    )


def _tolerations(node: object) -> list[Mapping[str, object]]:
    """Return every toleration in a nest of mappings and lists."""
    if isinstance(node, Mapping):
        here = node.get("tolerations")
        own = [one for one in here if isinstance(one, Mapping)] if isinstance(here, list) else []
        return own + [found for value in node.values() for found in _tolerations(value)]
    if isinstance(node, list):
        return [found for value in node for found in _tolerations(value)]
    return []


def _data_credential(run: RunRecord | None, engine: Engine) -> Check:
    """Look for a DATA credential of the storage; S3 and Azure may do with the cluster's own rights."""
    if run is None or not run.dataset_url:
        return Check(name="storage access", status="ok", detail="seen when the data set is listed")
    storage = derive(run.dataset_url).storage_url
    profiles = [one.profile for one in engine.credentials() if one.kind == "DATA" and one.profile]
    if any(storage == profile or storage.startswith(f"{profile}/") for profile in profiles):
        return Check(name="storage access", status="ok", detail=f"a DATA credential fits {storage}")
    ambient = storage.startswith(AMBIENT_SCHEMES)
    return Check(
        name="storage access",
        status="warning" if ambient else "failed",
        detail=f"no DATA credential fits {storage}"
        + ("; the cluster's own rights may do" if ambient else ""),
        remedy="set one with `osmo credential set NAME --type DATA --payload-file …`",
    )


def _images(
    run: RunRecord | None, request: ReadinessRequest, key: Secret | None, settings: Settings
) -> list[Check]:
    """Probe every image of the workflow at its registry."""
    named = request.workflow or (run.workflow_file if run else None)
    if named is None:
        return []
    flow = flow_named(Path(named).name.removesuffix(".yaml"))
    spec = load_workflow(settings.workflows_dir / flow.file, stand_in_values(settings.skill_dir))
    images = sorted({task.image for group in spec.groups for task in group.tasks})
    status = {"ok": "ok", "unreachable": "warning"}
    return [
        Check.model_validate(
            {
                "name": f"image: {probe.image}"[:128],
                "status": status.get(probe.status, "failed"),
                "detail": f"{_said(probe.status)}: {probe.evidence}"[:2_000],
                "remedy": "" if probe.status == "ok" else "look at references/container-images.md",
            }
        )
        for probe in probe_all(images, key)
    ]


def _said(status: str) -> str:
    words = {
        "ok": "can be pulled",
        "access_denied": "registry access failure on this image",
        "missing_tag": "there is no such tag",
        "unreachable": "the registry does not answer",
    }
    return words.get(status, status)


def _hub(token: Secret | None, environ: Mapping[str, str]) -> list[Check]:
    """Ask the hub who the token is, and whether the gated weights are open to it."""
    if token is None:
        return []
    found = Hub.from_environment(environ, token=token).probe(GATED_MODELS)
    status = {"ok": "ok", "unreachable": "warning"}
    return [
        Check.model_validate(
            {
                "name": f"hub: {probe.subject}"[:128],
                "status": status.get(probe.status, "failed" if at == 0 else "warning"),
                "detail": probe.evidence[:2_000],
                "remedy": "" if probe.status == "ok" else "accept the model's licence with this account",
            }
        )
        for at, probe in enumerate(found)
    ]


def _ngc_scope(key: Secret | None, environ: Mapping[str, str]) -> list[Check]:
    """Ask NGC whether the key reaches the organisation, where one is named."""
    scope = ngc_scope(environ)
    if key is None or scope is None:
        return []
    probe = probe_scope(scope, key, environ)
    status = {"ok": "ok", "unreachable": "warning"}
    return [
        Check.model_validate(
            {
                "name": f"ngc scope: {scope.text}"[:128],
                "status": status.get(probe.status, "failed"),
                "detail": probe.evidence[:2_000],
                "remedy": "" if probe.status == "ok" else "use a key of that organisation",
            }
        )
    ]
