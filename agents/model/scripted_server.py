"""A real HTTP server on loopback that speaks chat-completions from a script, for tests."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Body = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One response. `arguments` may be broken JSON; a `status` other than 200 sends `error`."""

    text: str = ""
    tool: str | None = None
    arguments: str = ""
    finish: str = "stop"
    refusal: str | None = None
    usage: tuple[int, int] | None = (2000, 20)  # tokens in and out, if they are told
    status: int = 200
    error: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: str | None = None  # sent as it is, as text/html
    hang_s: float = 0.0  # before anything is sent
    break_after: int | None = None  # streamed chunks, then the connection drops


def say(text: str, **more: Any) -> Answer:
    """Returns an answer in plain text."""
    return Answer(text=text, **more)


def call(tool: str, arguments: Mapping[str, Any] | str, **more: Any) -> Answer:
    """Returns a native tool call; text for the arguments is sent unchanged."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return Answer(tool=tool, arguments=text, **{"finish": "tool_calls", **more})


def fail(status: int, error: str = "scripted", **more: Any) -> Answer:
    """Returns an HTTP error."""
    return Answer(status=status, error=error, **more)


class ScriptedServer:
    """Answers from `script`, then from `otherwise`; keeps every request it saw.

    Questions of the probe are answered out of turn, as a server of `mode` would; with mode None
    they are taken from the script as all others.
    """

    def __init__(
        self,
        mode: Literal["tools", "json_schema", "text"] | None = "tools",
        *,
        streams: bool = True,
        models: tuple[str, ...] = ("scripted",),
    ) -> None:
        self.mode, self.streams, self.models = mode, streams, models
        self.script: deque[Answer] = deque()
        self.otherwise: Callable[[Body], Answer] = lambda body: fail(503, "the script is over")
        self.bodies: list[Body] = []  # of all but the probe's
        self.probes: list[Body] = []
        self.headers: list[Mapping[str, str]] = []
        self.closing = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """The base URL, for `OPENAI_BASE_URL`."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def enqueue(self, *answers: Answer) -> None:
        """Appends answers to the script."""
        self.script.extend(answers)

    def answer(self, body: Body) -> Answer:
        """Returns the answer to one request."""
        if self.mode is not None and "being tested" in json.dumps(body["messages"]):
            self.probes.append(body)
            return self._probed(body)
        self.bodies.append(body)
        return self.script.popleft() if self.script else self.otherwise(body)

    def _probed(self, body: Body) -> Answer:
        if body.get("stream") and not self.streams:
            return fail(400, "streaming is not supported")
        if "tools" in body and self.mode == "tools":
            return call("train", {"architectures": [{"first": "conv", "second": "skip"}]})
        if "response_format" in body and self.mode == "json_schema":
            return say('{"colour": "green-17"}')
        return say("ok")

    @contextmanager
    def running(self) -> Iterator[ScriptedServer]:
        """Serves until the block ends; hanging answers are let go."""
        self._thread.start()
        try:
            yield self
        finally:
            self.closing.set()
            self._http.shutdown()
            self._http.server_close()
            self._thread.join()


def _handler(server: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Keeps the tests' output quiet."""

        def do_GET(self) -> None:
            listed = [{"id": name, "object": "model"} for name in server.models]
            self._send(200, json.dumps({"object": "list", "data": listed}))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.headers.append({name.lower(): value for name, value in self.headers.items()})
            answer = server.answer(body)
            if answer.hang_s and server.closing.wait(answer.hang_s):
                return
            try:
                self._respond(answer, body)
            except (BrokenPipeError, ConnectionResetError):
                return  # the client went away, as some tests want

        def _respond(self, answer: Answer, body: Body) -> None:
            if answer.raw is not None:
                self._send(answer.status, answer.raw, {"Content-Type": "text/html"})
            elif answer.status != 200:
                error = {"message": answer.error, "type": "scripted", "code": answer.status}
                self._send(answer.status, json.dumps({"error": error}), answer.headers)
            elif body.get("stream"):
                self._stream(answer, body)
            else:
                self._send(200, json.dumps(_completion(answer)), answer.headers)

        def _stream(self, answer: Answer, body: Body) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            chunks = _chunks(answer)
            if answer.usage and body.get("stream_options", {}).get("include_usage"):
                chunks.append({"choices": [], "usage": _usage(answer.usage)})
            for chunk in chunks[: answer.break_after]:
                whole = {"id": "c1", "object": "chat.completion.chunk", "created": 0} | chunk
                self.wfile.write(f"data: {json.dumps({'model': 'scripted'} | whole)}\n\n".encode())
            if answer.break_after is None:
                self.wfile.write(b"data: [DONE]\n\n")

        def _send(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            every = {"Content-Type": "application/json", "Content-Length": str(len(text.encode()))}
            for name, value in (every | dict(headers or {})).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

    return Handler


def _usage(tokens: tuple[int, int]) -> dict[str, int]:
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    return dict(zip(names, (*tokens, sum(tokens)), strict=True))


def _completion(answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
    if answer.refusal:
        message["refusal"] = answer.refusal
    if answer.tool is not None:
        function = {"name": answer.tool, "arguments": answer.arguments}
        message["tool_calls"] = [{"id": "t1", "type": "function", "function": function}]
    whole: dict[str, Any] = {
        "id": "c1",
        "object": "chat.completion",
        "created": 0,
        "model": "scripted",
        "choices": [{"index": 0, "message": message, "finish_reason": answer.finish}],
    }
    return whole | ({"usage": _usage(answer.usage)} if answer.usage else {})


def _chunks(answer: Answer) -> list[dict[str, Any]]:
    """The answer in pieces: text by words, a tool call's arguments in thirds."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word + " "} for word in answer.text.split(" ") if answer.text]
    if answer.tool is not None:
        function = {"name": answer.tool, "arguments": ""}
        deltas.append({"tool_calls": [{"index": 0, "id": "t1", "function": function}]})
        size = max(1, -(-len(answer.arguments) // 3))
        for start in range(0, len(answer.arguments), size):
            piece = {"arguments": answer.arguments[start : start + size]}
            deltas.append({"tool_calls": [{"index": 0, "function": piece}]})
    chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": d}]} for d in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": answer.finish}]})
    return chunks
