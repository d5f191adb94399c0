"""A real HTTP server on this machine that answers, refuses, stalls and breaks as a test says."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    """What a client sent; header names in lower case."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]


@dataclass(frozen=True)
class Reply:
    """What the server answers. `fault` is stall, hang_up, nonsense, short or trickle."""

    status: int = 200
    body: object = ""
    headers: dict[str, str] = field(default_factory=dict)
    fault: str = ""


Route = Callable[[Request], Reply]


class WebLab:
    """A server with routes from path to reply; all others are 404."""

    def __init__(self) -> None:
        self.routes: dict[str, Reply | Route] = {}
        self.requests: list[Request] = []
        self.over = threading.Event()
        lab = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                lab.answer(self)

            def do_HEAD(self) -> None:
                lab.answer(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def host(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """The server's URL."""
        return f"http://{self.host}"

    def close(self) -> None:
        """Stop serving, and let go of whoever is stalled."""
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        parts = urlsplit(handler.path)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = Request(handler.command, parts.path, parse_qs(parts.query), headers)
        self.requests.append(request)
        route = self.routes.get(parts.path, Reply(404, {"errors": [{"code": "NAME_UNKNOWN"}]}))
        reply = route if isinstance(route, Reply) else route(request)
        body = reply.body if isinstance(reply.body, bytes) else self._encoded(reply.body)
        if reply.fault:
            self._misbehave(handler, reply.fault, body)
            return
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if request.method != "HEAD":
            handler.wfile.write(body)

    def asked(self, path: str) -> list[Request]:
        """Return the requests for a path."""
        return [each for each in self.requests if each.path == path]

    def _misbehave(self, handler: BaseHTTPRequestHandler, fault: str, body: bytes) -> None:
        handler.close_connection = True
        if fault == "stall":
            self.over.wait(60)
        elif fault == "nonsense":
            handler.wfile.write(b"\x00\x01 this is no HTTP\r\n\r\n")
        elif fault == "short":
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body) + 100}\r\n\r\n"
            handler.wfile.write(head.encode() + body)
        elif fault == "trickle":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not self.over.wait(0.05):
                try:
                    handler.wfile.write(b" ")
                except OSError:
                    return

    @staticmethod
    def _encoded(body: object) -> bytes:
        return (body if isinstance(body, str) else json.dumps(body)).encode()


def unused_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
