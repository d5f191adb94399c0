"""What the mock remembers between two commands: one JSON file, and a folder for each bucket."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PLATFORM = {
    "description": "",
    "host_network_allowed": False,
    "privileged_allowed": False,
    "allowed_mounts": [],
    "default_mounts": [],
}


def pool(name: str, **more: Any) -> dict[str, Any]:
    """Return a pool as the service keeps it."""
    return {
        "name": name,
        "description": "Lab default pool",
        "status": "ONLINE",
        "backend": "default",
        "default_platform": "default",
        "timeout": "60d",
        "guarantee": {"guarantee": -1, "maximum": -1, "weight": 1},
        "platforms": {"cpu": "", "h100": "H100 nodes", "l40s": "", "default": ""},
        "quota": {"used": 0, "free": 12, "limit": 12},
        "total": {"usage": 0, "capacity": 12, "free": 12},
        "shared": False,
        **more,
    }


def new_state() -> dict[str, Any]:
    """Return a service with one user, who is logged in, and one pool."""
    return {
        "user": "testuser",
        "default_pool": "default",
        "pools": [pool("default")],
        "credentials": [],
        "counters": {},
        "workflows": {},
        "faults": {},
        "pod_templates": {"default_user": {"spec": {"containers": [{"name": "{{USER_CONTAINER_NAME}}"}]}}},
        "reachable": True,
    }


@dataclass(frozen=True)
class Store:
    """The folder that `MOCK_OSMO_STATE` names."""

    folder: Path

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Store:
        """Return the store of this process."""
        return cls(Path(environ["MOCK_OSMO_STATE"]))

    @contextmanager
    def open(self) -> Iterator[dict[str, Any]]:
        """Give the state for changing; one process at a time. A refusal leaves its traces too."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            file = self.folder / "state.json"
            state = json.loads(file.read_text()) if file.exists() else new_state()
            try:
                yield state
            finally:
                part = file.with_suffix(".part")
                part.write_text(json.dumps(state, indent=1))
                part.replace(file)

    def read(self) -> dict[str, Any]:
        """Return the state as it is now."""
        with self.open() as state:
            return state

    def record(self, arguments: list[str]) -> None:
        """Write a command down, for tests that look at what was really asked."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "calls.jsonl").open("a") as calls:
            calls.write(json.dumps(arguments) + "\n")

    @property
    def buckets(self) -> Path:
        """The folder with one folder a bucket or container."""
        return self.folder / "storage"


def read_store() -> Store:
    """Return the store that this process's environment names."""
    return Store.from_environment(os.environ)
