"""A fake bank, a process of its own: `python -m onceward_relay.demo.bank --books FILE`. Its first line is its address.

What it offers: `POST /holds`, which sets money of an account aside, `/captures`, which lets it leave the bank,
`/releases`, which gives it back, `/debits` and `/refunds`, all under an `Idempotency-Key`, whose success they answer
again, with a lookup at `GET /holds/by-key/KEY`; `POST /reservations`, a promise that a credit will be taken,
`/cancellations` of it, and `/credits`, without keys, with an authoritative lookup at
`GET /credits/by-reference/REFERENCE`; and `POST /gateway-credits`, an old gateway that offers neither. The body is
`{"reference": "r", "account": "a", "amount": "5.00", "currency": "EUR"}`.

It has bad manners (see `manners`), by chance or as told: `POST /control/manners {"next": ["lose_reply"]}` queues them
for the next requests, with `"operation": "debits"`, `"reference": "r"` or `"account": "a"` for those only;
`GET /control/held` says how many requests are held, `POST /control/release` lets them go on.

It stands for a company that has never heard of onceward, and shares no code with it.
"""

import argparse
import gzip
import json
import signal
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from onceward_relay.demo.books import Books
from onceward_relay.demo.manners import Manners, rates
from onceward_relay.demo.teller import OPERATIONS, Answer, Cut, Teller

LONGEST_BODY = 65536
BOMB = 64 << 20
"""Bytes of a bomb, once it is decompressed."""


class Bank:
    """Serves on one port until it is told to stop, and is down in between where its manners say so."""

    def __init__(self, books: Books, manners: Manners, port: int = 0) -> None:
        self.teller = Teller(books, manners, self.go_down)
        self._server = _Server(self.teller, port)
        self._server.server_activate()
        self._down = threading.Event()
        self._down_for = 0.0
        self._stopping = threading.Event()

    @property
    def address(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def run(self) -> None:
        """Serve until `stop`."""
        while not self._stopping.is_set():
            while not (self._stopping.is_set() or self._down.is_set()):
                self._server.handle_request()
            self._close()
        self._server.server_close()

    def stop(self) -> None:
        """Let `run` end. Any thread or signal handler may call it."""
        self._stopping.set()

    def go_down(self, seconds: float) -> None:
        """Cut all connections and refuse new ones for a while. Any thread may call it."""
        self._down_for = seconds
        self._down.set()

    def _close(self) -> None:
        self._server.server_close()
        self._server.cut()
        # Bound but not listening: connections are refused, and nobody else gets the port.
        self._server = _Server(self.teller, self._server.server_port)
        self._stopping.wait(self._down_for)
        self._server.server_activate()
        self._down.clear()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    timeout = 0.05

    def __init__(self, teller: Teller, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler, bind_and_activate=False)
        self.teller = teller
        self._connections: set[socket.socket] = set()
        self.server_bind()

    def server_bind(self) -> None:
        # Not that of HTTPServer, which asks the name service who 127.0.0.1 is.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def cut(self) -> None:
        """Cut all connections."""
        for connection in list(self._connections):
            _cut(connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # clients that are killed cut their connections
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves in one piece
    server: _Server

    def do_GET(self) -> None:
        match self._path():
            case [operation, "by-key", key] if operation in OPERATIONS and OPERATIONS[operation].keyed:
                self._answer(self.server.teller.find(operation, key=key))
            case [operation, "by-reference", reference] if operation in OPERATIONS and OPERATIONS[operation].lookup:
                self._answer(self.server.teller.find(operation, reference=reference))
            case ["control", "held"]:
                self._answer(Answer(200, self.server.teller.held))
            case _:
                self._answer(Answer.problem(404, "no_such_page"))

    def do_POST(self) -> None:
        body = self._body()
        match self._path():
            case _ if body is None:
                self._answer(Answer.problem(411, "length_missing"))
            case [operation] if operation in OPERATIONS:
                self._act(operation, body)
            case ["control", "manners" | "release" as action]:
                self._answer(self.server.teller.control(action, body))
            case _:
                self._answer(Answer.problem(404, "no_such_page"))

    def _act(self, operation: str, body: bytes) -> None:
        try:
            answer = self.server.teller.post(operation, self.headers.get("Idempotency-Key"), body)
        except Cut:
            _cut(self.connection)
            self.close_connection = True
        else:
            self._answer(answer)

    def _path(self) -> list[str]:
        return [unquote(part) for part in self.path.strip("/").split("/")]

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LONGEST_BODY:
            self.close_connection = True
            return None
        return self.rfile.read(int(length))

    def _answer(self, answer: Answer) -> None:
        spoilt, body, headers = answer.spoilt, json.dumps(answer.body).encode(), dict(answer.headers)
        if spoilt and spoilt.name == "bomb":
            body, headers["Content-Encoding"] = _bomb(), "gzip"
        self.send_response_only(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if spoilt and spoilt.name == "cut_reply":
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        elif spoilt and spoilt.name == "drip":
            self._drip(body, spoilt.seconds / len(body))
        else:
            self.wfile.write(body)

    def _drip(self, body: bytes, pause: float) -> None:
        for byte in body:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(pause)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@cache
def _bomb() -> bytes:
    return gzip.compress(b" " * BOMB)


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a bank until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m onceward_relay.demo.bank", description="A fake bank.")
    parser.add_argument("--books", type=Path, required=True, metavar="FILE", help="SQLite file, made if it is missing")
    parser.add_argument("--port", type=int, default=0, help="of 127.0.0.1; 0 lets the system choose")
    parser.add_argument("--seed", type=int, default=0, help="of what happens by chance")
    parser.add_argument("--manners", default="", metavar="NAME=SHARE,...", help="what happens by chance")
    parser.add_argument(
        "--opening", type=int, default=100_000, metavar="CENTS", help="what every account holds at first"
    )
    parser.add_argument("--closed", action="append", default=[], metavar="ACCOUNT", help="refuses all movements")
    options = parser.parse_args(arguments)
    try:
        manners = Manners(options.seed, rates(options.manners))
    except ValueError as error:
        parser.error(str(error))
    bank = Bank(Books(options.books, opening=options.opening, closed=options.closed), manners, options.port)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: bank.stop())
    print(bank.address, flush=True)
    bank.run()


if __name__ == "__main__":
    main()
