"""One trace joins what publishes a message, the relay, the consumer, its flow and the flow's calls."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import CollectorRegistry
from sqlalchemy.orm import Session

from onceward import publish
from onceward.flows.flow import Flow
from onceward.worker import Worker
from tests.conftest import Database
from tests.consumer.support import Books, failing, record
from tests.flows.support import Noted, Payer, Transfer, request
from tests.ledger.bank import lose_the_reply
from tests.relay.support import relaying
from tests.servers.kafka import TestKafka
from tests.support import eventually

from .conftest import Recorder, id_of, parent_of, trace_of

SECRETS = ("account 1", "swordfish")


def shown(spans: Sequence[ReadableSpan]) -> str:
    """Everything that a trace would show to whoever may look at it."""
    return json.dumps([json.loads(span.to_json()) for span in spans])


@contextmanager
def working(worker: Worker) -> Iterator[Worker]:
    thread = Thread(target=worker.run)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(30)


def header(found: Any, name: str) -> str:
    [value] = [value for key, value in found.headers() if key == name]
    return str(value.decode())


@pytest.fixture
def payer_of(database: Database) -> Iterator[Callable[..., Payer]]:
    made: list[Payer] = []

    def make(**options: Any) -> Payer:
        made.append(Payer(database, **options))
        return made[-1]

    yield make
    for payer in made:
        payer.engine.dispose()


def test_from_publish_over_relay_and_consumer_to_the_call(
    database: Database, kafka: TestKafka, recorder: Recorder, payer_of: Callable[..., Payer]
) -> None:
    topic, replies = kafka.create_topic(), kafka.create_topic()
    payer = payer_of(topic=topic)

    def code(flow: Flow, event: Transfer) -> None:
        flow.call(payer.pay, request(event), ref="swordfish")
        flow.publish(Noted(number=1, note="swordfish"), topic=replies, key="swordfish")

    payer.code = code
    with relaying(database, kafka), working(payer.worker(kafka.bootstrap)) as worker:
        with recorder.tracer.start_as_current_span("order"), Session(payer.engine) as session, session.begin():
            session.execute(publish(Transfer(number=1, amount="5.00"), topic=topic, key="swordfish"))
        eventually(lambda: recorder.named(f"send {replies}"), describe=lambda: [span.name for span in recorder.spans])
        eventually(lambda: payer.has_completed(1))
    order, relayed, consumed = (recorder.one(name) for name in ("order", f"send {topic}", f"process {topic}"))
    run, call, reply = (recorder.one(name) for name in ("run transfer", "send bank/pay", f"send {replies}"))
    assert len({trace_of(span) for span in recorder.spans}) == 1
    assert [parent_of(span) for span in (order, relayed, consumed, run, call, reply)] == [
        None,
        id_of(order),
        id_of(order),
        id_of(consumed),
        id_of(run),
        id_of(run),
    ]
    assert [span.kind for span in (relayed, consumed, run, call)] == [
        SpanKind.PRODUCER,
        SpanKind.CONSUMER,
        SpanKind.INTERNAL,
        SpanKind.CLIENT,
    ]
    [message] = kafka.records(replies)
    assert header(message, "traceparent").startswith(f"00-{trace_of(run):032x}-{id_of(run):016x}-")
    assert relayed.attributes is not None
    assert consumed.attributes is not None
    assert relayed.attributes["messaging.message.id"] == consumed.attributes["messaging.message.id"]
    assert not any(secret in shown(recorder.spans) for secret in SECRETS)
    assert dict(worker.counts.items())["handled"] == 1
    assert exported_by_the_page(worker) == 1


def exported_by_the_page(worker: Worker) -> float | None:
    """Export the worker's counts with the code that docs/metrics.md gives to teams."""
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    scope: dict[str, Any] = {"Worker": Worker}
    exec(page.partition("```python\n")[2].partition("```")[0], scope)  # the page is ours
    registry = CollectorRegistry()
    registry.register(scope["Messages"](worker))
    return registry.get_sample_value("onceward_messages_total", {"outcome": "handled"})


def test_a_resend_much_later_stands_where_the_call_was_asked_for(
    recorder: Recorder, payer_of: Callable[..., Payer]
) -> None:
    payer = payer_of()
    payer.bank.manners = [lose_the_reply]
    with recorder.tracer.start_as_current_span("web request") as asked:
        payer.start()
    payer.code = lambda flow, event: flow.call(payer.pay, request(event))
    payer.run_due()
    assert payer.calls == [("pay", "in_doubt")]
    eventually(lambda: payer.ledger.sweep() and payer.calls == [("pay", "succeeded")])
    payer.run_due()
    assert payer.states == {"completed": 1}
    first, second = recorder.named("send bank/pay")
    runs = recorder.named("run transfer")
    assert [parent_of(run) for run in runs] == [asked.get_span_context().span_id] * len(runs)
    assert parent_of(first) == parent_of(second) == id_of(runs[0])
    assert [span.status.status_code for span in (first, second)] == [StatusCode.ERROR, StatusCode.UNSET]
    assert first.attributes is not None
    assert (first.attributes["onceward.verdict"], first.attributes["error.type"]) == ("unknown", "unknown")


def test_a_failed_handler_is_shown_without_its_words(database: Database, recorder: Recorder) -> None:
    books = Books(database.engine, database.participant_url)
    books.before = failing(0, error=lambda: ValueError("swordfish"))
    books.take(record(0, traceparent=f"00-{'ab' * 16}-{'cd' * 8}-01"))
    books.engine.dispose()
    [span] = recorder.spans
    assert (f"{trace_of(span):x}", f"{parent_of(span):x}") == ("ab" * 16, "cd" * 8), "the CloudEvents extension is read"
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes is not None
    assert span.attributes["error.type"] == "ValueError"
    assert "swordfish" not in shown([span])


def test_a_trace_that_is_not_recorded_adds_nothing(payer_of: Callable[..., Payer]) -> None:
    payer = payer_of()
    payer.run()
    assert payer.rows("SELECT trace FROM onceward.flow") == [None]
