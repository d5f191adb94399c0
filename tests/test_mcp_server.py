"""The MCP server as a process of its own, driven by the SDK's own client over both transports."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import httpx2
import jsonschema
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import INVALID_PARAMS, CallToolResult, TextResourceContents

from skill_tools.errors import InputError
from skill_tools.mcp_server import Abandoned, Notes, is_loopback, serve_http
from skill_tools.registry import STEPS, TOOLS
from skill_tools.tools.context import Note
from tests.mcp_bench import HttpServer, command, environment
from tests.tools.workspace_bench import REPOSITORY, Workspace

TOKEN = "a-long-random-text"  # noqa: S105 - made for these tests
MAX_STEPS = 40
QUESTION = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}

Connect = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def anyio_backend() -> str:
    """Run the clients on asyncio, as the server runs."""
    return "asyncio"


@pytest.fixture
def over_stdio(workspace: Workspace) -> Connect:
    """Give what connects to a new server on its pipes."""

    @asynccontextmanager
    async def connect(*options: str, mode: Any = "auto") -> AsyncIterator[Client]:
        words = command(workspace, *options)
        server = StdioServerParameters(command=words[0], args=words[1:], env=environment(workspace))
        async with Client(server, mode=mode) as client:
            yield client

    return connect


@pytest.fixture
def over_http(workspace: Workspace) -> Connect:
    """Give what connects to a new server on a port of loopback."""

    @asynccontextmanager
    async def connect(*options: str, mode: Any = "auto") -> AsyncIterator[Client]:
        with HttpServer(workspace, *options) as server:
            async with Client(server.url, mode=mode) as client:
                yield client

    return connect


@pytest.fixture(params=["over_stdio", "over_http"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """Give what connects to a new server, over each transport in turn."""
    connector: Connect = request.getfixturevalue(request.param)
    return connector


def said(result: CallToolResult) -> dict[str, Any]:
    """Return the result that an answer carries, which is the same as text and as structure."""
    document: dict[str, Any] = result.structured_content
    assert json.loads(result.content[0].text) == document
    return document


@pytest.mark.anyio
async def test_every_tool_is_listed_in_order_with_both_schemas_and_its_effects(connect: Connect) -> None:
    """`tools/list` names every tool in the order of a run, the same each time, and states each hint."""
    async with connect() as client:
        listed = (await client.list_tools()).tools
        again = (await client.list_tools()).tools
    assert [tool.name for tool in listed] == list(TOOLS)
    assert listed == again
    for tool in listed:
        for schema in (tool.input_schema, tool.output_schema):
            assert schema is not None
            assert schema["type"] == "object"
            jsonschema.Draft202012Validator.check_schema(schema)
        hints = tool.annotations
        assert hints is not None
        assert hints.read_only_hint is TOOLS[tool.name].effects.read_only
        assert None not in {hints.destructive_hint, hints.idempotent_hint, hints.open_world_hint}
    destructive = {tool.name for tool in listed if tool.annotations and tool.annotations.destructive_hint}
    assert destructive == {"cancel", "preflight", "run"}


@pytest.mark.anyio
async def test_a_run_is_walked_by_next_alone(connect: Connect, workspace: Workspace) -> None:
    """From select_flow on, doing what `next` names ends in a report whose media can be read."""
    progress: list[float] = []
    phrases: list[str] = []

    async def on_progress(done: float, total: float | None, message: str | None) -> None:
        progress.append(done)
        phrases.append(message or "")

    async with connect() as client:
        schemas = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}
        step: dict[str, Any] = {"tool": "select_flow", "arguments": {"clips": [workspace.clip()]}}
        for _ in range(MAX_STEPS):
            progress.clear()
            answer = await client.call_tool(step["tool"], step["arguments"], progress_callback=on_progress)
            result = said(answer)
            assert result["ok"], result["problem"]
            assert not answer.is_error
            jsonschema.validate(result, schemas[step["tool"]] or {})
            assert progress == sorted(set(progress))
            if not result["next"]:
                break
            step = result["next"][0]
        links = [block for block in answer.content if block.type == "resource_link"]
        read = [(await client.read_resource(link.uri)).contents[0] for link in links]
        listed = {resource.uri for resource in (await client.list_resources()).resources}
    assert step["tool"] == "report"
    assert any("frames" in phrase for phrase in phrases)
    media = [one["body"] for one in result["messages"] if one["kind"] == "media"]
    assert [f"MEDIA:{Path(line.removeprefix('MEDIA:'))}" for line in media] == media
    assert [link.name for link in links] == [Path(line).name for line in media]
    assert [b64decode(one.blob)[4:8] for one in read if one.mime_type == "video/mp4"] == [b"ftyp"]
    assert f"vda://runs/{result['run_id']}/report.html" in listed


@pytest.mark.anyio
async def test_what_a_model_can_mend_is_a_result_and_an_unknown_tool_is_not(
    connect: Connect, workspace: Workspace
) -> None:
    """A denial carries the corrected call, a bad argument its field; an unknown tool breaks the protocol."""
    async with connect() as client:
        begun = said(await client.call_tool("select_flow", {"clips": [workspace.clip()]}))
        denied = await client.call_tool("submit", {"run_id": begun["run_id"]})
        mistyped = await client.call_tool("poll", {"run_id": begun["run_id"], "wait_s": "long"})
        with pytest.raises(MCPError) as caught:
            await client.call_tool("submitt", {})
    assert (denied.is_error, said(denied)["status"]) == (True, "denied")
    assert said(denied)["problem"]["code"].startswith("denied.")
    corrected = said(denied)["next"][0]
    assert corrected["tool"] in TOOLS
    assert corrected["arguments"]["run_id"] == begun["run_id"]
    assert mistyped.is_error
    assert "wait_s" in said(mistyped)["problem"]["message"]
    assert caught.value.code == INVALID_PARAMS


@pytest.mark.anyio
async def test_clients_of_the_older_protocol_are_served(over_stdio: Connect) -> None:
    """A client that shakes hands first gets the same tools."""
    async with over_stdio(mode="legacy") as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == list(TOOLS)


@pytest.mark.anyio
async def test_read_only_offers_nothing_that_changes_anything(over_http: Connect) -> None:
    """With `--read-only` other tools are unknown, and no argument makes one do more than read."""
    async with over_http("--read-only") as client:
        listed = {tool.name for tool in (await client.list_tools()).tools}
        with pytest.raises(MCPError):
            await client.call_tool("submit", {"run_id": "run-00000000"})
        changing = [
            await client.call_tool("poll", {"run_id": "run-00000000", "revive": True}),
            await client.call_tool("estimate_time", {"run_id": "run-00000000", "go_on": True}),
        ]
    assert listed == {tool.name for tool in TOOLS.values() if tool.effects.read_only}
    assert [said(one)["problem"]["code"] for one in changing] == ["denied.read_only"] * 2


@pytest.mark.anyio
async def test_the_skill_and_its_references_can_be_read(over_stdio: Connect) -> None:
    """The pages of the skill are listed and come back word for word."""
    async with over_stdio() as client:
        listed = [resource.uri for resource in (await client.list_resources()).resources]
        page = (await client.read_resource("vda://skill/SKILL.md")).contents[0]
        for uri in listed:
            assert (await client.read_resource(uri)).contents
    assert isinstance(page, TextResourceContents)
    assert page.text == (REPOSITORY / "SKILL.md").read_text(encoding="utf-8")
    assert "vda://skill/references/setup.md" in listed


@pytest.mark.anyio
async def test_nothing_outside_of_the_offered_files_can_be_read(
    over_stdio: Connect, workspace: Workspace
) -> None:
    """Neither a path that climbs, nor a link, nor the code, nor the journal is a resource."""
    run = workspace.root / "media" / "vda" / "runs" / "run-0000abcd"
    run.mkdir(parents=True)
    (workspace.root / "secret.txt").write_text("s", encoding="utf-8")
    (run / "link.txt").symlink_to(workspace.root / "secret.txt")
    (run / "mine.txt").write_text("mine", encoding="utf-8")
    async with over_stdio() as client:
        for uri in (
            "vda://skill/pyproject.toml",
            "vda://skill/references/../pyproject.toml",
            "vda://skill/references/%2e%2e/pyproject.toml",
            "vda://skill//etc/passwd",
            "vda://runs/run-0000abcd/../../../../secret.txt",
            "vda://runs/run-0000abcd/link.txt",
            "vda://runs/..",
            "vda://runs/",
            "file:///etc/passwd",
        ):
            with pytest.raises(MCPError):
                await client.read_resource(uri)
        mine = (await client.read_resource("vda://runs/run-0000abcd/mine.txt")).contents[0]
    assert isinstance(mine, TextResourceContents)
    assert mine.text == "mine"


@pytest.mark.anyio
async def test_a_cancelled_poll_leaves_the_server_answering(connect: Connect, workspace: Workspace) -> None:
    """A client that stops waiting for a long call is answered at once in the next."""
    frames = 200
    async with connect() as client:
        step: dict[str, Any] = {
            "tool": "select_flow",
            "arguments": {"clips": [workspace.clip(frames=frames)], "flow": "auto_labeling"},
        }
        while step["tool"] != "poll":
            result = said(await client.call_tool(step["tool"], step["arguments"]))
            step = result["next"][0]
        heard = anyio.Event()

        async def on_progress(*_: object) -> None:
            heard.set()

        async def wait_long() -> None:
            await client.call_tool("poll", step["arguments"], progress_callback=on_progress)

        async with anyio.create_task_group() as group:
            group.start_soon(wait_long)
            await heard.wait()
            group.cancel_scope.cancel()
        ended = said(await client.call_tool("cancel", {"run_id": step["arguments"]["run_id"]}))
    assert ended["ok"]


@pytest.mark.anyio
async def test_a_whole_run_is_one_call(connect: Connect, workspace: Workspace) -> None:
    """`run` tells of every step as progress, and answers with the media and the report of the run."""
    phrases: list[str] = []

    async def on_progress(_done: float, _total: float | None, message: str | None) -> None:
        phrases.append(message or "")

    async with connect() as client:
        schema = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}["run"]
        answer = await client.call_tool("run", {"clips": [workspace.clip()]}, progress_callback=on_progress)
        result = said(answer)
        page = (await client.read_resource(f"vda://runs/{result['run_id']}/report.html")).contents[0]
    assert (result["status"], result["data"]["complete"], result["next"]) == ("done", True, [])
    jsonschema.validate(result, schema or {})
    told = [name for name in STEPS if any(phrase.startswith(f"{name} ·") for phrase in phrases)]
    assert told == [step["tool"] for step in dict_by_tool(result["data"]["steps"])]
    assert [block.type for block in answer.content] == ["text", "resource_link"]
    assert isinstance(page, TextResourceContents)


def dict_by_tool(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each tool's first step, in the order of the list of tools."""
    first = {step["tool"]: step for step in reversed(steps)}
    return [first[name] for name in STEPS if name in first]


