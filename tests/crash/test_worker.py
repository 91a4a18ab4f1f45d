"""A worker killed with SIGKILL while the bank works and while it consumes, against a bank that keeps its own books."""

import json
import time
from collections import Counter
from collections.abc import Callable

import pytest

from tests.checker.checker import check_calls
from tests.crash.scene import KILLED
from tests.crash.shop import Shop
from tests.support import eventually

SETTLED_WITHIN = 60.0
"""Seconds: the call's lease is 12 s, then come a lookup's delay and the backoff."""


def killed_at(point: str) -> Callable[[Shop], None]:
    def play(shop: Shop) -> None:
        with shop.worker(point) as worker:
            assert worker.wait() == KILLED

    return play


def killed_while_the_bank_holds(manner: str) -> Callable[[Shop], None]:
    def play(shop: Shop) -> None:
        shop.bank.next(manner)
        with shop.worker() as worker:
            eventually(lambda: shop.bank.held, describe=lambda: worker.output)
            worker.kill()
        shop.bank.release()

    return play


DOUBTFUL = {
    "before the effect": killed_while_the_bank_holds("hold_request"),
    "after the effect": killed_while_the_bank_holds("hold_reply"),
}
SURE = {
    "before the handler's commit": killed_at("consumer.handled"),
    "before the offset": killed_at("consumer.committed"),
}
"""Where a death leaves no doubt even at a provider that offers nothing."""
DEATHS = DOUBTFUL | SURE
"""In this sequence each meets its own order at a provider without keys: what is in doubt there is not sent again."""


def reference(death: str) -> str:
    """The order's number, by which the bank's books name it."""
    return death.replace(" ", "-").replace("'", "")


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "by", [*(pytest.param(each, marks=pytest.mark.long) for each in ("debits", "credits")), "gateway-credits"]
)
def test_a_killed_worker_pays_nobody_twice(shop: Shop, by: str) -> None:
    for death, play in DEATHS.items():
        shop.order(reference(death), by)
        play(shop)
    with shop.worker() as worker:
        eventually(
            lambda: len(shop.rows("SELECT FROM onceward.flow")) == len(DEATHS), SETTLED_WITHIN, lambda: worker.output
        )
        eventually(lambda: not shop.open_flows(), SETTLED_WITHIN, lambda: (shop.open_flows(), worker.output))
        assert worker.terminate() == 0
    effects = shop.effects()
    doubtful = {reference(death) for death in DOUBTFUL} if by == "gateway-credits" else set()
    verdict = check_calls(effects, shop.calls(), doubtful)
    assert verdict, str(verdict)
    in_doubt = shop.rows("SELECT ref FROM onceward.call WHERE state = 'in_doubt'")
    completed = {row.key for row in shop.rows("SELECT key FROM onceward.flow WHERE state = 'completed'")}
    assert completed <= effects.keys()
    assert [row.number for row in shop.rows("SELECT number FROM public.paid ORDER BY number")] == sorted(completed)
    assert len(shop.rows("SELECT FROM onceward.outbox")) == len(completed)
    assert {row.ref for row in in_doubt} == doubtful
    incidents = shop.rows("SELECT title FROM onceward.incident WHERE kind = 'in_doubt' AND closed_at IS NULL")
    assert len(incidents) == len(in_doubt)
    assert all("takes no idempotency key" in row.title for row in incidents)


LONGEST_ABSENCE = 3.0
"""Seconds for which a consumer may poll nothing before its group gives its partitions to others."""
IMPATIENT = {"session.timeout.ms": LONGEST_ABSENCE * 1000, "max.poll.interval.ms": LONGEST_ABSENCE * 1000}


def test_a_call_that_hangs_keeps_no_partition_waiting_and_outlives_a_rebalance(shop: Shop) -> None:
    settings = {"PAYER_TIMEOUT": "60", "PAYER_OPTIONS": json.dumps({name: int(ms) for name, ms in IMPATIENT.items()})}
    shop.bank.next("hold_reply", reference="hangs")
    shop.order("hangs", "gateway-credits")

    def started() -> set[str]:
        return {row.key for row in shop.rows("SELECT key FROM onceward.flow")}

    with shop.worker(**settings) as worker:
        eventually(lambda: shop.bank.held, describe=lambda: worker.output)
        time.sleep(LONGEST_ABSENCE + 1)
        shop.order("comes later", "debits")
        eventually(lambda: "comes later" in started(), describe=lambda: worker.output)
        assert "revoked" not in worker.output, "the consumer has kept its partition"
        with shop.worker(**settings, PAYER_MEMBER="payer-2") as another:
            worker.wait_for_output("revoked")
            shop.order("comes last", "debits")
            eventually(lambda: "comes last" in started(), describe=lambda: (worker.output, another.output))
            assert shop.bank.held == 1
            shop.bank.release()
            eventually(
                lambda: len(started()) == 3 and not shop.open_flows(), 60, lambda: (shop.open_flows(), worker.output)
            )
            assert (worker.terminate(), another.terminate()) == (0, 0)
    assert shop.calls() == dict.fromkeys(("hangs", "comes later", "comes last"), "succeeded")
    assert shop.effects() == Counter(shop.calls().keys())
    assert shop.rows("SELECT attempts FROM onceward.call WHERE ref = 'hangs'") == [(1,)]
