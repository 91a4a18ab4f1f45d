"""A payment provider for the tests: a real HTTP server on loopback that keeps books, and keys as ours promises."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote

Answer = tuple[int, dict[str, Any]]


class PaymentProvider:
    """Keeps an idempotency key for ever and replays its answer."""

    def __init__(self) -> None:
        self.books: dict[tuple[str, str], tuple[bytes, dict[str, Any]]] = {}
        """The request and the answer of every effect, by operation and idempotency key."""
        self.refuses = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        """The provider's base URL."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def act(self, operation: str, key: str, request: bytes) -> Answer:
        """Do it once per key."""
        if self.refuses:
            return 402, {"code": "no_funds"}
        name = f"{operation}-{len(self.books) + 1}"
        answer = json.loads(request) | {"reference": name} | ({"hold_id": name} if operation == "holds" else {})
        known, first = self.books.setdefault((operation, key), (request, answer))
        return (200, first) if known == request else (422, {"code": "key_of_another_request"})

    def find(self, operation: str, key: str) -> Answer:
        """Look up what was done under a key."""
        known = self.books.get((operation, key))
        return (200, known[1]) if known else (404, {})

    def _handler(provider: Self) -> type[BaseHTTPRequestHandler]:  # noqa: N805 -- two selves in one method
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = self.rfile.read(int(self.headers["content-length"]))
                self._answer(*provider.act(self.path.strip("/"), self.headers["idempotency-key"], request))

            def do_GET(self) -> None:
                operation, _, key = self.path.strip("/").partition("/by-key/")
                self._answer(*provider.find(operation, unquote(key)))

            def _answer(self, status: int, body: dict[str, Any]) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        return Handler
