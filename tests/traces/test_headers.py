"""The place in a trace travels in headers, and never costs a message or a call."""

import subprocess
import sys
import time
from typing import Any

import pytest
from opentelemetry import context as present
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState
from pydantic import BaseModel

from onceward import tracing
from onceward.http import Client
from onceward.messages import MAX_HEADERS, Message, row_of
from onceward.providers import Sending
from tests.ledger.test_http import Paid, Server, server

from .conftest import Recorder

__all__ = ["server"]
OWN = f"00-{'ab' * 16}-{'cd' * 8}-00"


class Placed(BaseModel):
    number: int = 1


def headers(**given: str) -> Any:
    return row_of(Message(Placed(), "orders", "k", headers=given))["headers"]


def test_what_is_recorded_is_passed_on(recorder: Recorder) -> None:
    assert headers() == {}
    with recorder.tracer.start_as_current_span("order") as span:
        found = headers(region="eu")
    context = span.get_span_context()
    assert found["traceparent"].startswith(f"00-{context.trace_id:032x}-{context.span_id:016x}-")
    assert found.keys() == {"region", "traceparent"}


@pytest.mark.parametrize("name", ["traceparent", "Traceparent", "ce_traceparent"])
def test_the_caller_s_own_place_stands(recorder: Recorder, name: str) -> None:
    with recorder.tracer.start_as_current_span("order"):
        assert headers(**{name: OWN}) == {name: OWN}


def test_a_message_with_no_room_goes_without(recorder: Recorder) -> None:
    full = {f"h{number}": "" for number in range(MAX_HEADERS)}
    with recorder.tracer.start_as_current_span("order"):
        assert headers(**full) == full


def test_what_is_not_recorded_passes_nothing_on(recorder: Recorder) -> None:
    with trace.use_span(NonRecordingSpan(SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(0)))):
        assert headers() == {}


def test_a_long_state_is_left_out(recorder: Recorder) -> None:
    state = TraceState([(f"vendor{number}", "x" * 200) for number in range(4)])
    above = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1), trace_state=state)
    token = present.attach(trace.set_span_in_context(NonRecordingSpan(above)))
    with recorder.tracer.start_as_current_span("order"):
        assert tracing.carrier().keys() == {"traceparent"}
    present.detach(token)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"traceparent": b"a"}, "a"),
        ({"ce_traceparent": b"b"}, "b"),
        ({"traceparent": b"a", "ce_traceparent": b"b"}, "a"),
        ({"traceparent": None, "ce_traceparent": b"b"}, "b"),
    ],
)
def test_both_names_are_read(given: dict[str, bytes | None], expected: str | None) -> None:
    assert tracing.of_message(given).get("traceparent") == expected


@pytest.mark.parametrize(
    "broken", [b"", b"x", b"00-zz-zz-01", b"\xff\x00", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01"]
)
def test_a_place_that_is_none_begins_a_trace(recorder: Recorder, broken: bytes) -> None:
    with tracing.span("process", "consumer", {}, tracing.of_message({"traceparent": broken})):
        pass
    tracing.past("send", "producer", {}, tracing.of_message({"traceparent": broken}), 1, 2)
    [span] = recorder.spans
    assert span.parent is None


@pytest.mark.parametrize("traced", [False, True])
def test_a_provider_sees_the_trace_only_where_the_team_says_so(
    recorder: Recorder, server: Server, traced: bool
) -> None:
    client = Client(server.url, traced=traced)
    with recorder.tracer.start_as_current_span("attempt"):
        client.post("/pay", Sending("key-1", b"{}", time.monotonic() + 5, 5, False), returns=Paid)
    client.close()
    ((_, _, sent, _),) = server.requests
    assert ("traceparent" in sent) is traced


def test_the_library_works_without_opentelemetry() -> None:
    program = """
import sys
sys.modules["opentelemetry"] = None  # what an import meets where it is not installed
from onceward import tracing
from onceward.messages import Message, row_of
assert not tracing.INSTALLED
assert not tracing.set_up()
assert row_of(Message(b"x", "t", "k", type="T", headers={"a": "b"}))["headers"]["a"] == "b"
with tracing.span("n", "client", {}) as span:
    span.note({"a": 1})
    span.failed("x")
tracing.past("n", "producer", {}, {}, 1, 2)
import onceward.worker, onceward.http, onceward_relay.stream
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
