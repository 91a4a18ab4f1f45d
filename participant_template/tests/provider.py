"""A payment provider for the tests: a real HTTP server on loopback that keeps books and can be told to misbehave."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

ERRORS = {"refuse": (402, {"code": "no_funds"}), "break": (500, {"code": "oops"})}


class PaymentProvider:
    """Keeps an idempotency key for ever and replays its answer. `misbehave` holds what to do with the next requests."""

    def __init__(self) -> None:
        self.books: dict[str, list[dict[str, Any]]] = {}
        """Every effect, by idempotency key."""
        self.misbehave: list[str] = []
        """'lose': take the money and cut the connection; 'refuse': 402; 'break': 500 without an effect."""
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

    def charge(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
        """Take the money once per key."""
        effects = self.books.setdefault(key, [])
        if not effects:
            effects.append({"reference": f"P{len(self.books)}", "amount": body["amount"]})
        return effects[0]

    def _handler(provider: Self) -> type[BaseHTTPRequestHandler]:  # noqa: N805 -- two selves in one method
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                manner = provider.misbehave.pop(0) if provider.misbehave else "behave"
                if manner in ERRORS:
                    self._answer(*ERRORS[manner])
                    return
                answer = provider.charge(self.headers["idempotency-key"], body)
                if manner == "lose":
                    self.close_connection = True
                    self.connection.close()
                else:
                    self._answer(200, answer)

            def do_GET(self) -> None:
                effects = provider.books.get(self.path.removeprefix("/charges/by-key/"))
                self._answer(200 if effects else 404, effects[0] if effects else {})

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
