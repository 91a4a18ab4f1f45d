"""A flow waits for messages: each is taken once, whenever it comes, and nothing that comes is lost or guessed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, Event, Thread
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.orm import Session

from onceward.errors import ConfigError
from onceward.flows import waits
from onceward.flows.definition import start
from onceward.flows.flow import Flow
from onceward.flows.listening import Listen
from onceward.flows.store import Store
from onceward.participant import Participant
from onceward.sqlfiles import statement
from tests.flows.support import Answer, Payer, Transfer, book, flow_id
from tests.support import eventually

HOUR = timedelta(hours=1)
Code = Callable[[Flow, Transfer], Any]


def wait_and_book(flow: Flow, event: Transfer) -> None:
    answer = flow.wait(Answer)
    flow.transact(book, event.number + 10 * answer.accepted)


def test_a_flow_waits_for_a_message_and_goes_on_with_it(waiter: Payer) -> None:
    flow = waiter.run(wait_and_book)
    assert (flow.state, flow.due_at, waiter.booked) == ("waiting", None, [])
    assert waiter.run_due() == 0, "a waiting flow is nobody's work"
    waiter.deliver(Answer(number=1))
    assert waiter.participant.flows.started.rings == 1, "workers that sleep are woken"
    assert waiter.run_due() == 1
    assert (waiter.flow().state, waiter.booked) == ("completed", [11])
    assert waiter.rows("SELECT taken_by, noticed FROM onceward.signal") == [("Answer", True)]


def test_a_message_that_comes_before_its_flow_is_kept_for_it(waiter: Payer) -> None:
    waiter.deliver(Answer(number=1))
    waiter.runner().notice()
    assert waiter.open_incidents == []
    assert waiter.run(wait_and_book).state == "completed"
    assert (waiter.runs, waiter.booked) == (1, [11])


def test_each_message_is_taken_once_and_the_oldest_first(waiter: Payer) -> None:
    def code(flow: Flow, event: Transfer) -> None:
        for number in range(3):
            flow.transact(book, int(flow.wait(Answer, step=f"wait-{number}").accepted), step=f"book-{number}")
        if waiter.runs < 4:
            raise RuntimeError("broken off")

    waiter.deliver(Answer(number=1, accepted=True))
    waiter.deliver(Answer(number=1, accepted=False))
    assert waiter.run(code).state == "waiting"
    waiter.deliver(Answer(number=2, accepted=False))
    assert waiter.run_due() == 0, "that was for another flow"
    waiter.deliver(Answer(number=1, accepted=True))
    waiter.run_due()
    assert (waiter.flow().state, waiter.booked) == ("completed", [1, 0, 1])


# --- rule 5: a wake-up that is lost ----------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["before the look", "between look and parking", "after parking"])
def test_rule_5_a_message_at_any_moment_wakes_the_flow(
    waiter: Payer, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named interleaving: where the message commits relative to the run's look for it and to its parking."""
    park = Store.park
    parked: list[bool] = []

    def deliver_then_park(self: Store, claim: Any, signals: int, until: Any = None) -> bool:
        if not parked:
            waiter.deliver(Answer(number=1))
        parked.append(park(self, claim, signals, until))
        return parked[-1]

    def code(flow: Flow, event: Transfer) -> None:
        if moment == "before the look" and waiter.runs == 1:
            waiter.deliver(Answer(number=1))
        wait_and_book(flow, event)

    if moment == "between look and parking":
        monkeypatch.setattr(Store, "park", deliver_then_park)
    waiter.run(code)
    if moment == "between look and parking":
        assert parked == [False], "parked although the message had come"
    if moment == "after parking":
        assert waiter.flow().state == "waiting"
        waiter.deliver(Answer(number=1))
        waiter.run_due()
    assert (waiter.flow().state, waiter.booked) == ("completed", [11])