@pytest.mark.anyio
async def test_a_cancelled_run_goes_on_and_is_picked_up(connect: Connect, workspace: Workspace) -> None:
    """What was submitted is not lost with the call: the run's id, told as progress, completes it."""
    wishes = {"clips": [workspace.clip(frames=60)], "flow": "auto_labeling"}
    async with connect() as client:
        phrases: list[str] = []
        submitted = anyio.Event()

        async def on_progress(_done: float, _total: float | None, message: str | None) -> None:
            phrases.append(message or "")
            if phrases[-1].startswith("submit"):
                submitted.set()

        async def whole_run() -> None:
            await client.call_tool("run", wishes, progress_callback=on_progress)

        async with anyio.create_task_group() as group:
            group.start_soon(whole_run)
            await submitted.wait()
            group.cancel_scope.cancel()
        (run_id,) = {found[0] for phrase in phrases if (found := re.search(r"run-[0-9a-f]{8}", phrase))}
        result = said(await client.call_tool("run", {"run_id": run_id}))
    assert result["data"]["complete"] is True, result
    with workspace.journal() as journal:
        assert sorted(one.batch for one in journal.submissions(run_id)) == ["0", "cache"]


def test_a_tool_stops_at_its_next_note_once_the_call_is_abandoned() -> None:
    """Cancellation is cooperative: the tool is stopped where it tells how far it is."""
    notes = Notes(None)  # type: ignore[arg-type]  # the request is not asked once the call is abandoned
    notes.abandoned.set()
    caught: list[BaseException] = []

    def steps() -> None:
        try:
            notes(Note("staging", 1, 2))
        except Abandoned as stop:
            caught.append(stop)

    thread = threading.Thread(target=steps)
    thread.start()
    thread.join()
    assert len(caught) == 1


