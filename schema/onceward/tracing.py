"""OpenTelemetry, where it is installed and set up: the only module that knows it. Elsewhere all of this does nothing.

A trace joins what publishes a message, the relay, the consumer, its flow and the flow's calls. Between processes it
travels as W3C trace context: in the headers of a message and in the rows of flows and calls. Nothing else travels (no
baggage, which may hold anything), and a span holds names, ids and outcomes: no key, no payload, no error's words.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

try:
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ModuleNotFoundError:
    INSTALLED = False
else:
    INSTALLED = True

Carrier = Mapping[str, str]
"""A place in a trace: the W3C headers `traceparent` and, if there is one, `tracestate`. Empty: none."""
Attributes = Mapping[str, str | int]
Kind = Literal["client", "consumer", "internal", "producer"]

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
LONGEST_STATE = 512
"""Characters of a tracestate that is passed on: what the standard asks to carry at least."""


class Span:
    """What goes on, as a trace shows it. This one is shown nowhere."""

    def note(self, attributes: Attributes) -> None:
        """Add attributes."""

    def failed(self, kind: str) -> None:
        """Mark it as failed, by a word for the kind of fault."""


def set_up() -> bool:
    """Whether spans of this process go anywhere."""
    return INSTALLED and not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def carrier() -> dict[str, str]:
    """Return the place in the present trace, if it is being recorded.

    What is not recorded passes nothing on: a message without these headers is the cheapest to relay.
    """
    found: dict[str, str] = {}
    if INSTALLED and trace.get_current_span().is_recording():
        TraceContextTextMapPropagator().inject(found)
        if len(found.get(TRACESTATE, "")) > LONGEST_STATE:
            del found[TRACESTATE]
    return found


def of_message(headers: Mapping[str, bytes | None]) -> Carrier:
    """Return the place in a trace that a message's headers name, by their names in lower case.

    `traceparent` is what OpenTelemetry's Kafka clients write, `ce_traceparent` the CloudEvents extension.
    """
    for prefix in ("", "ce_"):
        if parent := headers.get(prefix + TRACEPARENT):
            state = headers.get(prefix + TRACESTATE) or b""
            return {TRACEPARENT: parent.decode("latin-1"), TRACESTATE: state.decode("latin-1")}
    return {}


def span(name: str, kind: Kind, attributes: Attributes, parent: Carrier | None = None) -> AbstractContextManager[Span]:
    """Surround something with a span below `parent`, or below the present one.

    An error that passes through marks it as failed, by the error's class.
    """
    return _span(name, kind, attributes, parent) if set_up() else nullcontext(_NOWHERE)


@contextmanager
def _span(name: str, kind: Kind, attributes: Attributes, parent: Carrier | None) -> Iterator[Span]:
    with _tracer().start_as_current_span(
        name,
        context=_context(parent),
        kind=trace.SpanKind[kind.upper()],
        attributes=attributes,
        record_exception=False,  # its words may repeat a payload
        set_status_on_exception=False,
    ) as found:
        recorded = _Recorded(found)
        try:
            yield recorded
        except Exception as error:
            recorded.failed(type(error).__name__)
            raise


def past(name: str, kind: Kind, attributes: Attributes, parent: Carrier, began: int, ended: int) -> None:
    """Record what went on between two moments, in nanoseconds since 1970, if the trace of `parent` is recorded."""
    if not set_up():
        return
    context = _context(parent)
    if trace.get_current_span(context).get_span_context().trace_flags.sampled:
        found = _tracer().start_span(
            name,
            context=context,
            kind=trace.SpanKind[kind.upper()],
            attributes=attributes,
            start_time=min(began, ended),  # by two machines' clocks
        )
        found.end(ended)


class _Recorded(Span):
    def __init__(self, found: "trace.Span") -> None:
        self._found = found

    def note(self, attributes: Attributes) -> None:
        self._found.set_attributes(dict(attributes))

    def failed(self, kind: str) -> None:
        self._found.set_attribute("error.type", kind)
        self._found.set_status(trace.StatusCode.ERROR)


def _tracer() -> Any:
    return trace.get_tracer("onceward")


def _context(parent: Carrier | None) -> "Context | None":
    """Return the context of `parent`; None, which stands for the present one, if it names none."""
    return TraceContextTextMapPropagator().extract(parent, Context()) if parent else None


_NOWHERE = Span()