def test_rule_5_a_message_that_no_flow_could_see_while_it_started_looked_and_parked_wakes_it(waiter: Payer) -> None:
    """Named interleaving: the message's transaction sees no flow; the flow starts, looks, parks; the message commits."""
    waiter.code = wait_and_book
    with waiter.engine.connect() as arriving:
        keep_signal(arriving)
        waiter.start()
        assert waiter.run_due() == 1
        assert waiter.flow().state == "waiting"
        arriving.commit()
    assert waiter.rows("SELECT noticed FROM onceward.signal") == [False]
    assert waiter.run_due() == 0
    assert waiter.runner().notice() == 1
    assert waiter.run_due() == 1
    assert waiter.flow().state == "completed"
    assert waiter.runner().notice() == 0


def test_rule_5_a_message_while_the_flow_is_looking_does_not_wait_and_wakes_it(
    waiter: Payer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named interleaving: the look's transaction holds the flow's row; the consumer passes it by, and it is told later."""
    look = waits.look

    def look_then_deliver(*arguments: Any) -> Any:
        found = look(*arguments)
        if waiter.rows("SELECT count(*) FROM onceward.signal") == [0]:
            waiter.deliver(Answer(number=1))
        return found

    monkeypatch.setattr("onceward.flows.flow.look", look_then_deliver)
    assert waiter.run(wait_and_book).state == "waiting"
    assert waiter.rows("SELECT noticed FROM onceward.signal") == [False]
    assert waiter.runner().notice() == 1
    waiter.run_due()
    assert waiter.flow().state == "completed"


def test_a_flow_that_somebody_is_busy_with_keeps_no_other_from_being_told(waiter: Payer) -> None:
    waiter.code = wait_and_book
    for number in (1, 2):
        waiter.start(number)
    waiter.run_due()
    lock = text("SELECT FROM onceward.flow WHERE id = :id FOR UPDATE")
    with waiter.admin.connect() as busy:
        busy.execute(lock, {"id": flow_id(1)})
        with waiter.admin.connect() as briefly:
            briefly.execute(lock, {"id": flow_id(2)})
            for number in (1, 2):
                waiter.deliver(Answer(number=number))
        assert waiter.runner().notice() == 1
        assert waiter.run_due() == 1
        assert waiter.flow(2).state == "completed"
    assert waiter.runner().notice() == 1
    waiter.run_due()
    assert waiter.flow(1).state == "completed"


def test_rule_5_a_message_whose_flow_starts_in_the_same_moment_is_noticed_before_or_seen(waiter: Payer) -> None:
    """Named interleaving: the flow's start has not committed when the message is noticed: its first look sees it."""
    waiter.code = wait_and_book
    waiter.deliver(Answer(number=1))
    with waiter.engine.connect() as starting:
        starting.execute(start(waiter.transfer, Transfer(number=1)))
        assert waiter.runner().notice() == 1
        starting.commit()
    assert waiter.runner().notice() == 0
    waiter.run_due()
    assert waiter.flow().state == "completed"


def test_rule_5_no_wake_up_is_lost_under_stress(waiter: Payer) -> None:
    """Messages, starts, looks and parkings race in several threads; in the end no flow waits for a message that came."""
    flows = 60
    waiter.code = wait_and_book
    together, stop = Barrier(4), Event()
    runner = waiter.runner()

    def work(step: Callable[[], object]) -> None:
        together.wait(10)
        while not stop.is_set():
            if not step():
                stop.wait(0.001)

    def deliver_all() -> None:
        together.wait(10)
        for number in range(flows):
            waiter.deliver(Answer(number=number))

    threads = [Thread(target=work, args=(step,)) for step in (runner.run_once, runner.run_once, runner.notice)]
    with ThreadPoolExecutor(1) as pool:
        for thread in threads:
            thread.start()
        delivered = pool.submit(deliver_all)
        try:
            for number in range(flows):
                waiter.start(number)
            delivered.result(60)
            eventually(lambda: waiter.states == {"completed": flows}, 60, lambda: (waiter.states, waiter.incidents))
        finally:
            stop.set()
            for thread in threads:
                thread.join(30)
    assert sorted(waiter.booked) == [number + 10 for number in range(flows)]


# --- rule 14: a timeout is not an answer -----------------------------------------------------------------------------


def test_rule_14_a_timeout_of_a_wait_opens_an_incident_and_is_no_answer(waiter: Payer) -> None:
    def code(flow: Flow, event: Transfer) -> None:
        answer = flow.wait(Answer, expect_within=2 * HOUR)
        flow.transact(book, event.number + 10 * answer.accepted)
        flow.sleep(HOUR)

    assert waiter.run(code).state == "waiting"
    assert waiter.rows(
        "SELECT f.due_at = s.until AND s.until > clock_timestamp() + interval '1 h'"
        " FROM onceward.flow f JOIN onceward.flow_step s ON s.flow_id = f.id"
    ) == [True]
    waiter.pass_time(2 * HOUR)
    waiter.run_due()
    flow = waiter.flow()
    assert (flow.state, flow.due_at, waiter.open_incidents) == ("waiting", None, ["overdue"])
    wake(waiter)
    waiter.run_due()
    assert waiter.rows("SELECT times, flow_id FROM onceward.incident") == [(1, flow_id(1))], "that is told once"
    waiter.deliver(Answer(number=1))
    waiter.run_due()
    assert (waiter.flow().state, waiter.booked, waiter.open_incidents) == ("waiting", [11], [])


def test_rule_14_a_wait_that_gives_up_says_so_and_what_comes_later_opens_an_incident(waiter: Payer) -> None:
    seen: list[Any] = []

    def code(flow: Flow, event: Transfer) -> None:
        seen.append(flow.wait(Answer, give_up_after=HOUR))
        flow.sleep(HOUR)

    assert waiter.run(code).state == "waiting"
    waiter.pass_time(HOUR)
    waiter.run_due()
    waiter.deliver(Answer(number=1))
    waiter.pass_time(HOUR)
    waiter.run_due()
    assert (waiter.flow().state, set(seen)) == ("completed", {None})
    assert waiter.open_incidents == ["late_signal"]


def test_rule_14_a_message_after_the_end_opens_an_incident(waiter: Payer) -> None:
    waiter.run(lambda flow, event: None)
    message_id = waiter.deliver(Answer(number=1))
    waiter.deliver(Answer(number=1))
    assert waiter.runner().notice() == 2
    assert waiter.runner().notice() == 0
    assert waiter.open_incidents == ["late_signal"]
    assert waiter.rows("SELECT flow_id, times, message_id = :id FROM onceward.incident", id=message_id) == [
        (flow_id(1), 2, False)
    ]
    assert waiter.rows("SELECT DISTINCT taken_by FROM onceward.signal") == [None]


DAY = timedelta(hours=24)


def let_signals_age(waiter: Payer, time: timedelta) -> None:
    with waiter.admin.begin() as connection:
        connection.execute(text("UPDATE onceward.signal SET arrived_at = arrived_at - :time"), {"time": time})


def without_flow(waiter: Payer) -> Any:
    figures = "SELECT value::int FROM onceward.ledger_figures() WHERE figure = 'messages_without_flow'"
    return waiter.rows(figures)[0]


def test_a_message_whose_flow_nobody_starts_is_counted_and_after_a_day_told_once(waiter: Payer) -> None:
    waiter.deliver(Answer(number=7))
    runner = waiter.runner()
    assert (runner.notice(), without_flow(waiter)) == (1, 1)
    let_signals_age(waiter, DAY - HOUR)
    assert (runner.age(), waiter.open_incidents) == (0, [])
    let_signals_age(waiter, 2 * HOUR)
    assert [runner.age(), runner.age()] == [1, 0]
    assert waiter.rows("SELECT kind, grp, ref, severity, times FROM onceward.incident") == [
        ("unmatched", "transfer/Answer", "7", 3, 1)
    ]
    [title] = waiter.rows("SELECT title FROM onceward.incident")
    assert title.startswith("A Answer came at ")
    assert title.endswith(" for flow transfer '7', which nobody has started")
    assert without_flow(waiter) == 1


def test_a_flow_that_is_started_later_takes_its_message_and_that_closes_the_incident(waiter: Payer) -> None:
    waiter.deliver(Answer(number=1))
    waiter.runner().notice()
    let_signals_age(waiter, 2 * DAY)
    assert waiter.runner().age() == 1
    assert waiter.run(lambda flow, event: flow.wait(Answer)).state == "completed"
    assert (waiter.open_incidents, without_flow(waiter)) == ([], 0)
    assert waiter.rows("SELECT closed_by FROM onceward.incident") == ["step Answer"]


def test_nobody_is_told_of_a_message_whose_flow_was_started_meanwhile(waiter: Payer) -> None:
    waiter.deliver(Answer(number=1))
    waiter.runner().notice()
    waiter.run(lambda flow, event: flow.sleep(HOUR))
    let_signals_age(waiter, 2 * DAY)
    assert [waiter.runner().age(), waiter.runner().age()] == [1, 0]
    assert (waiter.open_incidents, without_flow(waiter)) == ([], 0)


def test_a_message_that_is_there_when_time_is_over_is_taken(waiter: Payer) -> None:
    waiter.deliver(Answer(number=1))
    with waiter.admin.begin() as connection:
        connection.execute(text("UPDATE onceward.signal SET noticed = true, flow_key = 'later'"))
    assert (
        waiter.run(lambda flow, event: flow.wait(Answer, give_up_after=HOUR) or flow.transact(book, 99)).state
        == "waiting"
    )
    waiter.pass_time(HOUR)
    with waiter.admin.begin() as connection:
        connection.execute(text("UPDATE onceward.signal SET flow_key = '1'"))
    waiter.run_due()
    assert (waiter.flow().state, waiter.booked) == ("completed", [])


def test_the_time_of_a_wait_counts_from_its_beginning(waiter: Payer) -> None:
    waiter.run(lambda flow, event: flow.wait(Answer, give_up_after=HOUR))
    (until,) = waiter.rows("SELECT until FROM onceward.flow_step")
    wake(waiter)
    waiter.run_due()
    assert waiter.rows("SELECT until FROM onceward.flow_step") == [until]
    assert waiter.flow().due_at == until


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("unnoticed", {"limit": 100}),
        ("take_signal", {"name": "transfer", "key": "7", "type": "Answer", "step": "Answer"}),
        ("untaken", {"name": "transfer", "key": "7"}),
        ("flowless", {"age": timedelta(hours=24), "limit": 100}),
    ],
)
def test_a_look_for_messages_costs_the_same_however_many_there_are(
    waiter: Payer, name: str, values: dict[str, object]
) -> None:
    with waiter.admin.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO onceward.signal (flow_name, flow_key, type, message_id, topic, body, noticed)"
                " SELECT 'transfer', n::text, 'Answer', gen_random_uuid(), 'answers', '{}', n > 10"
                " FROM generate_series(1, 20000) n"
            )
        )
        connection.execute(text("ANALYZE onceward.signal"))
        explain = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement("onceward.flows", name)
        plan = connection.execute(text(explain), values).scalar_one()[0]["Plan"]
    assert "Seq Scan on signal" not in str(plan)
    assert plan["Shared Hit Blocks"] < 60


