"""A server that stands for a remote model: it answers the rows of ``small.save_project`` rightly."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar


class Server(BaseHTTPRequestHandler):
    """Stands for a remote model: answers rightly, fails for one colour."""

    asked: ClassVar[list[str]] = []
    broken: ClassVar[str] = ""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = body["messages"][-1]["content"]
        Server.asked.append(text)
        words = text.split()
        if Server.broken and Server.broken in words:
            self._send(400, {"error": {"message": "no"}})
            return
        colour = next(w for w in words if w in ("red", "blue", "green", "brown"))
        thing = words[words.index(colour) + 1]
        message = {"role": "assistant", "content": f"colour: {colour}\nthing: {thing}"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 20, "completion_tokens": 6}
        self._send(200, {"choices": [choice], "usage": usage})

    def _send(self, code: int, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Silence."""


@contextmanager
def serve_colours() -> Iterator[str]:
    """The server in a thread; its address."""
    Server.asked, Server.broken = [], ""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
