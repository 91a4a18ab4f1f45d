"""What people decide is carried out in the trace of what it is about, however much later."""

from collections.abc import Iterator

import pytest

from onceward.providers import Never
from tests.conftest import Database
from tests.flows.support import Payer, flow_id, request
from tests.ledger.bank import lose_the_reply
from tests.ledger.test_resolving import People

from .conftest import Recorder, id_of, parent_of, trace_of


@pytest.fixture
def payer(database: Database) -> Iterator[Payer]:
    payer = Payer(database, repeat=Never())
    payer.bank.manners = [lose_the_reply]
    payer.code = lambda flow, event: flow.call(payer.pay, request(event))
    yield payer
    payer.engine.dispose()


@pytest.fixture
def people(database: Database, payer: Payer) -> Iterator[People]:
    people = People(database, payer.ledger)
    yield people
    people.close()


def test_a_decision_stands_where_its_call_was_asked_for_or_its_flow_was_started(
    payer: Payer, people: People, recorder: Recorder
) -> None:
    with recorder.tracer.start_as_current_span("web request") as asked:
        payer.start()
    payer.run_due()
    [call] = payer.rows("SELECT id FROM onceward.call")
    assert people.carry_out("applied", call)[0] == "applied"
    assert people.carry_out("close", flow_id(1))[0] == "applied"
    run = recorder.one("run transfer")
    of_call, of_flow = recorder.one("carry out applied"), recorder.one("carry out close")
    assert trace_of(of_call) == trace_of(of_flow) == trace_of(run) == asked.get_span_context().trace_id
    assert (parent_of(of_call), parent_of(of_flow)) == (id_of(run), asked.get_span_context().span_id)
    for span, kind, subject in ((of_call, "call", call), (of_flow, "flow", flow_id(1))):
        assert span.attributes is not None
        assert span.attributes[f"onceward.{kind}.id"] == str(subject)
        assert span.attributes["onceward.decision.end"] == "applied"


def test_one_that_is_stale_says_so(payer: Payer, people: People, recorder: Recorder) -> None:
    with recorder.tracer.start_as_current_span("web request"):
        payer.start()
    payer.run_due()
    [call] = payer.rows("SELECT id FROM onceward.call")
    people.decide("applied", call)
    with people.owner.begin() as owner:
        owner.exec_driver_sql("UPDATE onceward.call SET version = version + 1")
    assert people.resolving.carry_out() == 1
    span = recorder.one("carry out applied")
    assert span.attributes is not None
    assert span.attributes["onceward.decision.end"] == "stale"
