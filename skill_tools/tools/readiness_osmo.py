"""What a run on OSMO needs: credentials, a GPU pool, images that can be pulled, a hub that lets it in."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
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
from skill_tools.engines.base import Credential, Engine, EngineState
from skill_tools.errors import EngineError, EngineUnavailable, NeedsInput, VdaError
from skill_tools.flows.render import images_in
from skill_tools.journal import RunRecord
from skill_tools.media.atomic import whole_file
from skill_tools.settings import Settings
from skill_tools.storage.url import derive
from skill_tools.tools.readiness import Check, Findings, ReadinessRequest
from skill_tools.tools.workflow_files import workflow_file

HF_CREDENTIAL, NGC_CREDENTIAL = "hf_token", "nvcr_io"
NGC_REGISTRY, NGC_USER = "nvcr.io", "$oauthtoken"
# What the augmentation container loads, behind a licence that the token's owner has to have accepted.
GATED_MODELS = ("nvidia/Cosmos-Transfer2.5-2B",)
GPU_RESOURCE = "nvidia.com/gpu"
AMBIENT_SCHEMES = ("s3", "azure")


def look(run: RunRecord | None, engine: Engine, settings: Settings, request: ReadinessRequest) -> Findings:
    """Ask the engine, the registries and the hub at the same time; nothing is changed.

    Raises:
        EngineUnavailable: the engine can't be used now.
        NeedsInput: a secret that is required is neither stored in OSMO nor to be found here.
        InputError: the workflow that was named can't be read.
    """
    environ = settings.environ
    token, key = hugging_face_token(environ), ngc_key(environ)
    images = _images_of(run, request, settings) if request.probe else []
    with ThreadPoolExecutor(max_workers=7) as threads:
        state = threads.submit(engine.state)
        pools, credentials = threads.submit(engine.pools), threads.submit(engine.credentials)
        templates = threads.submit(engine.pod_templates)
        asked: list[Future[list[Check]]] = []
        if request.probe:
            asked = [
                threads.submit(_images, images, key),
                threads.submit(_hub, token, environ),
                threads.submit(_ngc_scope, key, environ),
            ]
    if not state.result().ready:
        raise _unusable(engine, state.result())
    stored = credentials.result()
    if token is None and all(credential.name != HF_CREDENTIAL for credential in stored):
        raise _missing_token()
    checks = [
        *_checked("GPU toleration", lambda: [_gpu_toleration(templates.result())]),
        *_checked("storage access", lambda: [_data_credential(run, stored)]),
        *(check for answers in asked for check in _checked("probe", answers.result)),
    ]
    return Findings(state.result(), pools.result(), stored, tuple(_softened(checks, key, stored)))


def keep_credentials(
    engine: Engine, settings: Settings, request: ReadinessRequest, found: Findings, *, may_store: bool
) -> Findings:
    """Store the credentials that are missing, or whose key is new here, or all of them on a refresh.

    A key that its registry or hub refuses is not stored over one that may be good.
    """
    failed = {check.name.partition(":")[0] for check in found.checks if check.status == "failed"}
    keeper = _Keeper(engine, settings, request, found.credentials, may_store=may_store)
    token, key = hugging_face_token(settings.environ), ngc_key(settings.environ)
    with ThreadPoolExecutor(max_workers=2) as threads:
        kept = list(
            threads.map(
                lambda store: store(),
                (
                    lambda: keeper.hugging_face(token, refused="hub" in failed),
                    lambda: keeper.ngc(key, refused="ngc scope" in failed),
                ),
            )
        )
    credentials = engine.credentials() if keeper.has_stored else found.credentials
    return replace(found, credentials=credentials, checks=(*kept, *found.checks))


def _unusable(engine: Engine, state: EngineState) -> EngineUnavailable:
    return EngineUnavailable(
        f"The {engine.name} engine can't be used: {state.reason}",
        expected="an engine that is installed and logged in",
        remedy="`vda doctor` says more; `--engine local` needs no cluster",
    )


def _missing_token() -> NeedsInput:
    return NeedsInput(
        f"A Hugging Face token is missing: set {HF_VARIABLES[0]}",
        expected="a token in HF_TOKEN, HUGGING_FACE_HUB_TOKEN or the hub client's token file",
        remedy="export HF_TOKEN and call preflight again",
        code="needs_input.SECRET-REQUIRED",
    )


def _checked(name: str, answer: Callable[[], list[Check]]) -> list[Check]:
    """Return what a look found; one that could not be taken is a warning."""
    try:
        return answer()
    except VdaError as error:
        return [Check(name=name, status="warning", detail=error.message[:2_000], remedy=error.remedy)]


def _softened(checks: Sequence[Check], key: Secret | None, stored: Sequence[Credential]) -> Iterator[Check]:
    """Make a refusal without a key a warning, where a credential for that registry is stored in OSMO."""
    known = [one.profile for one in stored if one.kind == "REGISTRY" and one.profile]
    for check in checks:
        image = check.name.removeprefix("image: ")
        denied = image != check.name and check.status == "failed" and "access failure" in check.detail
        if denied and key is None and any(image.startswith(f"{profile}/") for profile in known):
            told = f"{check.detail}; asked without a key, a credential for it is stored in OSMO"
            yield check.model_copy(update={"status": "warning", "detail": told[:2_000]})
        else:
            yield check


class _Keeper:
    """Stores credentials: those that are missing, those whose key is new here, all on a refresh."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        request: ReadinessRequest,
        stored: Sequence[Credential],
        *,
        may_store: bool,
    ) -> None:
        self._engine, self._request, self._may_store = engine, request, may_store
        self._stored = frozenset(credential.name for credential in stored)
        self._marks = _Fingerprints(settings.state_dir / "credentials.json")
        self.has_stored = False

    def hugging_face(self, token: Secret | None, *, refused: bool) -> Check:
        """Keep or store the GENERIC credential with the hub's token."""
        payload = {"token": token.reveal()} if token else {}
        return self._keep(HF_CREDENTIAL, "GENERIC", token, payload, refused=refused)

    def ngc(self, key: Secret | None, *, refused: bool) -> Check:
        """Keep or store the REGISTRY credential; without a key there is simply none."""
        payload = {"registry": NGC_REGISTRY, "username": NGC_USER, "auth": key.reveal()} if key else {}
        return self._keep(NGC_CREDENTIAL, "REGISTRY", key, payload, refused=refused)

    def _keep(
        self, name: str, kind: str, secret: Secret | None, payload: Mapping[str, str], *, refused: bool
    ) -> Check:
        title, exists = f"credential {name}", name in self._stored
        if secret is None or refused or not self._wanted(name, secret, exists=exists):
            detail = (
                "kept as it is"
                if exists
                else f"not stored, since the one from {secret.source} was refused"
                if secret
                else "not stored; images that need no key can be pulled"
            )
            return Check(name=title, status="ok", detail=detail)
        if not self._may_store:
            return Check(name=title, status="ok", detail="is stored once the run's time overview was given")
        try:
            self._engine.set_credential(name, kind, payload, replace=exists)
        except EngineError as error:
            return Check(name=title, status="failed", detail=error.message[:2_000], remedy=error.remedy)
        self.has_stored = True
        self._marks.remember(name, secret)
        done = "replaced" if exists else "stored"
        return Check(name=title, status="ok", detail=f"{done} from {secret.source}")

    def _wanted(self, name: str, secret: Secret, *, exists: bool) -> bool:
        """Tell whether a secret is to be stored: none is yet, a refresh is asked for, or it is new here."""
        from_environment = not secret.source.startswith("/")
        is_new = from_environment and not self._marks.knows(name, secret)
        return not exists or self._request.refresh or is_new


