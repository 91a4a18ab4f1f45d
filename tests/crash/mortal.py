"""A payer in a forked process, so that dozens can be killed in little time. Its flows and providers have names of its own,
by which it keeps to itself in a database that it shares with others."""

import importlib
import logging
import multiprocessing
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import quote

from pydantic import BaseModel
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.orm import Session

from onceward import Flow, Listen, Money, Never, Participant, Provider, SameKey, Sending, UndoFlow, failpoint
from onceward.backoff import Backoff
from onceward.database import sqlalchemy_url
from onceward.http import Client
from onceward.worker import Worker

Kind = Literal["key", "lookup", "neither", "later"]
"""What a provider offers: an idempotency key that is alive, a lookup that is authoritative, or nothing; `later`: it
accepts, and says the outcome to who asks."""
KINDS: tuple[Kind, ...] = ("key", "lookup", "neither")
PATHS: Mapping[Kind, tuple[str, str]] = {
    "key": ("debits", "refunds"),
    "lookup": ("credits", "credits"),
    "neither": ("gateway-credits", "gateway-credits"),
    "later": ("credits", "credits"),
}
"""The bank's operations that pay and give back."""
ANSWERED = "answered "
"""How the names of those flows begin that wait for an answer when they have paid."""
TIMEOUT = timedelta(seconds=2)
NO_KAFKA = "127.0.0.1:1"
"""Where no broker is: the flows are started in the database."""


class Movement(BaseModel):
    reference: str
    account: str = "ada"
    amount: str = "5.00"
    currency: str = "EUR"


class Moved(BaseModel):
    id: str


class Order(BaseModel):
    """Is paid, and if it is regretted, given back."""

    event_type: ClassVar[str] = "order"
    number: str
    regretted: bool = False


class Answer(BaseModel):
    event_type: ClassVar[str] = "answer"
    number: str


class Paid(BaseModel):
    event_type: ClassVar[str] = "paid"
    number: str


def undo_of(reference: str) -> str:
    """Return the reference under which what it names is given back."""
    return f"undo of {reference}"


def provider_of(name: str, kind: Kind, url: str) -> Provider[Client]:
    """Return the bank, with only those operations that offer so much."""
    bank = Provider(name, lambda: Client(url))
    repeat = SameKey(timedelta(hours=24)) if kind == "key" else Never()
    paying, giving_back = PATHS[kind]

    within = timedelta(hours=1) if kind == "later" else None

    @bank.operation(repeat=repeat, timeout=TIMEOUT, value=_money, ref=lambda moved: moved.id, expect_within=within)
    def pay(client: Client, request: Movement, call: Sending) -> Moved:
        return client.post(f"/{paying}", call, returns=Moved, rejects={402, 422})

    @bank.operation(repeat=repeat, timeout=TIMEOUT, value=_money, ref=lambda moved: moved.id)
    def give_back(client: Client, request: Movement, call: Sending) -> Moved:
        return client.post(f"/{giving_back}", call, returns=Moved, rejects={402, 422})

    if kind == "later":
        pay.lookup(authoritative=False)(_find)
    if kind == "lookup":
        pay.lookup(authoritative=True, settle=timedelta(seconds=1))(_find)
        give_back.lookup(authoritative=True, settle=timedelta(seconds=1))(_find)
    pay.undone_by(give_back, lambda request, _: Movement(reference=undo_of(request.reference)))
    return bank


def _money(request: Movement) -> Money:
    return Money(Decimal(request.amount), request.currency)


def _find(client: Client, request: Movement, call: Sending) -> Moved | None:
    return client.get(f"/credits/by-reference/{quote(request.reference)}", call, returns=Moved, absent={404})


def participant_of(parts: Mapping[str, Kind], bank: str) -> Participant:
    """Return the payer with a flow and a provider under each of these names."""
    providers = {name: provider_of(name, kind, bank) for name, kind in parts.items()}
    payer = Participant("payer", providers.values())
    for number, (name, provider) in enumerate(providers.items()):
        _add_flow(payer, name, provider, f"orders-{number}")
    return payer


def _add_flow(payer: Participant, name: str, provider: Provider[Client], topic: str) -> None:
    pay = provider.operations["pay"]
    answers = [Listen(f"{topic}-answers", Answer, key=lambda answer: answer.number)]
    listen = answers if name.startswith(ANSWERED) else []

    @payer.flow(topic, Order, key=lambda order: order.number, name=name, undone=forget, listen=listen)
    def settle(flow: Flow, order: Order) -> None:
        flow.call(pay, Movement(reference=order.number), ref=order.number)
        flow.transact(note, order.number)
        if listen:
            flow.wait(Answer)
        if order.regretted:
            raise UndoFlow("it is regretted")
        flow.publish(Paid(number=order.number), topic="paid", key=order.number)


def note(session: Session, number: str) -> None:
    session.execute(text("INSERT INTO public.paid (number) VALUES (:number)"), {"number": number})


def forget(session: Session, order: Order, reason: str) -> None:
    session.execute(text("DELETE FROM public.paid WHERE number = :number"), {"number": order.number})


@dataclass(frozen=True)
class Life:
    """How a payer lives, and where it dies."""

    parts: Mapping[str, Kind]
    """Names of its flows and providers, with what the latter offer."""
    database: str
    bank: str
    log: Path
    failpoint: str
    bug: str
    """One of `tests.checker.planted`, or none."""
    threads: int


def live(life: Life) -> None:
    """Work until SIGTERM, or until the failpoint. Called in a process of its own."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    log = os.open(life.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    logging.basicConfig(level=logging.INFO)
    os.environ["ONCEWARD_FAILPOINT"] = life.failpoint
    importlib.reload(failpoint)
    if life.bug:
        importlib.import_module("tests.checker.planted").BUGS[life.bug]()
    # Who is frozen holds no connection: dozens are at a time.
    engine = create_engine(sqlalchemy_url(life.database), poolclass=NullPool)
    Worker(
        participant_of(life.parts, life.bank),
        engine,
        {"bootstrap.servers": NO_KAFKA},
        threads=life.threads,
        name=f"{life.log.stem}-{os.getpid()}",
        lease=timedelta(seconds=30),
        retries=Backoff(timedelta(milliseconds=100), timedelta(seconds=1)),
        grace=timedelta(seconds=1),
    ).run()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
