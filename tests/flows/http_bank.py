"""A bank in the test's process, for workers that are killed: a real HTTP server with books of its own."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class HttpBank:
    """Remembers keys for ever and replays its answer. It can be told to think for a while after an effect."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        """Requests by key."""
        self.effects: Counter[str] = Counter()
        """Effects by key."""
        self.thinking = threading.Event()
        """Set when a request waits for `answer`."""
        self.answer = threading.Event()
        self.answer.set()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def pay(self, key: str) -> dict[str, Any]:
        with self._lock:
            self.requests[key] += 1
            if not self.effects[key]:
                self.effects[key] += 1
        self.thinking.set()
        self.answer.wait(60)
        return {"reference": f"ref-{key[:8]}"}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(bank: Self) -> type[BaseHTTPRequestHandler]:  # noqa: N805 -- two selves in one method
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                body = json.dumps(bank.pay(self.headers["idempotency-key"])).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except ConnectionError:
                    self.close_connection = True  # who asked is dead

            def log_message(self, *_: object) -> None:
                pass

        return Handler
