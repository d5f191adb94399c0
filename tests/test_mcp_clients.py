"""The MCP server as others drive it: the OpenAI Agents SDK's client and the MCP Inspector's command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from agents.mcp import MCPServer, MCPServerStdio, MCPServerStreamableHttp

from skill_tools.registry import TOOLS
from tests.mcp_bench import HttpServer, command, environment
from tests.tools.workspace_bench import PATIENCE_S, REPOSITORY, Workspace

Connect = Callable[[], AbstractAsyncContextManager[MCPServer]]
TOKEN = "a-token-of-this-test"  # noqa: S105 - made for this test
INSPECTOR = REPOSITORY / "tests" / "inspector" / "node_modules" / ".bin" / "mcp-inspector"


@pytest.fixture
def anyio_backend() -> str:
    """Run the clients on asyncio, as the server runs."""
    return "asyncio"


@pytest.fixture(params=["stdio", "http"])
def connect(request: pytest.FixtureRequest, workspace: Workspace) -> Connect:
    """Give what connects the SDK's client to a new server, over each transport in turn."""

    @asynccontextmanager
    async def over_stdio() -> AsyncIterator[MCPServer]:
        words = command(workspace)
        params: Any = {"command": words[0], "args": words[1:], "env": environment(workspace)}
        async with MCPServerStdio(params, client_session_timeout_seconds=PATIENCE_S) as client:
            yield client

    @asynccontextmanager
    async def over_http() -> AsyncIterator[MCPServer]:
        with HttpServer(workspace) as server:
            params: Any = {"url": server.url}
            async with MCPServerStreamableHttp(params, client_session_timeout_seconds=PATIENCE_S) as client:
                yield client

    return over_stdio if request.param == "stdio" else over_http


@pytest.mark.anyio
async def test_the_agents_sdk_lists_runs_and_reads(connect: Connect, workspace: Workspace) -> None:
    """Its client sees every tool, does a whole run, hears a denial as an error, and reads the skill."""
    async with connect() as client:
        listed = await client.list_tools()
        done = await client.call_tool("run", {"clips": [workspace.clip()]})
        run_id = done.structured_content["run_id"]
        denied = await client.call_tool("submit", {"run_id": run_id})
        page = (await client.read_resource("vda://skill/SKILL.md")).contents[0]
    assert [tool.name for tool in listed] == list(TOOLS)
    assert (done.is_error, done.structured_content["data"]["complete"]) == (False, True)
    assert (denied.is_error, denied.structured_content["next"][0]["tool"]) == (True, "poll")
    assert page.text == (REPOSITORY / "SKILL.md").read_text(encoding="utf-8")


@pytest.fixture
def node() -> str:
    """Find Node.js and the Inspector; `VDA_REQUIRE_INSPECTOR=1` makes their absence a failure, not a skip."""
    found = shutil.which("node")
    if found and INSPECTOR.exists():
        return found
    reason = "`make inspector` installs the MCP Inspector, which needs Node.js 20 or later with npm"
    if os.environ.get("VDA_REQUIRE_INSPECTOR") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def inspected(node: str, workspace: Workspace, *words: str, server: tuple[str, ...]) -> dict[str, Any]:
    """Return what the Inspector prints about a server."""
    done = subprocess.run(
        [node, str(INSPECTOR.resolve()), "--cli", *server, *words],
        env=environment(workspace),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_inspector_drives_the_server_on_its_pipes(node: str, workspace: Workspace) -> None:
    """The Inspector lists tools and resources, begins a run, and shows a denial with the corrected call."""
    server = tuple(command(workspace))

    def ask(*words: str) -> dict[str, Any]:
        return inspected(node, workspace, *words, server=server)

    listed = ask("--method", "tools/list")["tools"]
    pages = ask("--method", "resources/list")["resources"]
    call = ("--method", "tools/call", "--tool-name")
    begun = ask(*call, "select_flow", "--tool-arg", f'clips=["{workspace.clip()}"]')
    run_id = begun["structuredContent"]["run_id"]
    denied = ask(*call, "submit", "--tool-arg", f"run_id={run_id}")
    assert [tool["name"] for tool in listed] == list(TOOLS)
    assert {"inputSchema", "outputSchema", "annotations"} <= set(listed[0])
    assert "vda://skill/SKILL.md" in {page["uri"] for page in pages}
    assert denied["isError"] is True
    assert denied["structuredContent"]["next"][0]["arguments"]["run_id"] == run_id


def test_the_inspector_drives_the_server_over_http(node: str, workspace: Workspace) -> None:
    """Over streamable HTTP, with the bearer token, the Inspector does a whole run in one call."""
    with HttpServer(workspace, VDA_MCP_TOKEN=TOKEN) as running:
        server = (running.url, "--transport", "http", "--header", f"Authorization: Bearer {TOKEN}")
        call = ("--method", "tools/call", "--tool-name", "run", "--tool-arg", f'clips=["{workspace.clip()}"]')
        done = inspected(node, workspace, *call, server=server)
    result = done["structuredContent"]
    assert (result["status"], result["data"]["complete"]) == ("done", True)
    links = [block for block in done["content"] if block["type"] == "resource_link"]
    assert [Path(link["name"]).suffix for link in links] == [".mp4"]
