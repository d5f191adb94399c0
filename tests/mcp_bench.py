"""The MCP server as a process of its own, for clients of any kind."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Self

from tests.tools.workspace_bench import REPOSITORY, Workspace


def command(workspace: Workspace, *options: str) -> list[str]:
    """Return the command line of a server."""
    return [sys.executable, "-m", "skill_tools.cli", "mcp", "--workspace", str(workspace.root), *options]


def environment(workspace: Workspace, **more: str) -> dict[str, str]:
    """Return an environment without anybody's keys."""
    plain = {"PATH": os.environ["PATH"], "HOME": str(workspace.folder), "PYTHONPATH": str(REPOSITORY)}
    return {**plain, "VDA_DATA_ROOTS": str(workspace.folder / "data"), "VDA_ENGINE": "local", **more}


class HttpServer:
    """A server on a free port of this machine, and where it listens."""

    def __init__(self, workspace: Workspace, *options: str, **more: str) -> None:
        self.process = subprocess.Popen(
            command(workspace, "--http", "0", *options),
            env=environment(workspace, **more),
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        said = self.process.stderr.readline()
        assert said.startswith("listening on "), said
        self.url = said.removeprefix("listening on ").strip()

    def __enter__(self) -> Self:
        """Give the server that listens already."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process as an init system does."""
        self.process.terminate()
        self.process.communicate(timeout=20)