@pytest.fixture
def guarded(workspace: Workspace) -> Iterator[HttpServer]:
    """Give a server that asks for a token."""
    with HttpServer(workspace, VDA_MCP_TOKEN=TOKEN) as server:
        yield server


@pytest.mark.anyio
async def test_a_token_opens_the_door_and_nothing_else_does(guarded: HttpServer) -> None:
    """Without the token, or with another, the answer is 401; with it the tools are there."""
    url, right = guarded.url, {"Authorization": f"Bearer {TOKEN}"}
    async with httpx2.AsyncClient() as plain:
        for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": TOKEN}):
            refused = await plain.post(url, json=QUESTION, headers=headers)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    async with (
        httpx2.AsyncClient(headers=right) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        assert len((await client.list_tools()).tools) == len(TOOLS)


def test_other_origins_are_refused_on_loopback(workspace: Workspace) -> None:
    """A web page in the user's browser can't reach the server by a name of its own."""
    with HttpServer(workspace) as server:
        for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
            assert httpx.post(server.url, json=QUESTION, headers=headers).status_code in {403, 421}


def test_a_server_open_to_others_needs_a_token(workspace: Workspace) -> None:
    """An address that others can reach is refused without a token: exit 2 and what to do."""
    done = subprocess.run(
        command(workspace, "--http", "0", "--host", "0.0.0.0"),  # noqa: S104 - it must be refused
        env=environment(workspace),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "VDA_MCP_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 99_999), ("no.such.host.invalid", 0)])
def test_an_address_that_is_none_is_refused_in_words(workspace: Workspace, host: str, port: int) -> None:
    """A port or a host that can't be listened on is bad input, with what to do."""
    with pytest.raises(InputError, match="can't be listened on") as caught:
        serve_http(workspace.settings, host=host, port=port, token=TOKEN)
    assert caught.value.code == "input.mcp_port"
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("host", "home"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("10.0.0.1", False)],
)
def test_loopback_is_told_from_the_rest(host: str, home: bool) -> None:
    """Only addresses that nobody else can reach need no token."""
    assert is_loopback(host) is home
    assert not is_loopback("localhost.example")


def test_the_sdk_is_loaded_by_the_server_alone() -> None:
    """Every other part of the skill works where the extra is not installed."""
    code = "import sys, skill_tools.cli, skill_tools.schema_views; print('mcp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