# --- what cannot be --------------------------------------------------------------------------------------------------


class Other(BaseModel):
    number: int


MISTAKES: dict[str, tuple[str, Code]] = {
    "a message that it does not listen to": ("does not listen to Other", lambda flow, event: flow.wait(Other)),
    "both times": (
        "not both",
        lambda flow, event: flow.wait(Answer, expect_within=HOUR, give_up_after=HOUR),  # type: ignore[call-overload]
    ),
    "no time": ("expect_within must be", lambda flow, event: flow.wait(Answer, expect_within=timedelta(0))),
    "a time beyond all times": (
        "give_up_after must",
        lambda flow, event: flow.wait(Answer, give_up_after=timedelta.max),
    ),
    "a number for a time": ("the time to sleep", lambda flow, event: flow.sleep(5)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wait_that_cannot_be_is_left_to_a_person_at_once(waiter: Payer, mistake: str) -> None:
    words, code = MISTAKES[mistake]
    flow = waiter.run(code)
    if flow.state == "waiting":
        waiter.pass_time(HOUR)
        waiter.run_due()
        flow = waiter.flow()
    assert (flow.state, waiter.open_incidents) == ("blocked", ["flow_error"])
    assert words in waiter.incidents[0][2]


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b'{"number": "no"}', "number: Input should be a valid integer"),
        (b"[]", "payload: Input should be an object"),
        (b'{"number": 1', "Invalid JSON"),
        (b"\xff", "Invalid JSON"),
        (b'{"number": 1, "x": "\\u0000"}', "cannot be kept as JSON: unsupported Unicode escape sequence"),
        (b'{"number": 1, "x": NaN}', "cannot be kept as JSON: invalid input syntax"),
        (b'{"number": 1, "x": 1e200000}', "cannot be kept as JSON: value overflows"),
    ],
)
def test_a_message_that_no_wait_could_take_is_parked(waiter: Payer, payload: bytes, words: str) -> None:
    waiter.deliver(payload)
    ((state, error),) = waiter.rows("SELECT state, error FROM onceward.inbox_parked")
    assert (state, words in error) == ("parked", True), error
    assert waiter.rows("SELECT count(*) FROM onceward.signal") == [0]


