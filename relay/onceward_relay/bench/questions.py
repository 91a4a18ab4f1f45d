"""What workers, people and the relay ask of a ledger again and again; `full_ledger` fills one for it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, CursorResult, text

from onceward.sqlfiles import statement
from onceward_relay.bench.stage import PREFIX

BANK, FLOW = f"{PREFIX}bank", f"{PREFIX}settle"
GROUP = f"{BANK}/pay/code-7"


@dataclass(frozen=True, slots=True)
class Question:
    """A statement with its parameters."""

    package: str
    statement: str
    parameters: Mapping[str, Any]

    def ask(self, connection: Connection, prefix: str = "") -> "CursorResult[Any]":
        """Run it; `prefix` may be an EXPLAIN."""
        query = f"{prefix} {statement(self.package, self.statement)}"
        if self.package.startswith("onceward_relay."):  # written for psycopg
            return connection.exec_driver_sql(query, dict(self.parameters))
        return connection.execute(text(query), self.parameters)

    def cost(self, connection: Connection) -> tuple[int, str]:
        """Run it under EXPLAIN; return how many blocks it touched, and its plan as JSON.

        It is run once before, so that what the session has to learn of the schema does not count.
        """
        self.ask(connection).fetchall()
        [document] = self.ask(connection, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)").scalar_one()
        plan = document["Plan"]
        return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]), json.dumps(plan, indent=1)


def _worker(package: str, query: str, /, **parameters: Any) -> Question:
    return Question(f"onceward.{package}", query, parameters)


def _person(query: str, /, **parameters: Any) -> Question:
    return Question("onceward_relay.people", query, parameters)


def questions(call: str, flow: str) -> Mapping[str, Question]:
    """Return all of them; `call` and `flow` are the ids of one that is looked at."""
    known = {"providers": [BANK], "operations": ["pay"]}
    incidents = {"group": None, "assignee": None, "snoozed": False, "limit": 100}
    calls = {"state": None, "ref": None, "limit": 100}
    flows = {"state": None, "name": None, "key": None, "limit": 100}
    decisions = {"states": ["proposed"], "batch": None, "limit": 100}
    return {
        "worker: claim a flow": _worker("flows", "claim", names=[FLOW], worker="bench", lease=30.0, code_version=None),
        "worker: claim a call": _worker("ledger", "due", provider=BANK, operations=["pay"]),
        "worker: are calls due": _worker("ledger", "due_at_each", names=[BANK], rooms=[8], **known),
        "worker: is a decision due": _worker("ledger", "next_decision", **known),
        "worker: is a report due": _worker("ledger", "next_report", providers=[BANK]),
        "worker: is a message unnoticed": _worker("flows", "unnoticed", limit=100),
        "incidents list": _person("incidents", **incidents),
        "incidents list --group": _person("incidents", **incidents | {"group": GROUP}),
        "incidents list --assignee": _person("incidents", **incidents | {"assignee": "ada"}),
        "incidents groups": _person("incident_groups", limit=100),
        "calls list": _person("calls", **calls),
        "calls list --state in_doubt": _person("calls", **calls | {"state": "in_doubt"}),
        "calls list --state failed": _person("calls", **calls | {"state": "failed"}),
        "calls list --state cancelled": _person("calls", **calls | {"state": "cancelled"}),
        "calls list --ref": _person("calls", **calls | {"ref": "order 7"}),
        "calls show": _person("call", id=call),
        "flows list": _person("flows", **flows),
        "flows list --state blocked": _person("flows", **flows | {"state": "blocked"}),
        "flows list --state undone": _person("flows", **flows | {"state": "undone"}),
        "flows list --key": _person("flows", **flows | {"key": "7"}),
        "flows show": _person("flow", id=flow),
        "approvals list": _person("decisions", **decisions),
        "providers list": _person("providers"),
        "relay: figures": Question("onceward_relay.status", "ledger_figures", {}),
    }
