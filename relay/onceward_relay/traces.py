"""Traces of the relay: a span for each message of a recorded trace, from its row to Kafka's acknowledgement.

A message without a `traceparent` costs nothing here, and a relay that exports no traces looks at none.
"""

import json
import logging
import os
import time
from collections.abc import Iterable, Mapping

from onceward import tracing
from onceward_relay.outbox import CREATED_AT, HEADERS, MESSAGE_ID, TOPIC
from onceward_relay.records import unix_time
from onceward_relay.session import Row

log = logging.getLogger("onceward.relay")

_ASKED_BY = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def export(environment: Mapping[str, str] = os.environ) -> bool:
    """Export this process's traces by OTLP if OpenTelemetry's environment variables name an endpoint."""
    if not any(environment.get(name) for name in _ASKED_BY) or environment.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import set_tracer_provider
    except ModuleNotFoundError:
        log.warning("an OTLP endpoint is named, but nothing here exports traces: pip install 'onceward[otlp]'")
        return False
    named = Resource.create({"service.name": "onceward-relay"}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=named)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    set_tracer_provider(provider)
    return True


class Traces:
    """Records the way of traced messages of one source."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._on = tracing.set_up()

    def sent(self, rows: Iterable[Row]) -> None:
        """Take note that `rows` are acknowledged."""
        if self._on:
            for row in rows:
                if "traceparent" in row[HEADERS]:
                    self._record(row)

    def _record(self, row: Row) -> None:
        attributes = {
            "messaging.system": "kafka",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": row[TOPIC],
            "messaging.message.id": row[MESSAGE_ID],
            "onceward.source": self._source,
        }
        began = int(unix_time(row[CREATED_AT]) * 1e9)
        tracing.past(f"send {row[TOPIC]}", "producer", attributes, _place(row[HEADERS]), began, time.time_ns())


def _place(headers: str) -> tracing.Carrier:
    """Return the place in a trace that a row's headers name."""
    return tracing.of_message({name.lower(): value.encode() for name, value in json.loads(headers).items()})
