"""The inbox: the memory of an idempotent consumer. Knows nothing of Kafka's client.

An incoming message and its effects are one transaction: the message's row in `onceward.inbox` commits together with
what its handler changed. So a delivery that is repeated, by Kafka, by a relay or by a zombie, finds the row and has no
second effect. What cannot be handled is parked with its error, and all that has the same key waits behind it, in order.
"""

from onceward.backoff import Backoff
from onceward.inbox.counts import Counts
from onceward.inbox.inbox import Inbox
from onceward.inbox.record import Record

__all__ = ["Backoff", "Counts", "Inbox", "Record"]