def test_a_message_that_todays_model_does_not_take_blocks_the_flow_and_stays(waiter: Payer) -> None:
    waiter.run(wait_and_book)
    waiter.deliver(Answer(number=1))
    with waiter.admin.begin() as connection:
        connection.execute(text("UPDATE onceward.signal SET body = :body"), {"body": b'{"number": "IBAN"}'})
    waiter.run_due()
    assert (waiter.flow().state, waiter.rows("SELECT taken_by FROM onceward.signal")) == ("blocked", [None])
    with waiter.admin.begin() as connection:
        connection.execute(text("UPDATE onceward.signal SET body = :body"), {"body": b'{"number": 1}'})
    waiter.unblock()
    waiter.run_due()
    assert (waiter.flow().state, waiter.open_incidents) == ("completed", [])


def test_declarations_of_what_a_flow_listens_to_that_cannot_be_are_refused() -> None:
    participant = Participant("declared")

    def declare(*listen: Listen[Any], **options: Any) -> None:
        participant.flow("a", Transfer, key=lambda event: event.number, name="f", listen=listen, **options)(
            lambda flow, event: None
        )

    def key(event: Any) -> int:
        return 1

    with pytest.raises(ConfigError, match="are not a pair"):
        declare(Listen("b", Answer, key=key), Listen("c", Answer, key=key, type="other"))
    with pytest.raises(ConfigError, match="are not a pair"):
        declare(Listen("b", Answer, key=key), Listen("c", Other, key=key, type="Answer"))
    with pytest.raises(ConfigError, match="must be a pydantic model"):
        declare(Listen("b", bytes, key=key))
    with pytest.raises(ConfigError, match=r"must take \(session, event, reason\)"):
        declare(undone=lambda session: None)

    async def undone(session: Session, event: Transfer, reason: str) -> None: ...

    with pytest.raises(ConfigError, match="is asynchronous"):
        declare(undone=undone)


def test_a_flow_may_listen_to_several_topics_and_types(waiter: Payer) -> None:
    participant = Participant("several")
    listen: list[Listen[Any]] = [
        Listen("b", Answer, key=lambda event: event.number),
        Listen("c", Answer, key=lambda event: event.number),
        Listen("c", Other, key=lambda event: event.number),
    ]
    participant.flow("a", Transfer, key=lambda event: event.number, name="f", listen=listen)(lambda flow, event: None)
    assert participant.topics == ["a", "b", "c"]
    assert participant.flows.listening


def wake(payer: Payer) -> None:
    with payer.admin.begin() as connection:
        connection.execute(text("UPDATE onceward.flow SET state = 'running', due_at = clock_timestamp()"))


def keep_signal(connection: Any) -> None:
    """Do what a message's transaction does, and leave the commit to the caller."""
    values = {"flow_name": "transfer", "flow_key": "1", "type": "Answer", "topic": "answers", "body": b'{"number": 1}'}
    connection.execute(text(statement("onceward.flows", "keep_signal")), values | {"message_id": flow_id(99)})
