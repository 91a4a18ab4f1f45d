"""The web routes: `uvicorn participant_template.api:app`."""

import hmac
import json
from decimal import Decimal
from typing import Annotated, Any
from uuid import NAMESPACE_URL, UUID, uuid5

from fastapi import Depends, FastAPI, Header, HTTPException, Request
from onceward import publish, report, start
from onceward.errors import ReportError
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from .flows import payment
from .messages import OrderPlaced
from .models import Order
from .providers import payments
from .settings import engine, settings

app = FastAPI(title="Orders")
Database = Annotated[Engine, Depends(engine)]


class NewOrder(BaseModel):
    """What a customer sends."""

    customer: str = Field(min_length=1, max_length=200)
    amount: Decimal = Field(gt=0, max_digits=12, decimal_places=2)
    currency: str = Field(pattern="^[A-Z]{3}$")


class OrderView(BaseModel):
    """What a customer sees."""

    id: UUID
    state: str
    reference: str | None
    reason: str | None
    parcel: str | None


class Reported(BaseModel):
    """What the payment provider reports by itself."""

    id: str
    """Of the report: the same each time it is delivered."""
    key: str
    """Idempotency key of the call that it is about."""
    applied: bool
    result: dict[str, Any]
    """What the call would have answered."""


@app.post("/orders", status_code=201)
def place_order(new: NewOrder, database: Database) -> OrderView:
    """Write the order, its message and the start of its payment in one transaction: all or nothing."""
    with Session(database) as session, session.begin():
        order = Order(customer=new.customer, amount=new.amount, currency=new.currency)
        session.add(order)
        session.flush()
        event = OrderPlaced(order_id=order.id, amount=order.amount, currency=order.currency)
        session.execute(publish(event, topic="orders", key=order.id))
        session.execute(start(payment, event))  # once per order: that the message comes round too changes nothing
        return _view(order)


@app.get("/orders/{order_id}")
def see_order(order_id: UUID, database: Database) -> OrderView:
    """Show an order."""
    with Session(database) as session:
        order = session.get(Order, order_id)
        if order is None:
            raise HTTPException(404, "no such order")
        return _view(order)


async def signed(request: Request, x_signature: Annotated[str, Header()] = "") -> Reported:
    """Read a report, if the payment provider has signed it."""
    body = await request.body()
    secret = settings().payments_webhook_secret.get_secret_value().encode()
    if not secret or not hmac.compare_digest(hmac.digest(secret, body, "sha256").hex().encode(), x_signature.encode()):
        raise HTTPException(401, "not signed by the payment provider")
    try:
        return Reported.model_validate_json(body)
    except ValidationError as error:
        raise HTTPException(422, error.errors(include_url=False, include_input=False, include_context=False)) from error


@app.post("/webhooks/payments", status_code=204)
def payment_reported(reported: Annotated[Reported, Depends(signed)], database: Database) -> None:
    """Keep what the payment provider reports; a worker finds the call and settles it."""
    try:
        kept = report(
            payments,
            key=reported.key,
            applied=reported.applied,
            body=json.dumps(reported.result).encode(),
            evidence_id=uuid5(NAMESPACE_URL, f"payments/{reported.id}"),
        )
    except ReportError as error:
        raise HTTPException(422, str(error)) from error
    with database.begin() as connection:
        connection.execute(kept)


@app.get("/health")
def health(database: Database) -> dict[str, str]:
    """Answer if the database does."""
    with database.connect() as connection:
        connection.execute(text("SELECT 1"))
    return {"status": "ok"}


def _view(order: Order) -> OrderView:
    return OrderView.model_validate(order, from_attributes=True)
