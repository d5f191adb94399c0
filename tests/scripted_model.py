"""A model that follows a script, behind a real OpenAI-compatible HTTP server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

MODEL = "scripted"

Message = dict[str, Any]
Script = Callable[[Mapping[str, Any]], Message]
"""Takes a request of the chat completions protocol and returns the assistant's message."""


def calling(tool: str, arguments: Mapping[str, Any], *, number: int = 0) -> Message:
    """Return a message that calls a tool."""
    function = {"name": tool, "arguments": json.dumps(arguments)}
    call = {"id": f"call_{number}", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def saying(text: str) -> Message:
    """Return a message that calls nothing."""
    return {"role": "assistant", "content": text}


def results_in(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the tools' results that a request carries."""
    return [json.loads(one["content"]) for one in request["messages"] if one["role"] == "tool"]


def follower(tool: str, **arguments: Any) -> Script:
    """Return a model that makes a call, then does what each result names, and ends with what that says."""

    def answer(request: Mapping[str, Any]) -> Message:
        results = results_in(request)
        if not results:
            return calling(tool, _given(tool, arguments, request))
        last = results[-1]
        if last["next"]:
            step = last["next"][0]
            return calling(
                step["tool"], _given(step["tool"], step["arguments"], request), number=len(results)
            )
        return saying("\n".join(message["body"] for message in last["messages"]))

    return answer


def _given(tool: str, arguments: Mapping[str, Any], request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return arguments as a model has to give them: where a tool is strict, every property, maps as pairs."""
    offered = {one["function"]["name"]: one["function"] for one in request["tools"]}
    if not offered[tool].get("strict"):
        return arguments
    pairs = {
        name: [{"name": key, "value": each} for key, each in value.items()]
        for name, value in arguments.items()
        if isinstance(value, dict)
    }
    return dict.fromkeys(offered[tool]["parameters"]["properties"]) | dict(arguments) | pairs


class ScriptedEndpoint:
    """A server on a free port of this machine that answers chat completions as a script says."""

    def __init__(self, script: Script) -> None:
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.requests.append(request)
                endpoint.keys.append(self.headers.get("Authorization", ""))
                known = self.path == "/v1/chat/completions" and request["model"] == MODEL
                body = _completion(script(request)) if known else {"error": {"message": "no such model"}}
                content = json.dumps(body).encode()
                self.send_response(200 if known else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        """Serve within the block."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def called(self) -> list[str]:
        """The tools that the model called, in order, as the last request carries them."""
        last = self.requests[-1]["messages"]
        return [call["function"]["name"] for one in last for call in one.get("tool_calls") or ()]


def _completion(message: Message) -> dict[str, Any]:
    ended = "tool_calls" if message.get("tool_calls") else "stop"
    return {
        "id": "completion",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": ended, "logprobs": None}],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }
