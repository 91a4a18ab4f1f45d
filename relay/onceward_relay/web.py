"""/metrics and /health over HTTP: a few lines of WSGI on threads, which sleep while nobody asks."""

import json
import time
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from onceward_relay.metrics import Metrics

DEAD_AFTER = 300.0
"""Seconds without a sign of life from a source's loop after which the process counts as hung."""
READY = ("owner", "stand_by")


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    timeout = 30  # of the socket: a client that says nothing must not hold a thread for ever

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 -- wsgiref's signature
        """Say nothing: scrapes are no events."""


class Web:
    """The HTTP server of one daemon."""

    def __init__(self, metrics: Metrics, host: str, port: int) -> None:
        self._metrics = metrics
        self._prometheus = make_wsgi_app(metrics.registry)
        self._server = make_server(host, port, self._respond, server_class=_Server, handler_class=_Quiet)
        self.address = f"{host}:{self._server.server_port}"
        """Where it listens."""
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), name="http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _respond(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            metrics: Iterable[bytes] = self._prometheus(environ, start)
            return metrics
        if path == "/health/live":
            return _answer(start, self._live(), {})
        if path == "/health/ready":
            return _answer(start, self._ready(), {"sources": self._sources()})
        start("404 Not Found", [("Content-Type", "text/plain")])
        return [b"/metrics, /health/live, /health/ready\n"]

    def _live(self) -> bool:
        return all(time.monotonic() - state.beat_at < DEAD_AFTER for state in self._metrics.states.values())

    def _ready(self) -> bool:
        """Return whether any source is at work or stands by; a broken one alone must not stop a roll-out."""
        return any(state.state in READY for state in self._metrics.states.values())

    def _sources(self) -> list[dict[str, Any]]:
        return [
            {
                "name": state.name,
                "state": state.state,
                "reason": state.reason,
                "lag_seconds": round(state.lag_seconds, 3),
            }
            for state in self._metrics.states.values()
        ]


def _answer(start: Callable[..., Any], good: bool, more: dict[str, Any]) -> Iterable[bytes]:
    start("200 OK" if good else "503 Service Unavailable", [("Content-Type", "application/json")])
    return [json.dumps({"ok": good, **more}).encode() + b"\n"]
