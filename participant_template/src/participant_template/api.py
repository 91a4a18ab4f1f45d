"""The web routes: `uvicorn participant_template.api:app`."""

from decimal import Decimal
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException
from onceward import publish
from pydantic import BaseModel, Field
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from .messages import OrderPlaced
from .models import Order
from .settings import engine

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
    parcel: str | None


@app.post("/orders", status_code=201)
def place_order(new: NewOrder, database: Database) -> OrderView:
    """Write the order and its message in one transaction: both or neither."""
    with Session(database) as session, session.begin():
        order = Order(customer=new.customer, amount=new.amount, currency=new.currency)
        session.add(order)
        session.flush()
        event = OrderPlaced(order_id=order.id, amount=order.amount, currency=order.currency)
        session.execute(publish(event, topic="orders", key=order.id))
        return _view(order)


@app.get("/orders/{order_id}")
def see_order(order_id: UUID, database: Database) -> OrderView:
    """Show an order."""
    with Session(database) as session:
        order = session.get(Order, order_id)
        if order is None:
            raise HTTPException(404, "no such order")
        return _view(order)


@app.get("/health")
def health(database: Database) -> dict[str, str]:
    """Answer if the database does."""
    with database.connect() as connection:
        connection.execute(text("SELECT 1"))
    return {"status": "ok"}


def _view(order: Order) -> OrderView:
    return OrderView(id=order.id, state=order.state, reference=order.reference, parcel=order.parcel)
