"""The payment of an order: once, wherever the worker dies."""

import os
import signal
import subprocess
import sys
from uuid import UUID

import pytest
from sqlalchemy import Engine

from participant_template.models import State

from .provider import PaymentProvider
from .work import let_time_pass, order_of, work


@pytest.mark.parametrize(
    "point", ["flow.claimed", "call.recorded", "call.answered", "call.settled", "flow.step_recorded"]
)
def test_it_pays_once_wherever_the_worker_is_killed(
    database: Engine, provider: PaymentProvider, placed: UUID, point: str
) -> None:
    code = "from participant_template.settings import engine; from tests.work import work; work(engine())"
    died = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ONCEWARD_FAILPOINT": point, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    for _ in range(3):
        let_time_pass(database)
        work(database)
    assert order_of(database, placed).state == State.PAID
    assert [len(effects) for effects in provider.books.values()] == [1]
