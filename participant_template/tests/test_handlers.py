"""Messages of others change our tables once."""

from uuid import uuid4

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session

from participant_template.handlers import shipped
from participant_template.messages import OrderShipped
from participant_template.models import Order, State


def test_a_shipment_is_noted(database: Engine) -> None:
    with Session(database) as session, session.begin():
        order = Order(customer="Ada", amount="1", currency="EUR")
        session.add(order)
        session.flush()
        shipped(session, OrderShipped(order_id=order.id, parcel="X1"))
        assert (order.state, order.parcel) == (State.SHIPPED, "X1")


def test_a_shipment_of_a_stranger_s_order_fails_and_is_parked(database: Engine) -> None:
    with Session(database) as session, pytest.raises(NoResultFound):
        shipped(session, OrderShipped(order_id=uuid4(), parcel="X1"))
