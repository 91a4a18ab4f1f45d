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


def book(session: Session, reference: str, amount: int = 1) -> timedelta:
    return timedelta(amount)


@shop.flow("orders", Order, key=lambda order: order.id)
def paying(flow: Flow, order: Order) -> None:
    charged = flow.call(charge, Charge(amount=1), ref=str(order.id))
    reference: str = charged.reference
    took: timedelta = flow.transact(book, reference, 5)
    flow.transact(book, reference, step="with the default")
    flow.publish(Other(id=1), topic="others", key=order.id)

    flow.call(charge, Other(id=1))  # error: misc
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
