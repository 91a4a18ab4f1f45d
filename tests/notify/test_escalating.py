"""When people are told, and of what: per group, in steps, never more often than they can bear."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from onceward.database import sqlalchemy_url
from onceward.errors import ConfigError
from onceward.notify import Channel, Notifier
from onceward.participant import Participant
from onceward.worker import Worker
from tests.conftest import Database, fresh_database
from tests.flows.test_worker import running
from tests.servers.postgres import TestServer
from tests.support import eventually

HOUR = timedelta(hours=1)


class Pager(Channel):
    """Keeps what it is told."""

    def __init__(self, name: str = "pager", from_step: int = 1) -> None:
        super().__init__(name, from_step)
        self.told: list[dict[str, Any]] = []

    def send(self, notification_id: object, body: dict[str, Any]) -> None:
        self.told.append(body)


@pytest.fixture(scope="module")
def shared(postgres: TestServer) -> Iterator[Database]:
    with fresh_database(postgres, installed=True) as database:
        yield database


@pytest.fixture
def database(shared: Database) -> Database:
    with shared.engine.begin() as connection:
        connection.execute(text("TRUNCATE onceward.incident, onceward.notification CASCADE"))
    return shared


def incident(
    database: Database, grp: str = "bank/pay/timeout", *, act_in: timedelta | None = None, **fields: Any
) -> None:
    values = {"grp": grp, "amount": None, "currency": None, "act_in": act_in, **fields}
    with database.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO onceward.incident (kind, message_id, grp, severity, title, amount, currency, act_before)"
                " VALUES ('in_doubt', gen_random_uuid(), :grp, 1, 't', :amount, :currency, clock_timestamp() + CAST(:act_in AS interval))"
            ),
            values,
        )


def pass_time(database: Database, time: timedelta) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE onceward.incident SET opened_at = opened_at - :time"), {"time": time})
        connection.execute(text("UPDATE onceward.notification SET created_at = created_at - :time"), {"time": time})


def tell(database: Database, notifier: Notifier) -> None:
    notifier.escalate(database.engine, "payer")
    while notifier.send_one(database.engine):
        pass


def test_a_group_is_told_of_once_with_counts_and_sums_for_each_currency(database: Database) -> None:
    for amount, currency in (("5.00", "EUR"), ("7.50", "EUR"), ("9", "USD"), (None, None)):
        incident(database, amount=amount, currency=currency)
    pager = Pager()
    tell(database, Notifier([pager]))
    (told,) = pager.told
    assert (told["group"], told["incidents"], told["step"], told["participant"]) == ("bank/pay/timeout", 4, 1, "payer")
    assert told["amounts"] == {"EUR": "12.5", "USD": "9"}


def test_nobody_is_told_twice_of_the_same_until_it_has_waited_longer(database: Database) -> None:
    pager = Pager()
    notifier = Notifier([pager], after=(timedelta(0), HOUR, 4 * HOUR))
    incident(database)
    for _ in range(3):
        tell(database, notifier)
    assert [told["step"] for told in pager.told] == [1]
    for _ in range(6):
        pass_time(database, HOUR)
        tell(database, notifier)
    assert [told["step"] for told in pager.told] == [1, 2, 3]


def test_a_stream_of_new_incidents_is_told_of_after_a_quiet_time_and_none_is_forgotten(database: Database) -> None:
    pager = Pager()
    notifier = Notifier([pager], quiet=timedelta(minutes=15))
    incident(database)
    tell(database, notifier)
    for _ in range(5):
        incident(database)
        tell(database, notifier)
    assert len(pager.told) == 1
    pass_time(database, timedelta(minutes=16))
    tell(database, notifier)
    assert [told["incidents"] for told in pager.told] == [1, 5]


def test_another_group_need_not_wait(database: Database) -> None:
    pager = Pager()
    notifier = Notifier([pager])
    incident(database)
    tell(database, notifier)
    incident(database, "bank/pay/402")
    tell(database, notifier)
    assert [told["group"] for told in pager.told] == ["bank/pay/timeout", "bank/pay/402"]


def test_the_last_step_is_taken_at_once_where_a_way_out_is_about_to_be_lost(database: Database) -> None:
    late = Pager("boss", from_step=3)
    notifier = Notifier([late], urgent=HOUR)
    incident(database, act_in=timedelta(hours=2))
    tell(database, notifier)
    assert late.told == []
    incident(database, "bank/hold/timeout", act_in=timedelta(minutes=50))
    tell(database, notifier)
    assert [told["group"] for told in late.told] == ["bank/hold/timeout"]


def test_what_is_snoozed_or_closed_is_not_told_of(database: Database) -> None:
    incident(database)
    incident(database, "other")
    with database.engine.begin() as connection:
        connection.execute(
            text("UPDATE onceward.incident SET snoozed_until = clock_timestamp() + interval '1 h' WHERE grp = 'other'")
        )
        connection.execute(text("UPDATE onceward.incident SET closed_at = now(), closed_by = 'x' WHERE grp <> 'other'"))
    pager = Pager()
    tell(database, Notifier([pager]))
    assert pager.told == []


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"channels": []}, "channels"),
        ({"channels": [Pager(), Pager()]}, "channels"),
        ({"after": ()}, "after"),
        ({"after": (HOUR, HOUR)}, "after"),
        ({"after": (HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR)}, "after"),
    ],
)
def test_settings_that_cannot_be_are_named(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as error:
        Notifier(**{"channels": [Pager()], **arguments})
    assert error.value.field == field


def test_a_worker_tells_people_while_it_works(database: Database) -> None:
    incident(database)
    pager = Pager()
    engine = create_engine(sqlalchemy_url(database.participant_url))
    worker = Worker(Participant("payer"), engine, {}, notifier=Notifier([pager]))
    with running(worker):
        eventually(lambda: pager.told)
    engine.dispose()
    assert pager.told[0]["participant"] == "payer"
