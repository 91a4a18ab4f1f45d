"""A bank loses its reply, a person settles it on the console, a worker carries that out, and the flow goes on and is undone."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.rows import dict_row

from onceward.flows.flow import Flow
from onceward.providers import Never
from tests.conftest import Database
from tests.console.forms import send, whoami
from tests.console.running import Person, RunningConsole, running, settings_of
from tests.flows.support import Payer, Transfer, flow_id, request
from tests.flows.test_worker import running as working
from tests.ledger import bank as manners
from tests.people.desk import REASON, calling
from tests.support import eventually


@pytest.fixture
def whole(database: Database, home: Database) -> Iterator[RunningConsole]:
    with running(settings_of(home, {"payer": database.console_url})) as console:
        yield console


def test_a_lost_reply_is_settled_and_then_undone(database: Database, whole: RunningConsole) -> None:
    payer = Payer(database, repeat=Never())
    payer.bank.manners = [manners.lose_the_reply]

    def code(flow: Flow, event: Transfer) -> None:
        flow.call(payer.pay, request(event), ref="order-1")

    payer.code = code
    payer.start()
    with working(payer.worker(name="w1")), whole.person() as person:
        eventually(lambda: "in_doubt" in payer.open_incidents)
        _settle(payer, person)
        eventually(lambda: payer.states == {"completed": 1})
        flow = f"/flows/payer/{flow_id(1)}"
        assert "It has ended as completed" in person.look(flow).text
        _undo(database, payer, person, flow)
    assert payer.bank.worst == 1, "the bank has paid once"
    payer.engine.dispose()


def _settle(payer: Payer, person: Person) -> None:
    (call,) = payer.rows("SELECT id FROM onceward.call")
    path = f"/calls/payer/{call}"
    assert "takes no idempotency key" in person.look(path).text
    wrong = {"result.reference": "r-9", "result.amount": "five", "reason": REASON}
    wrong |= {"evidence_kind": "statement", "evidence_reference": "line 7"}
    assert "is no number like 12.50" in send(person, f"{path}/applied", **wrong).text
    page = send(person, f"{path}/applied", **(wrong | {"result.amount": "5.00"}))
    assert page.url.path == path
    eventually(lambda: "took effect (known by person" in person.look(path).text)
    settled = person.look(path).text
    assert "decision carried out: applied" in settled, "the outcome stands in the timeline"
    assert "Waits for a person" not in settled, "its incident is closed"


def _undo(database: Database, payer: Payer, person: Person, flow: str) -> None:
    assert "release" in person.look(f"{flow}/undo").text, "the undo that would run is shown before"
    page = send(person, f"{flow}/undo", reason=REASON)
    assert "waits for another person to agree" in page.text
    (decision,) = payer.rows("SELECT id FROM onceward.resolution WHERE verb = 'undo'")
    alone = person.send(f"/approvals/payer/{decision}/approve", page, reason="I agree with myself")
    assert f"{whoami(person)} has proposed this, so another person has to agree" in alone.text
    with psycopg.connect(database.console_url, autocommit=True, row_factory=dict_row) as other:
        calling(other, "approve", id=decision, actor="bob", reason="I saw it too")
    eventually(lambda: payer.states == {"undone": 1})
    assert "It has ended as undone" in person.look(flow).text
    assert "carried out" in person.look(flow).text
