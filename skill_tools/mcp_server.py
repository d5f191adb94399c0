"""The tools over MCP: on standard input and output, or over streamable HTTP.

`vda mcp` serves one client over its pipes; `vda mcp --http PORT` serves clients on this machine, and,
behind a bearer token, others. Nothing is kept between calls: a run's handle is its `run_id`.
"""

from __future__ import annotations

import hmac
import json
import re
import socket
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from mimetypes import guess_type
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import anyio
import anyio.from_thread
import anyio.to_thread
import mcp_types as types
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import INVALID_PARAMS

from skill_tools import __version__
from skill_tools.errors import InputError
from skill_tools.policy.media_line import media_path
from skill_tools.registry import TOOLS, call
from skill_tools.schema_views import mcp as described_for_mcp
from skill_tools.settings import RUNS_FOLDER, Settings
from skill_tools.storage.url import RUN_ID_PATTERN
from skill_tools.terminal import phrase
from skill_tools.tool import AnyTool, Problem, ToolResult
from skill_tools.tools.context import Note

NAME = "physical-ai-video-data-augmentation"
TOKEN_VARIABLE = "VDA_MCP_TOKEN"  # noqa: S105 - the name of a variable, not its value
MAX_RESOURCE_BYTES = 64 * 2**20
MAX_LISTED_REPORTS = 50
# Clients that draw a line for each notification are not to be flooded.
PROGRESS_EVERY_S = 0.5
LEAST_STEP = 0.001
MAX_PORT = 65_535

INSTRUCTIONS = (
    "Make photometric variants of video clips, label originals and variants, and show them side by side. "
    "run does all of it in one call; where its result is running, make the call in `next` to go on. Or step "
    "by step: begin with select_flow; every result names the next call, complete with its arguments, in "
    "`next`. A denied call carries the corrected one there. Submitted work goes on by itself, also where a "
    "call was cancelled. Read vda://skill/SKILL.md first."
)

CHANGING = {
    "revive": "starts a run's supervisor again",
    "go_on": "takes steps behind it that may write",
}
"""Arguments with which a tool that only reads would do more."""

RUN_ID = re.compile(RUN_ID_PATTERN)
Request = ServerRequestContext[Any, Any]


class Abandoned(BaseException):
    """The client has cancelled the call; raised where the tool tells how far it is.

    Like `KeyboardInterrupt` it is no error, so that nothing on its way takes it for one.
    """


def serve_stdio(settings: Settings, *, read_only: bool = False) -> None:
    """Serve one client on standard input and output until it closes them."""

    async def serve() -> None:
        server = build(settings, read_only=read_only)
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    anyio.run(serve)


