"""Good and bad messages, for every way into the outbox."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Input:
    """A message as its fields; `wrong` names the field at fault."""

    name: str
    wrong: str | None = None
    topic: Any = "orders"
    key: Any = b"k"
    type: Any = "order.placed"
    payload: Any = b"{}"
    headers: Any = field(default_factory=dict)


GOOD = [
    Input("the plainest"),
    Input("a topic of all legal characters", topic="aZ09._-"),
    Input("a topic of 249 characters", topic="t" * 249),
    Input("a key of any bytes", key=bytes(range(256))),
    Input("a key of 1024 bytes", key=b"k" * 1024),
    Input("a type of 255 characters", type="t" * 255),
    Input("an empty payload", payload=b""),
    Input("a tombstone", payload=None),
    Input("a payload of any bytes", payload=bytes(range(256))),
    Input(
        "headers",
        headers={"traceparent": "00-1", "ce_subject": "ä \N{RIGHT-TO-LEFT MARK}", "content-type": "text/html"},
    ),
    Input("100 headers", headers={"content-type": "x", **{f"h{n}": "" for n in range(99)}}),
    Input("headers of 64 KiB", headers={"content-type": "x", "h": "x" * (65535 - 13)}),
    Input("values that look like commands", payload=b"<script>\x1b[31m=cmd", headers={"x": "=cmd|' /C calc'!A0"}),
]

BAD = [
    Input("an empty topic", "topic", topic=""),
    Input("the topic ..", "topic", topic=".."),
    Input("the topic .", "topic", topic="."),
    Input("a topic with a space", "topic", topic="a b"),
    Input("a topic of 250 characters", "topic", topic="t" * 250),
    Input("a topic that is not ASCII", "topic", topic="ä"),
    Input("a topic with quotes", "topic", topic="a'\";--"),
    Input("a topic with a line's end", "topic", topic="orders\n"),
    Input("no topic", "topic", topic=None),
    Input("an empty key", "key", key=b""),
    Input("a key of 1025 bytes", "key", key=b"k" * 1025),
    Input("a key of 1 MB", "key", key=b"k" * 1_000_000),
    Input("an empty type", "type", type=""),
    Input("a type with a space", "type", type="a b"),
    Input("a type of 256 characters", "type", type="t" * 256),
    Input("a type that is not ASCII", "type", type="ä"),
    Input("a payload over 16 MiB", "payload", payload=b"x" * (16 * 1024 * 1024 + 1)),
    Input("a header without a name", "headers", headers={"": "x"}),
    Input("a header name that is not ASCII", "headers", headers={"ä": "x"}),
    Input("a header name with a space", "headers", headers={"a b": "x"}),
    Input("a header name of 256 characters", "headers", headers={"h" * 256: "x"}),
    Input("a header of the relay's", "headers", headers={"ce_id": "x"}),
    Input("a header of the relay's in capitals", "headers", headers={"CE_Type": "x"}),
    Input("a header that is a number", "headers", headers={"h": 1}),
    Input("a header that is None", "headers", headers={"h": None}),
    Input("a header that is an object", "headers", headers={"h": {}}),
    Input("101 headers", "headers", headers={f"h{n}": "" for n in range(101)}),
    Input("10,000 headers", "headers", headers={f"h{n}": "" for n in range(10_000)}),
    Input("headers over 64 KiB", "headers", headers={"h": "x" * 65536}),
]
