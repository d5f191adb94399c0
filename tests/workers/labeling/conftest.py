"""What the labeling tests share: the sample clip, its weights, a short clip and a model server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from skill_tools.media.video import ClipWriter, read_frames

ASSETS = Path(__file__).parents[3] / "assets"


@pytest.fixture(scope="session")
def sample_clip() -> Path:
    """Give the real clip that the project carries."""
    return ASSETS / "samples" / "campus_walkway.mp4"


@pytest.fixture(scope="session")
def weights() -> Path:
    """Give the vendored network."""
    return ASSETS / "models" / "nanodet_g_coco80_416.onnx"


@pytest.fixture(scope="session")
def short_clip(sample_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the sample's first 16 frames at half size."""
    path = tmp_path_factory.mktemp("clips") / "short.mp4"
    with ClipWriter(path, width=384, height=288, rate=Fraction(10)) as writer:
        for index, frame in enumerate(islice(read_frames(sample_clip), 16)):
            small = frame.reformat(width=384, height=288, format="bgr24")
            writer.write_bgr(small.to_ndarray(), index)
    return path


class ModelServer(ThreadingHTTPServer):
    """An OpenAI-compatible server that says what a test wants and remembers what it was asked."""

    daemon_threads = True

    def __init__(self, answer: Callable[[dict[str, Any]], str], status: int, delay_s: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer, self.status, self.delay_s = answer, status, delay_s
        self.requests: list[dict[str, Any]] = []
        self.authorizations: list[str | None] = []

    @property
    def url(self) -> str:
        """Give the base URL."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: ModelServer

    def do_GET(self) -> None:
        self._reply(200, json.dumps({"data": [{"id": "listed-model"}]}))

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.path.startswith("/v1/"):
            self._reply(404, "{}")
            return
        self.server.requests.append(request)
        self.server.authorizations.append(self.headers["Authorization"])
        time.sleep(self.server.delay_s)
        message = {"message": {"content": self.server.answer(request)}}
        self._reply(self.server.status, json.dumps({"choices": [message]}))

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def _reply(self, status: int, text: str) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())
        except (BrokenPipeError, ConnectionResetError):
            return  # a client that lost patience


Serve = Callable[..., Any]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers that end with the test."""

    @contextmanager
    def running(
        answer: Callable[[dict[str, Any]], str] | str, *, status: int = 200, delay_s: float = 0.0
    ) -> Iterator[ModelServer]:
        say = answer if callable(answer) else lambda _: answer
        with ModelServer(say, status, delay_s) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            try:
                yield server
            finally:
                server.shutdown()
                thread.join()

    return running  # type: ignore[return-value]
