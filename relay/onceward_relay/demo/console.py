"""The console of the demo, as a process: with a guide line for each thing that is left, and a button for one more.

`python -m onceward_relay.demo.console`, told by its environment.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import SystemRandom
from typing import Any
from urllib.request import Request as Ask
from urllib.request import urlopen

from pydantic import SecretStr
from sqlalchemy import Engine, create_engine
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from onceward.database import sqlalchemy_url
from onceward_relay.console.config import ConsoleSettings
from onceward_relay.console.config import Settings as ConsoleConfig
from onceward_relay.console.guides import Button, Guide, Tour
from onceward_relay.console.routes import Route
from onceward_relay.console.serve import serve
from onceward_relay.demo.scene import GUIDES
from onceward_relay.demo.settings import Settings, settings
from onceward_relay.demo.workload import PAYERS, UNLUCKY, Order, make, orders
from onceward_relay.logs import configure

LOSE = "/demo/lose-next-reply"
TITLES = {"in_doubt": "A reply was lost", "mismatch": "A bank did something else", "flow_error": "The code has a bug"}


def tour_of(guides: Sequence[Mapping[str, Any]]) -> Tour:
    """Return what the worklist begins with."""
    lines = tuple(Guide(TITLES[each["kind"]], each["what"], each["hint"], each["page"]) for each in guides)
    text = "Makes a transfer whose reply the old gateway of bank B loses: watch it come here."
    return Tour(lines, (Button("Make the bank lose the next reply", text, LOSE),))


def lose_next_reply(engine: Engine, bank: str) -> Order:
    """Let a bank lose its next reply, and make a transfer that meets it."""
    told = {"next": ["lose_reply"], "operation": "gateway-credits", "account": UNLUCKY}
    request = Ask(f"{bank}/control/manners", json.dumps(told).encode(), method="POST")  # noqa: S310 -- our own bank
    with urlopen(request, timeout=5):  # noqa: S310 -- the same
        pass
    by_chance = next(orders(SystemRandom(), 1))
    order = replace(by_chance, account=PAYERS[0], payee=UNLUCKY, way="gateway", currency="EUR", kept=True, open_for=0)
    make(engine, order)
    return order


def _routes(told: Settings) -> list[Route]:
    engine = create_engine(sqlalchemy_url(told.payer_database))

    async def lose(_: Request) -> Response:
        order = await run_in_threadpool(lose_next_reply, engine, told.bank_b)
        return RedirectResponse(f"/search?q={order.id}", 303)

    return [Route("POST", LOSE, lose, "act")]


def main() -> None:
    """Serve until the demo ends it."""
    configure("info", "json")
    told = settings()
    config = ConsoleConfig.model_validate(
        {
            "console": ConsoleSettings(listen="127.0.0.1:0", home=SecretStr(told.home_database), deadline=2.0),
            "participant": [
                {"name": "payer", "database": SecretStr(told.payer_database)},
                {"name": "payee", "database": SecretStr(told.payee_database)},
            ],
        }
    )
    serve(config, tour_of(json.loads(os.environ[GUIDES])), _routes(told))


if __name__ == "__main__":
    main()
