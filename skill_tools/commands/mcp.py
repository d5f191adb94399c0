"""`vda mcp`: the tools over MCP, for one client on pipes or for several over HTTP."""

from __future__ import annotations

import argparse

from skill_tools import __version__
from skill_tools.commands.command import Command, settings_of
from skill_tools.errors import InputError


def _add_mcp(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--http", type=int, metavar="PORT", help="over streamable HTTP; 0: any free port")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="with --http; any but loopback asks for a bearer token in VDA_MCP_TOKEN",
    )
    parser.add_argument("--read-only", action="store_true", help="only the tools that change nothing")


def _mcp(given: argparse.Namespace) -> int:
    """Serve until the client has gone; standard output is the protocol's."""
    settings = settings_of(given)
    try:
        from skill_tools import mcp_server
    except ModuleNotFoundError as error:
        raise InputError(
            f"The MCP server needs the package {error.name!r}",
            expected="the extra [mcp]",
            remedy=f'pip install "physical-ai-video-data-augmentation[mcp]=={__version__}"',
            code="input.extra",
        ) from error
    if given.http is None:
        mcp_server.serve_stdio(settings, read_only=given.read_only)
        return 0
    token = settings.environ.get(mcp_server.TOKEN_VARIABLE)
    mcp_server.serve_http(settings, port=given.http, host=given.host, token=token, read_only=given.read_only)
    return 0


MCP = Command(
    name="mcp",
    summary="Serve the tools over MCP, on standard input and output.",
    examples=("vda mcp",),
    run=_mcp,
    add_arguments=_add_mcp,
)
