"""The cluster's own model servers: see whether they serve, have the owner's installer deploy them.

They are looked at through the Kubernetes API's service proxy, so nothing is created for a look. Nothing
here can scale down or delete.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from skill_tools.access.secrets import ngc_key
from skill_tools.errors import EngineError

NAMESPACE = "osmo-nims"
PORT = 8000
SERVICES: Mapping[Literal["vlm", "llm"], str] = {"vlm": "qwen3-vl", "llm": "qwen25-14b"}
"""Role to the name of its service: all that may be deployed."""

INSTALLER_VARIABLE, KUBECTL_VARIABLE = "VDA_NIM_INSTALLER", "VDA_KUBECTL"
LOOK_WITHIN_S = 20.0
DEPLOY_WITHIN_S = 900.0
TOLD_CHARS = 600

# What a process needs of the surroundings to reach a cluster; keys stay out unless the installer asks for
# them by these names.
_PASSED_ON = (
    "PATH",
    "HOME",
    "KUBECONFIG",
    "LANG",
    "NGC_API_KEY",
    "HF_TOKEN",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
)

Run = Callable[..., subprocess.CompletedProcess[str]]


def service_url(role: Literal["vlm", "llm"]) -> str:
    """Return the base URL under which workers in the cluster find a model server."""
    return f"http://{SERVICES[role]}.{NAMESPACE}.svc.cluster.local:{PORT}/v1"


@dataclass(frozen=True)
class Nims:
    """The model servers of the cluster that `kubectl` points to.

    Args:
        kubectl: its path, or None where it is not to be had.
        installer: the script of the cluster's owner, or None where none is configured.
        environ: what the processes may inherit parts of.
        run: starts a process and waits for it.
    """

    kubectl: str | None
    installer: Path | None
    environ: Mapping[str, str]
    run: Run = subprocess.run

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Nims:
        """Find kubectl and the installer as the environment names them."""
        kubectl = shutil.which(environ.get(KUBECTL_VARIABLE) or "kubectl", path=environ.get("PATH"))
        installer = environ.get(INSTALLER_VARIABLE)
        return cls(kubectl, Path(installer).expanduser() if installer else None, environ)

    def models(self, role: Literal["vlm", "llm"]) -> tuple[str, ...] | None:
        """Return the models that a server lists; None where nobody can look from here."""
        if self.kubectl is None:
            return None
        path = f"/api/v1/namespaces/{NAMESPACE}/services/http:{SERVICES[role]}:{PORT}/proxy/v1/models"
        try:
            done = self._run([self.kubectl, "get", "--raw", path], LOOK_WITHIN_S)
        except (OSError, subprocess.TimeoutExpired):
            return None
        if done.returncode:
            # The API server answers for a service that is not there, or not ready; anything else says that
            # the cluster itself can't be reached from here.
            told = done.stderr.lower()
            return () if "notfound" in told or "not found" in told or "serviceunavailable" in told else None
        return _models_in(done.stdout)

    def deploy(self) -> str:
        """Have the installer deploy the allow-list, and return the end of what it said.

        Raises:
            EngineError: no installer is configured, or it failed or took too long.
        """
        if self.installer is None or not self.installer.is_file():
            raise EngineError(
                f"The model servers don't serve, and no installer is configured ({INSTALLER_VARIABLE})",
                expected="the path of the installer that the cluster's owner uses",
                remedy=f"set {INSTALLER_VARIABLE}, or give endpoints of your own with vlm_url and llm_url",
                code="engine.no_installer",
            )
        key = ngc_key(self.environ)
        given = {"NIM_SERVICES": " ".join(SERVICES.values())}
        if key is not None:
            given["NGC_API_KEY"] = key.reveal()
        try:
            done = self._run(["bash", str(self.installer)], DEPLOY_WITHIN_S, given)
        except subprocess.TimeoutExpired as error:
            raise EngineError(
                f"The installer did not end within {DEPLOY_WITHIN_S:.0f} s",
                expected="a deployment that is begun",
                remedy="look at the cluster, then call ensure_endpoints again",
                code="engine.timeout",
                retry="inspect",
            ) from error
        told = (done.stderr or done.stdout)[-TOLD_CHARS:]
        if done.returncode:
            raise EngineError(
                f"The installer ended with {done.returncode}: {told}",
                expected="a deployment that is begun",
                remedy="mend what it says, then call ensure_endpoints again",
                code="engine.installer",
            )
        return told

    def _run(
        self, command: Sequence[str], within_s: float, extra: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        kept = {name: self.environ[name] for name in _PASSED_ON if name in self.environ}
        return self.run(
            list(command),
            env={**kept, **(extra or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=within_s,
            check=False,
        )


def _models_in(text: str) -> tuple[str, ...]:
    try:
        document = json.loads(text)
    except ValueError:
        return ()
    listed = document.get("data") if isinstance(document, dict) else None
    return tuple(str(one["id"]) for one in listed or [] if isinstance(one, dict) and "id" in one)
