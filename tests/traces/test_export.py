"""The relay exports its spans by itself where OpenTelemetry's variables name an endpoint."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import UUID

import pytest

from onceward_relay import traces
from tests.conftest import Database
from tests.relay.support import connect, publish
from tests.servers.kafka import TestKafka
from tests.support import Process, eventually

TRACE, PARENT = UUID("0af7651916cd43dd8448eb211c80319c"), bytes.fromhex("b7ad6b7169203331")


class Collector:
    """Takes what is exported by OTLP over HTTP, as bytes: ids and names stand in it as they are."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.got.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.http.serve_forever, args=(0.01,))
    thread.start()
    yield collector
    collector.http.shutdown()
    collector.http.server_close()
    thread.join()


def test_a_traced_message_published_in_sql(
    database: Database, kafka: TestKafka, collector: Collector, tmp_path: Path
) -> None:
    topic = kafka.create_topic()
    config = tmp_path / "relay.toml"
    config.write_text(
        f'[kafka]\n"bootstrap.servers" = "{kafka.bootstrap}"\n[relay]\nname = "r"\nhttp_port = 0\n'
        f'[[source]]\nname = "payer"\ndatabase = "{database.relay_url}"\n'
    )
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with Process(["-m", "onceward_relay", "relay", "run", "--config", str(config)], environment) as relay:
        relay.wait_for_output("source taken over")
        with connect(database.participant_url) as app:
            publish(
                app, topic, "k", "swordfish", f'{{"traceparent": "00-{TRACE.hex}-{"cd" * 8}-00", "n": "not recorded"}}'
            )
            publish(app, topic, "k", "swordfish", f'{{"traceparent": "00-{TRACE.hex}-{PARENT.hex()}-01"}}')
        eventually(lambda: b"".join(collector.got).count(f"send {topic}".encode()) == 1, describe=lambda: relay.output)
        assert relay.terminate() == 0
    exported = b"".join(collector.got)
    assert exported.count(TRACE.bytes) == 1
    assert exported.count(PARENT) == 1
    assert b"onceward-relay" in exported
    assert b"swordfish" not in exported


def test_nothing_is_set_up_unless_it_is_asked_for() -> None:
    assert not traces.export({})
    assert not traces.export({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"})
