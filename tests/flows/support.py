"""A participant with one flow, whose code each test writes, and a bank that is code in this process."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Row, create_engine, text
from sqlalchemy.orm import Session

from onceward.backoff import Backoff
from onceward.database import sqlalchemy_url
from onceward.flows.definition import FlowDefinition, Undone, start
from onceward.flows.flow import Flow
from onceward.flows.listening import Listen
from onceward.flows.runner import Runner
from onceward.ids import derived, uuid7
from onceward.inbox import Inbox
from onceward.ledger import Ledger
from onceward.participant import Participant
from onceward.providers import Repeat, Sending
from onceward.worker import Worker
from tests.conftest import Database
from tests.consumer.support import NEVER, record
from tests.ledger.bank import DAY, Bank, Paid, Pay, provider_of
from tests.ledger.conftest import an_hour_each

TOPIC = "transfers"
NO_KAFKA = "127.0.0.1:1"
"""Where no broker is: the consumer waits for one."""
AT_ONCE = Backoff(timedelta(0), timedelta(0))


class Transfer(BaseModel):
    number: int
    amount: str = "5.00"


class PaymentRequest(BaseModel):
    number: int


class Receipt(BaseModel):
    reference: str


class Release(BaseModel):
    reference: str


class Answer(BaseModel):
    number: int
    accepted: bool = True


class Noted(BaseModel):
    number: int
    note: str = ""


Code = Callable[[Flow, Transfer], object]

ANSWERS = Listen("answers", Answer, key=lambda event: event.number)


class Payer:
    """The participant "payer" in a database of its own, as the role that participants have."""

    def __init__(
        self, database: Database, *, repeat: Repeat = DAY, topic: str = TOPIC, listen: Sequence[Listen[Any]] = ()
    ) -> None:
        self.admin = database.engine
        self.url = database.participant_url
        self.engine = create_engine(sqlalchemy_url(database.participant_url))
        self.bank = Bank(replays=False)
        provider, self.pay = provider_of(self.bank, repeat)
        self.release = provider.operation(repeat=DAY, timeout=timedelta(seconds=1))(release)
        self.pay.undone_by(self.release, lambda request, paid: Release(reference=f"{paid.reference} of {request.to}"))
        self.participant = Participant("payer", [provider])
        self.ledger = self.ledger_of("ledger")
        self.ledger.declare()
        self.code: Code = lambda flow, event: None
        self.undone: Undone[Transfer] = lambda session, event, reason: None
        self.runs = 0
        self.transfer: FlowDefinition[Transfer] = self.participant.flow(
            topic, Transfer, key=lambda event: event.number, name="transfer", listen=listen, undone=self._undone
        )(self._transfer)
        with self.admin.begin() as connection:
            connection.execute(text("CREATE TABLE booked (id bigint GENERATED ALWAYS AS IDENTITY, number bigint)"))
            connection.execute(text("GRANT SELECT, INSERT ON booked TO onceward_participant"))

    def _transfer(self, flow: Flow, event: Transfer) -> None:
        self.runs += 1
        self.code(flow, event)

    def _undone(self, session: Session, event: Transfer, reason: str) -> None:
        self.undone(session, event, reason)

    def ledger_of(self, worker: str) -> Ledger:
        return Ledger(
            self.engine, "payer", self.participant.providers, worker=worker, retries=AT_ONCE, clock=an_hour_each()
        )

    def runner(self, worker: str = "worker", **options: Any) -> Runner:
        return Runner(
            self.participant.flows,
            self.engine,
            self.ledger_of(worker),
            worker=worker,
            **{"waits": AT_ONCE, "tries": 3, **options},
        )

    def worker(self, kafka: str = NO_KAFKA, **options: Any) -> Worker:
        settings: dict[str, str | int] = {
            "bootstrap.servers": kafka,
            "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 200,
        }
        return Worker(self.participant, self.engine, settings, **{"retries": AT_ONCE, **options})

    def start(self, number: int = 1, **fields: Any) -> UUID:
        with Session(self.engine) as session, session.begin():
            session.execute(start(self.transfer, Transfer(number=number, **fields)))
        return flow_id(number)

    def run(self, code: Code | None = None, *, number: int = 1, **options: Any) -> Row[Any]:
        """Start the flow, run it until it is not due any more, and return its row."""
        if code is not None:
            self.code = code
        self.start(number)
        self.run_due(**options)
        return self.flow(number)

    def run_due(self, **options: Any) -> int:
        runner = self.runner(**options)
        runs = 0
        while runner.run_once():
            runs += 1
            assert runs < 50, "the flow is due again and again"
        return runs

    def deliver(self, event: BaseModel | bytes, *, topic: str = "answers") -> UUID:
        """Have the consumer take a message; return its id."""
        message_id = uuid7()
        value = event if isinstance(event, bytes) else event.model_dump_json().encode()
        inbox = Inbox(self.participant, self.engine, "payer", retries=AT_ONCE)
        inbox.take([replace(record(1, value=value, message_id=message_id, type="Answer"), topic=topic)], NEVER)
        return message_id

    def pass_time(self, time: timedelta) -> None:
        """Let `time` pass for all that flows wait for."""
        with self.admin.begin() as connection:
            connection.execute(text("UPDATE onceward.flow SET due_at = due_at - :time"), {"time": time})
            connection.execute(text("UPDATE onceward.flow_step SET until = until - :time"), {"time": time})

    def expire_leases(self, *, of_calls: bool = True) -> None:
        """Let the leases of all flows that are claimed and of all calls that are under way be over; or keep the calls'."""
        with self.admin.begin() as connection:
            connection.execute(text("UPDATE onceward.flow SET due_at = clock_timestamp() WHERE state = 'running'"))
            if of_calls:
                now = "due_at = clock_timestamp(), send_by = clock_timestamp()"
                connection.execute(text(f"UPDATE onceward.call SET {now} WHERE state = 'in_flight'"))
            else:  # however long another process takes to start
                later = "due_at = clock_timestamp() + interval '10 min'"
                connection.execute(text(f"UPDATE onceward.call SET {later} WHERE state = 'in_flight'"))

    def unblock(self) -> None:
        """Do what a person does who lets blocked flows go on."""
        with self.admin.begin() as connection:
            connection.execute(
                text("UPDATE onceward.flow SET state = 'running', due_at = clock_timestamp() WHERE state = 'blocked'")
            )

    def rows(self, query: str, **values: Any) -> list[Any]:
        with self.admin.connect() as connection:
            return [tuple(row) if len(row) > 1 else row[0] for row in connection.execute(text(query), values)]

    def flow(self, number: int = 1) -> Row[Any]:
        with self.admin.connect() as connection:
            return connection.execute(text("SELECT * FROM onceward.flow WHERE id = :id"), {"id": flow_id(number)}).one()

    @property
    def states(self) -> dict[str, int]:
        return dict(self.rows("SELECT state, count(*) FROM onceward.flow GROUP BY state"))

    def has_completed(self, flows: int) -> bool:
        return self.states.get("completed", 0) >= flows

    @property
    def steps(self) -> list[str]:
        return self.rows("SELECT step FROM onceward.flow_step ORDER BY seq, step")

    @property
    def booked(self) -> list[int]:
        return self.rows("SELECT number FROM booked ORDER BY id")

    @property
    def outbox(self) -> list[Any]:
        return self.rows("SELECT message_id, topic, convert_from(key, 'UTF8'), type FROM onceward.outbox ORDER BY id")

    @property
    def incidents(self) -> list[Any]:
        return self.rows(
            "SELECT kind, grp, title FROM onceward.incident"
            " WHERE closed_at IS NULL AND kind LIKE 'flow%' ORDER BY opened_at"
        )

    @property
    def open_incidents(self) -> list[Any]:
        """The kinds of all open incidents."""
        return self.rows("SELECT kind FROM onceward.incident WHERE closed_at IS NULL ORDER BY opened_at")

    @property
    def calls(self) -> list[Any]:
        return self.rows("SELECT step, state FROM onceward.call ORDER BY created_at")


def flow_id(number: int) -> UUID:
    return derived("payer", "transfer", str(number))


def release(client: Bank, request: Release, call: Sending) -> Paid:
    return client.take(call)


def book(session: Session, number: int) -> int:
    session.execute(text("INSERT INTO booked (number) VALUES (:number)"), {"number": number})
    return number * 10


def request(event: Transfer) -> Pay:
    return Pay(to=f"account {event.number}")
