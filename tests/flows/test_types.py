"""Misuse is refused by mypy, before anything runs."""

import re
from pathlib import Path

import pytest
from mypy import api

ROOT = Path(__file__).parents[2]
PROGRAM = """
from datetime import timedelta
from uuid import UUID, uuid4

from pydantic import BaseModel
from sqlalchemy.orm import Session

from onceward.flows.definition import start
from onceward.flows.flow import Flow
from onceward.flows.listening import Listen
from onceward.participant import Participant
from onceward.providers import Always, Provider, Sending


class Order(BaseModel):
    id: UUID


class Charge(BaseModel):
    amount: int


class Charged(BaseModel):
    reference: str


class Other(BaseModel):
    id: int


bank = Provider("bank", object)
shop = Participant("shop", providers=[bank])


@bank.operation(repeat=Always())
def charge(client: object, request: Charge, call: Sending) -> Charged:
    return Charged(reference="r")


@bank.operation(repeat=Always())
def refund(client: object, request: Charged, call: Sending) -> Charged:
    return request


charge.undone_by(refund, lambda request, found: found)
charge.undone_by(refund, lambda request, found: request)  # error: arg-type, return-value
charge.undone_by(refund, lambda request, found: Charged(reference=found.amount))  # error: attr-defined


def now() -> timedelta:
    return timedelta(1)


def book(session: Session, reference: str, amount: int = 1) -> timedelta:
    return timedelta(amount)


@shop.flow("orders", Order, key=lambda order: order.id)
def paying(flow: Flow, order: Order) -> None:
    charged = flow.call(charge, Charge(amount=1), ref=str(order.id))
    reference: str = charged.reference
    took: timedelta = flow.transact(book, reference, 5)
    flow.transact(book, reference, step="with the default")
    flow.publish(Other(id=1), topic="others", key=order.id)

    told: Other = flow.wait(Other)
    told = flow.wait(Other, expect_within=timedelta(1), step="late")
    perhaps: Other | None = flow.wait(Other, give_up_after=timedelta(1), step="gives up")
    time: timedelta = flow.value(now)
    flow.sleep(timedelta(1))

    flow.call(charge, Other(id=1))  # error: misc
    told = flow.wait(Other, give_up_after=timedelta(1), step="never")  # error: assignment
    flow.wait(Other, give_up_after=timedelta(1), expect_within=timedelta(1))  # error: call-overload
    flow.wait(Other, expect_within=5)  # error: call-overload
    flow.wait(bytes)  # error: type-var
    moment: int = flow.value(now, step="wrong")  # error: assignment
    flow.value(book, step="no arguments")  # error: arg-type
    flow.sleep(5)  # error: arg-type
    number: int = flow.call(charge, Charge(amount=1), step="second")  # error: assignment
    flow.call(charge)  # error: call-arg
    charged.amount  # error: attr-defined
    flow.transact(book, 1, 5, step="third")  # error: arg-type
    flow.transact(book, step="fourth")  # error: arg-type
    text: str = flow.transact(book, "r", 5, step="fifth")  # error: assignment
    flow.publish(Other(id=1), topic="others", key=None)  # error: arg-type
    flow.publish({"id": 1}, topic="others", key=1)  # error: arg-type
    flow.publish(Other(id=1), topic="others")  # error: call-arg


start(paying, Order(id=uuid4()))
start(paying, Other(id=1))  # error: misc
paying(1, Order(id=uuid4()))  # error: arg-type


def undone(session: Session, order: Order, reason: str) -> None: ...
def undone_wrongly(session: Session, order: Other, reason: str) -> None: ...


@shop.flow("orders", Order, key=lambda order: order.id, undone=undone, listen=[Listen("o", Other, key=lambda o: o.id)])
def listening(flow: Flow, order: Order) -> None: ...


@shop.flow("orders", Order, key=lambda order: order.id, undone=undone_wrongly)  # error: arg-type
def wrongly(flow: Flow, order: Order) -> None: ...


Listen("o", Other, key=lambda other: other.number)  # error: attr-defined


@shop.flow("orders", Order, key=lambda order: order.number)  # error: attr-defined
def misnamed(flow: Flow, order: Order) -> None: ...


@shop.flow("orders", Order, key=lambda order: 1.5)  # error: arg-type, return-value
def misread(flow: Flow, order: Order) -> None: ...


@shop.flow("orders", Order, key=lambda order: order.id)  # error: arg-type
def mistaken(flow: Flow, order: Other) -> None: ...


@shop.flow("orders", bytes, key=lambda order: 1)  # error: type-var
def untyped(flow: Flow, order: bytes) -> None: ...
"""


@pytest.mark.timeout(300)
def test_misuse_of_flows_is_refused_by_mypy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    monkeypatch.chdir(ROOT)
    output, problems, _ = api.run([str(program), "--config-file", str(ROOT / "pyproject.toml"), "--no-error-summary"])
    assert problems == ""
    found = re.findall(r"program\.py:(\d+): error: .*\[(.+)\]", output)
    expected = {
        (number, code)
        for number, line in enumerate(PROGRAM.splitlines(), start=1)
        for code in re.findall(r"[a-z-]+", line.partition("# error: ")[2])
    }
    assert {(int(number), code) for number, code in found} == expected, output