def serve_http(
    settings: Settings,
    *,
    port: int,
    host: str = "127.0.0.1",
    token: str | None = None,
    read_only: bool = False,
) -> None:
    """Serve clients over streamable HTTP at `/mcp` until the process is ended.

    Args:
        settings: The workspace that all clients share.
        port: The port to listen on; 0 takes a free one, which is said on standard error.
        host: The address to listen on. Anything but loopback asks for a token.
        token: What clients must send as `Authorization: Bearer …`; None on loopback asks for nothing.
        read_only: Offer only the tools that change nothing.

    Raises:
        InputError: the address is open to others and there is no token, or it can't be listened on.
    """
    import uvicorn

    at_home = is_loopback(host)
    if not at_home and not token:
        raise InputError(
            f"{host} can be reached by others, and there is no token",
            expected=f"a bearer token in {TOKEN_VARIABLE}",
            remedy=f"set {TOKEN_VARIABLE} to a long random text, or leave --host out",
            code="input.mcp_token",
        )
    listener = _listening(host, port)
    address, bound = listener.getsockname()[:2]
    app: Any = build(settings, read_only=read_only).streamable_http_app(host=host if at_home else address)
    if token:
        app = BearerOnly(app, token)
    shown = f"[{address}]" if ":" in address else address
    print(f"listening on http://{shown}:{bound}/mcp", file=sys.stderr, flush=True)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
    uvicorn.Server(config).run(sockets=[listener])


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _listening(host: str, port: int) -> socket.socket:
    if not 0 <= port <= MAX_PORT:
        raise _no_address(host, port, f"ports go from 0 to {MAX_PORT}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise _no_address(host, port, str(error)) from error


def _no_address(host: str, port: int, reason: str) -> InputError:
    return InputError(
        f"{host}:{port} can't be listened on: {reason}",
        expected="an address of this machine and a free port",
        remedy="give another port, or 0 for a free one",
        code="input.mcp_port",
    )


class BearerOnly:
    """Lets through only requests that carry the token; an ASGI application around another."""

    def __init__(self, app: Callable[..., Awaitable[None]], token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        """Answer 401 unless the token is right; what opens and closes the server passes."""
        given = dict(scope.get("headers", ())).get(b"authorization", b"")
        if scope["type"] == "lifespan" or hmac.compare_digest(given, self._expected):
            await self._app(scope, receive, send)
            return
        headers = [(b"www-authenticate", b"Bearer"), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"error": "a bearer token is required"}'})


def build(settings: Settings, *, read_only: bool = False) -> Server[Any]:
    """Return the server of a workspace."""
    offer = Offer(settings, read_only=read_only)
    return Server(
        NAME,
        version=__version__,
        title="Video data augmentation",
        instructions=INSTRUCTIONS,
        on_list_tools=offer.list_tools,
        on_call_tool=offer.call_tool,
        on_list_resources=offer.list_resources,
        on_list_resource_templates=offer.list_templates,
        on_read_resource=offer.read_resource,
        get_tool_input_schema=offer.input_schema,
    )


@dataclass(frozen=True)
class Offer:
    """What the server offers: tools, and the files of the skill and of its runs."""

    settings: Settings
    read_only: bool = False
    entries: Mapping[str, types.Tool] = field(init=False)

    def __post_init__(self) -> None:
        """Describe the tools once; the list is the same in every answer."""
        entries = {tool.name: _entry(tool) for tool in TOOLS.values() if self._offers(tool)}
        object.__setattr__(self, "entries", entries)

    def _offers(self, tool: AnyTool) -> bool:
        return tool.effects.read_only or not self.read_only

    def input_schema(self, name: str) -> dict[str, Any] | None:
        """Return what a tool takes, or None where there is no such tool."""
        entry = self.entries.get(name)
        return entry.input_schema if entry else None

    async def list_tools(self, _request: Request, _page: object) -> types.ListToolsResult:
        """Return every tool, in the order in which a run uses them."""
        return types.ListToolsResult(tools=list(self.entries.values()))

    async def call_tool(self, request: Request, params: types.CallToolRequestParams) -> types.CallToolResult:
        """Call a tool in a thread of its own, telling how far it is.

        Raises:
            MCPError: there is no such tool here.
        """
        if params.name not in self.entries:
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name}", {"tools": list(self.entries)})
        arguments = params.arguments or {}
        changing = next((name for name in CHANGING if arguments.get(name)), None)
        if self.read_only and changing:
            return self._answer(_read_only(params.name, changing))
        notes = Notes(request)
        try:
            result = await anyio.to_thread.run_sync(
                lambda: call(params.name, arguments, settings=self.settings, on_note=notes),
                abandon_on_cancel=True,
            )
        finally:
            notes.abandoned.set()
        return self._answer(result)

    def _answer(self, result: ToolResult) -> types.CallToolResult:
        document = result.model_dump(mode="json")
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        content: list[types.ContentBlock] = [types.TextContent(text=text)]
        content += self._links(result)
        return types.CallToolResult(content=content, structured_content=document, is_error=not result.ok)

    def _links(self, result: ToolResult) -> Iterator[types.ResourceLink]:
        """Yield a link for each `MEDIA:` line of a result."""
        for message in result.messages:
            path = media_path(message.body) if message.kind == "media" else None
            uri = self._uri_of(Path(path)) if path else None
            if path and uri:
                file = Path(path)
                size = file.stat().st_size if file.is_file() else None
                yield types.ResourceLink(name=file.name, uri=uri, mime_type=_mime_type(file), size=size)

    @property
    def _runs(self) -> Path:
        return self.settings.workspace / RUNS_FOLDER

    def _uri_of(self, path: Path) -> str | None:
        """Return the address of a run's file, or None for a file of no run."""
        runs = self._runs.resolve()
        within = path.resolve()
        return f"vda://runs/{quote(str(within.relative_to(runs)))}" if within.is_relative_to(runs) else None

    async def list_resources(self, _request: Request, _page: object) -> types.ListResourcesResult:
        """Return the skill's pages, then the reports of the newest runs."""
        skill = self.settings.skill_dir
        pages = [skill / "SKILL.md", *sorted(skill.glob("references/**/*.md"))]
        resources = [
            types.Resource(
                name=str(page.relative_to(skill)),
                uri=f"vda://skill/{quote(str(page.relative_to(skill)))}",
                mime_type="text/markdown",
                size=page.stat().st_size,
            )
            for page in pages
            if page.is_file()
        ]
        found = sorted(self._runs.glob("run-*/report.html"), key=lambda page: (-page.stat().st_mtime, page))
        for page in found[:MAX_LISTED_REPORTS]:
            run_id = page.parent.name
            resources.append(
                types.Resource(
                    name=f"{run_id} report",
                    uri=f"vda://runs/{run_id}/report.html",
                    mime_type="text/html",
                    size=page.stat().st_size,
                )
            )
        return types.ListResourcesResult(resources=resources)

    async def list_templates(self, _request: Request, _page: object) -> types.ListResourceTemplatesResult:
        """Return how every file of a run is addressed."""
        template = types.ResourceTemplate(
            name="run file",
            uri_template="vda://runs/{run_id}/{+path}",
            description="A file of a run: report.html, display/…_compare.mp4, outputs/…",
        )
        return types.ListResourceTemplatesResult(resource_templates=[template])

    async def read_resource(
        self, _request: Request, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        """Return a page as text, a video or picture as bytes.

        Raises:
            MCPError: no such file among those that are offered, or it is too large to send.
        """
        uri = str(params.uri)
        file = self._file_of(uri)
        if file is None:
            raise MCPError(INVALID_PARAMS, f"Resource not found: {uri}", {"uri": uri})
        if file.stat().st_size > MAX_RESOURCE_BYTES:
            raise MCPError(INVALID_PARAMS, f"{uri} is too large to send; it lies at {file}", {"uri": uri})
        content = await anyio.Path(file).read_bytes()
        return types.ReadResourceResult(contents=[_contents(uri, _mime_type(file), content)])

    def _file_of(self, uri: str) -> Path | None:
        """Return the file behind an address, never one outside of the skill's pages and the runs."""
        room, _, rest = uri.removeprefix("vda://").partition("/")
        inside = unquote(rest)
        if not uri.startswith("vda://") or "\0" in inside:
            return None
        skill, run_id = self.settings.skill_dir, inside.partition("/")[0]
        roots: tuple[Path, ...]
        if room == "skill":
            base, roots = skill, (skill / "SKILL.md", skill / "references")
        elif room == "runs" and RUN_ID.fullmatch(run_id):
            base, roots = self._runs, (self._runs / run_id,)
        else:
            return None
        real = (base / inside).resolve()
        allowed = any(real.is_relative_to(root.resolve()) for root in roots)
        return real if allowed and real.is_file() else None


class Notes:
    """Takes a tool's notes in its thread and sends them as progress; stops a tool that was cancelled.

    MCP asks for progress that only grows: phases are counted in the order in which they begin, a phase's
    share is added, and where nothing moves the smallest step says that the tool is alive.
    """

    def __init__(self, request: Request) -> None:
        self.abandoned = threading.Event()
        self._request = request
        self._phases: dict[str, int] = {}
        self._sent, self._sent_at = 0.0, float("-inf")

    def __call__(self, note: Note) -> None:
        """Send a note, unless one was sent just now.

        Raises:
            Abandoned: the client has cancelled the call.
        """
        if self.abandoned.is_set():
            raise Abandoned
        now, fresh = time.monotonic(), note.phase not in self._phases
        if not fresh and now - self._sent_at < PROGRESS_EVERY_S:
            return
        before = self._phases.setdefault(note.phase, len(self._phases))
        share = min(note.done / note.total, 1.0) if note.total else 0.0
        self._sent, self._sent_at = max(before + share, self._sent + LEAST_STEP), now
        anyio.from_thread.run(self._request.session.report_progress, self._sent, None, phrase(note))


def _entry(tool: AnyTool) -> types.Tool:
    return types.Tool.model_validate(described_for_mcp(tool))


def _read_only(tool: str, argument: str) -> ToolResult:
    problem = Problem(
        code="denied.read_only",
        message=f"This server only reads, and {tool} with {argument} {CHANGING[argument]}",
        expected=f"{tool} without {argument}",
        remedy="ask for a server without --read-only",
        retry="after_fix",
    )
    return ToolResult(ok=False, tool=tool, status="denied", problem=problem)


def _mime_type(file: Path) -> str:
    if file.suffix == ".md":
        return "text/markdown"
    return guess_type(file.name)[0] or "application/octet-stream"


def _contents(
    uri: str, mime_type: str, content: bytes
) -> types.TextResourceContents | types.BlobResourceContents:
    is_text = mime_type.startswith("text/") or mime_type == "application/json"
    if is_text:
        return types.TextResourceContents(uri=uri, mime_type=mime_type, text=content.decode(errors="replace"))
    return types.BlobResourceContents(uri=uri, mime_type=mime_type, blob=b64encode(content).decode())
