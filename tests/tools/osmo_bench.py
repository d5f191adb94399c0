"""A workspace whose engine is the mock `osmo`, and a hub and registries on this machine."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skill_tools.tool import ToolResult
from tests.access.web_lab import Reply, WebLab
from tests.mock_osmo.bench import MockOsmo
from tests.tools.workspace_bench import Workspace

TOKEN = "hf_" + "t" * 30
KEY = "nvapi-" + "k" * 40
GATED = "/api/models/nvidia/Cosmos-Transfer2.5-2B/auth-check"
NOBODY = "http://127.0.0.1:9"
"""A proxy that isn't there: whatever would leave this machine fails at once."""
CACHES = ("cosmos_transfer", "auto_labeling")


@dataclass
class OsmoWorkspace:
    """A mock `osmo`, a hub that lets everybody in, and a workspace between them."""

    folder: Path
    mock: MockOsmo
    web: WebLab
    more: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Let the hub know every token, and open the gated model to it."""
        self.web.routes |= {"/api/whoami-v2": Reply(body={"name": "me"}), GATED: Reply()}

    @property
    def workspace(self) -> Workspace:
        """The workspace as its calls find it now."""
        proxies = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"), NOBODY)
        places = {"HF_ENDPOINT": self.web.url, "VDA_NGC_AUTHN_URL": self.web.url, **proxies}
        return Workspace(self.folder, {**self.mock.environ, **places, **self.more})

    def begin(self, *clips: str, **wanted: Any) -> str:
        """Begin a run on OSMO whose time overview was given."""
        run_id = self.workspace.begin(*clips, engine="osmo", **wanted)
        assert self.workspace.call("estimate_time", run_id=run_id).ok
        return run_id

    def preflight(self, **arguments: Any) -> ToolResult:
        """Call preflight."""
        return self.workspace.call("preflight", **arguments)

    def guarded(self, *clips: str, **wanted: Any) -> str:
        """Bring a run with a token, full caches and clips in `s3://lab` so far that it can be submitted."""
        self.more.setdefault("HF_TOKEN", TOKEN)
        self.fill_caches()
        run_id = self.begin(*clips, **{"storage_url": "s3://lab", **wanted})
        for tool, arguments in (
            ("preflight", {"no_probe": True}),
            ("ensure_endpoints", {}),
            ("derive_storage_url", {}),
            ("prepare_dataset", {}),
            ("check_submission", {}),
        ):
            result = self.workspace.call(tool, run_id=run_id, **arguments)
            assert result.ok, result.problem
        return run_id

    def fill_caches(self, storage_url: str = "s3://lab") -> None:
        """Put an object into both model caches."""
        for cache in CACHES:
            self.mock.put(f"{storage_url}/data/models/{cache}/weights.bin", b"weights")

    def workflow(self, *images: str) -> str:
        """Write a workflow file with a task for each image, and return its path."""
        tasks = "".join(
            f"  - {{name: task_{at}, image: '{image}', command: [true]}}\n" for at, image in enumerate(images)
        )
        file = self.folder / "images.yaml"
        file.write_text(f"workflow:\n  name: '{{{{dataset}}}}'\n  # image: not/this:one\n  tasks:\n{tasks}")
        return str(file)

    def image(self, name: str, reply: Reply | None = None) -> str:
        """Have the registry answer for an image, and return the image's reference."""
        repository, _, tag = name.partition(":")
        self.web.routes[f"/v2/{repository}/manifests/{tag}"] = reply or Reply()
        return f"{self.web.host}/{name}"

    @property
    def stored(self) -> dict[str, dict[str, Any]]:
        """The credentials that OSMO has, by name."""
        return {each["name"]: each for each in self.mock.state["credentials"]}


def checks(result: ToolResult) -> dict[str, str]:
    """Return what preflight found, name to status and detail."""
    listed = result.data["checks"]
    assert isinstance(listed, list)
    found = [each for each in listed if isinstance(each, dict)]
    return {str(each["name"]): f"{each['status']}: {each['detail']}" for each in found}


def executable(path: Path, script: str) -> Path:
    """Write a program."""
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


KUBECTL = """
echo "$*" >>"$HOME/kubectl.calls"
case "$*" in *qwen3-vl*) name=qwen3-vl ;; *) name=qwen25-14b ;; esac
if [ -e "$HOME/no_cluster" ]; then echo "Unable to connect to the server" >&2; exit 1; fi
if [ ! -e "$HOME/$name.deployed" ]; then
  echo "Error from server (NotFound): services \\"$name\\" not found" >&2; exit 1
fi
if [ ! -e "$HOME/$name.warm" ]; then
  echo "Error from server (ServiceUnavailable): no endpoints available" >&2; exit 1
fi
echo "{\\"object\\": \\"list\\", \\"data\\": [{\\"id\\": \\"$name-model\\"}]}"
"""
INSTALLER = """
env | grep -E '^(NIM|NGC|HF)' | sort >>"$HOME/installer.calls"
for name in $NIM_SERVICES; do touch "$HOME/$name.deployed"; done
"""


@dataclass(frozen=True)
class ModelServers:
    """A cluster's model servers as `kubectl` and the owner's installer see them: files in a folder."""

    folder: Path

    def __post_init__(self) -> None:
        """Write both programs."""
        executable(self.folder / "kubectl", KUBECTL)
        executable(self.folder / "install.sh", INSTALLER)

    @property
    def environ(self) -> dict[str, str]:
        """What leads to both."""
        return {
            "HOME": str(self.folder),
            "VDA_KUBECTL": str(self.folder / "kubectl"),
            "VDA_NIM_INSTALLER": str(self.folder / "install.sh"),
        }

    def set(self, state: str, *names: str) -> None:
        """Have servers deployed or warm."""
        for name in names or ("qwen3-vl", "qwen25-14b"):
            (self.folder / f"{name}.{state}").touch()

    def calls(self, program: str) -> list[str]:
        """Return what a program was asked, or what it saw of its environment, line by line."""
        file = self.folder / f"{program}.calls"
        return file.read_text().splitlines() if file.exists() else []
