"""A program with a bug planted: `python -m tests.checker.planted BUG MODULE ...`. The product has no such switch."""

import runpy
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine
from sqlalchemy.event import listens_for

from onceward.cloudevents import IncomingMessage
from onceward.errors import OperationError
from onceward.inbox.tables import Tables
from onceward.ledger import Ledger, attempting, rows, settling
from onceward.ledger.attempting import Finding
from onceward.ledger.making import sending
from onceward.ledger.outcomes import FlowStep
from onceward.ledger.terms import Terms
from onceward.ledger.undoing import Undoing
from onceward.providers import Operation, Sending
from onceward_relay import outbox, session
from onceward_relay.outbox import ID, Outbox, Probe
from onceward_relay.pages import Page
from onceward_relay.position import Position, Snapshot, Window
from onceward_relay.sender import Sender
from onceward_relay.session import Row, Session

PAGE_SENT = "a page was sent"


def forget_who_was_running() -> None:
    """Transactions that outlived a window are never looked for again."""
    Window.late = property(lambda _: frozenset())  # type: ignore[assignment,method-assign]


def send_in_the_order_of_transactions() -> None:
    """A window is not sorted by id."""
    setattr(outbox, "sql", lambda name: session.sql(name).replace("ORDER BY id", "ORDER BY xid"))  # noqa: B010 -- a plant


def take_the_window_anew() -> None:
    """After a crash inside an open window its end is taken again."""
    take_over = Session._take_over

    def take_over_wrongly(self: Session, relay: str) -> tuple[Position, Mapping[str, Any]]:
        position, history = take_over(self, relay)
        if position.s2 is not None:
            now = self.connection.execute("SELECT pg_current_snapshot()::text").fetchone()
            assert now is not None
            position = replace(position, s2=Snapshot.parse(now[0]))
        return position, history

    session.Session._take_over = take_over_wrongly  # type: ignore[method-assign]


def send_what_is_not_durable() -> None:
    """The flush gate is left out."""
    Outbox.wait_durable = lambda *_: None  # type: ignore[method-assign]


def read_what_has_a_greater_id() -> None:
    """A window is what has an id above the last one: what every outbox does first."""
    last = [0]
    rows, few = Outbox.rows, Outbox.few

    def rows_after(self: Outbox, window: Window) -> list[Row]:
        found = rows(self, window)
        last[0] = found[-1][ID] if found else last[0]
        return found

    def few_after(self: Outbox, window: Window, probe: Probe) -> list[Row] | None:
        found = few(self, window, probe)
        last[0] = found[-1][ID] if found else last[0]
        return found

    Outbox.rows = rows_after  # type: ignore[method-assign]
    Outbox.few = few_after  # type: ignore[method-assign]
    Window.condition = lambda self: f"id > {last[0]}"  # type: ignore[method-assign]


def settle_what_is_only_sent() -> None:
    """The checkpoint does not wait for Kafka's acknowledgements."""
    Page.left = property(lambda _: 0)  # type: ignore[assignment,method-assign]


def forget_what_was_taken() -> None:
    """The inbox is written but not asked."""
    take = Tables.take

    def find_none(self: Tables, connection: Connection, messages: Collection[IncomingMessage]) -> set[UUID]:
        take(self, connection, messages)
        return set()

    Tables.take = find_none  # type: ignore[method-assign]


def send_again_without_proof() -> None:
    """A call in doubt is repeated at a provider that promises nothing."""
    terms = Terms.of

    def careless(operation: Operation[Any, Any, Any]) -> Terms:
        true = terms(operation)
        return replace(true, repeat="always") if true.repeat == "never" else true

    Terms.of = careless  # type: ignore[method-assign]


def take_an_error_for_a_refusal() -> None:
    """Whatever is no success counts as a failure without effect."""
    from_error = attempting._from_error

    def refused(operation: Operation[Any, Any, Any], error: OperationError) -> Finding:
        return replace(from_error(operation, error), verdict="rejected")

    attempting._from_error = refused


def send_when_it_is_too_late() -> None:
    """Nobody looks at the clock before the first byte leaves."""
    Sending.check = lambda self: None  # type: ignore[method-assign]


def send_before_it_is_recorded() -> None:
    """A call is made first and written down afterwards."""
    call, send = Ledger.call, attempting.send
    made = threading.local()

    def call_first(self: Ledger, operation: Any, request: Any, **more: Any) -> Any:
        _, key = self._identity(operation, more.get("key"), more.get("flow"))
        made.finding = send(operation, sending(operation, key, operation.body(request)))
        return call(self, operation, request, **more)

    Ledger.call = call_first  # type: ignore[method-assign]
    attempting.send = lambda *_: made.finding


def call_without_a_claim() -> None:
    """Whether the worker still has the flow is not asked when a call of it begins."""
    step = rows.step

    def careless(flow: FlowStep | None) -> dict[str, Any]:
        return step(flow) | {"flow_epoch": None}

    rows.step = careless


def reverse_again() -> None:
    """What is reversed already is reversed once more, and the sum of it is not guarded."""
    calls = Undoing.calls

    def as_if_nothing_was_reversed(self: Undoing, flow_id: UUID) -> Sequence[Any]:
        found = calls(self, flow_id)
        return [SimpleNamespace(**{**row._mapping, "undone": False, "unsettled": False}) for row in found]

    Undoing.calls = as_if_nothing_was_reversed  # type: ignore[method-assign]

    @listens_for(Engine, "connect")
    def without_triggers(connection: Any, _: object) -> None:
        connection.execute("SET session_replication_role = replica")
        connection.commit()


def leave_calls_to_nobody() -> None:
    """A call that only a person can settle is left alone, and no person hears of it."""
    settling._open_in_doubt = lambda *_: None


def tell_of_pages() -> None:
    """Say when a page was given to the Kafka client: no bug, but otherwise nobody can see it."""
    send = Sender.send

    def send_and_tell(self: Sender, page: Page) -> None:
        send(self, page)
        print(PAGE_SENT, flush=True)

    Sender.send = send_and_tell  # type: ignore[method-assign]


BUGS: Mapping[str, Callable[[], None]] = {
    bug.__name__: bug
    for bug in (
        forget_who_was_running,
        send_in_the_order_of_transactions,
        take_the_window_anew,
        send_what_is_not_durable,
        read_what_has_a_greater_id,
        settle_what_is_only_sent,
        forget_what_was_taken,
        send_again_without_proof,
        take_an_error_for_a_refusal,
        send_when_it_is_too_late,
        send_before_it_is_recorded,
        call_without_a_claim,
        reverse_again,
        leave_calls_to_nobody,
    )
}

if __name__ == "__main__":
    _, bug, module, *arguments = sys.argv
    if bug != "none":
        BUGS[bug]()
    tell_of_pages()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