class _Fingerprints:
    """Tells whether a secret is the one that was stored last, without keeping it.

    A keyed digest with a key made for this workspace alone: the file says nothing about the secret.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._writing = threading.Lock()

    def knows(self, name: str, secret: Secret) -> bool:
        """Tell whether this secret was stored under this name."""
        known = self._read()
        mark = known.get(name, "")
        return bool(mark) and hmac.compare_digest(mark, self._mark(known["salt"], secret))

    def remember(self, name: str, secret: Secret) -> None:
        """Note that this secret was stored under this name."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._writing:
            known = self._read() or {"salt": secrets.token_hex(32)}
            known[name] = self._mark(known["salt"], secret)
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


def _gpu_toleration(templates: Mapping[str, object]) -> Check:
    """Look for the toleration without which no pod comes onto a tainted GPU node."""
    tolerated = any(
        each.get("key") == GPU_RESOURCE or (not each.get("key") and each.get("operator") == "Exists")
        for each in _tolerations(list(templates.values()))
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


def _data_credential(run: RunRecord | None, stored: Sequence[Credential]) -> Check:
    """Look for a DATA credential of the storage; S3 and Azure may do with the cluster's own rights."""
    storage = _storage_of(run)
    if storage is None:
        return Check(name="storage access", status="ok", detail="seen when the data set is listed")
    profiles = [one.profile for one in stored if one.kind == "DATA" and one.profile]
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


def _storage_of(run: RunRecord | None) -> str | None:
    if run is None:
        return None
    return derive(run.dataset_url).storage_url if run.dataset_url else run.storage_url


def _images_of(run: RunRecord | None, request: ReadinessRequest, settings: Settings) -> list[str]:
    """Return the images of the workflow that is asked about, or of the run's own."""
    named = request.workflow or (run.workflow_file if run else None)
    return list(images_in(workflow_file(named, settings), settings.skill_dir)) if named else []


def _images(images: Sequence[str], key: Secret | None) -> list[Check]:
    """Probe every image at its registry."""
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
