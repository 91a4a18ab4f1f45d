"""A database with calls and flows in every state, and the desk of the people who decide about them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb

from tests.conftest import Database

REASON = "the bank said so on the phone"
TABLES = "audit, call, attempt, flow, flow_step, incident, evidence, resolution, approval_rule, setting, signal, hold, operation, provider"
SETTLED = ("succeeded", "failed", "cancelled")
ANSWER = {"reference": "r-1", "name": "Ada"}


class Desk:
    """What is in the database, written as its superuser, and what people do, with the rights of the console."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.owner = psycopg.connect(database.url, autocommit=True, row_factory=dict_row)
        self.console = psycopg.connect(database.console_url, autocommit=True, row_factory=dict_row)
        self._clear()

    def close(self) -> None:
        self.owner.close()
        self.console.close()

    def call(
        self,
        state: str = "in_doubt",
        *,
        amount: str | None = "100",
        sent_ago: timedelta = timedelta(hours=1),
        operation: str = "pay",
        **columns: Any,
    ) -> UUID:
        """Write a call of the bank; without `sent_ago` changed, no attempt of it can still be on its way."""
        call_id = columns.pop("id", None) or uuid4()
        row: dict[str, Any] = {
            "id": call_id,
            "provider": "bank",
            "operation": operation,
            "key": f"key-{call_id}",
            "request": b'{"amount": "100", "name": "Ada"}',
            "fingerprint": bytes(32),
            "amount": amount,
            "currency": amount and "EUR",
            "state": state,
            "ambiguous": state == "in_doubt",
            "scope": "merchant-1",
            "attempts": 1,
        }
        if state == "succeeded":
            row |= {"result": Jsonb(ANSWER), "provider_ref": "r-1"}
            if operation == "pay":
                row |= {"undo_request": b'{"reference": "r-1"}'}
        if columns.get("flow_id"):
            row |= {"step": f"{operation}-{call_id}", "seq": 1}
        row |= columns
        moments = {"first_sent_at": -sent_ago, "send_by": timedelta(seconds=5) - sent_ago}
        if state in ("pending", "in_flight"):
            moments["due_at"] = timedelta(minutes=1)
        if state == "accepted":
            moments["expect_by"] = timedelta(hours=1)
        if state in SETTLED:
            moments["settled_at"] = -sent_ago
            row.setdefault("settled_by", "answer")
        self._insert("call", row, moments)
        return call_id

    def flow(self, state: str = "waiting", **columns: Any) -> UUID:
        """Write a flow."""
        flow_id = uuid4()
        row = {"id": flow_id, "name": "transfers", "key": str(flow_id), "input": b"{}", "state": state, "due_at": None}
        moments = {}
        if state == "running":
            moments["due_at"] = timedelta(0)
            del row["due_at"]
        if state in ("completed", "undone", "closed"):
            moments["ended_at"] = -timedelta(hours=1)
        self._insert("flow", {**row, **columns}, moments)
        return flow_id

    def incident(self, kind: str = "in_doubt", **columns: Any) -> UUID:
        """Open an incident."""
        incident_id = uuid4()
        row = {"id": incident_id, "kind": kind, "grp": "bank/pay/timeout", "severity": 1, "title": "the bank is silent"}
        self._insert("incident", {**row, **columns}, {})
        return incident_id

    def evidence(self, call: UUID, says: str = "applied", **arguments: Any) -> UUID:
        """Let Ada bring evidence about a call."""
        evidence_id = uuid4()
        given = {"id": evidence_id, "call": call, "kind": "statement", "says": says, "reference": "r-1", "body": None}
        self.do("add_evidence", **{**given, "actor": "ada", **arguments})
        return evidence_id

    def propose(self, verb: str, subject: UUID, **arguments: Any) -> DictRow:
        """Let Ada propose a decision about what she sees now."""
        given = {"id": uuid4(), "verb": verb, "subject": subject, "actor": "ada", "reason": REASON}
        if "seen_version" not in arguments:
            arguments["seen_version"] = self.version(subject)
        if verb == "applied":
            arguments.setdefault("body", {"result": ANSWER})
            if "evidence" not in arguments:
                arguments["evidence"] = self.evidence(subject)
        return self.do("propose", **{**given, **arguments})

    def approve(self, decision: DictRow, actor: str = "bob") -> DictRow:
        return self.do("approve", id=decision["id"], actor=actor, reason="I saw it too")

    def do(self, function: str, **arguments: Any) -> DictRow:
        """Call a function of the schema with the console's rights and return its row."""
        return calling(self.console, function, **arguments)

    def version(self, subject: UUID) -> int:
        query = "SELECT version FROM onceward.call WHERE id = %(id)s UNION ALL SELECT version FROM onceward.flow WHERE id = %(id)s"
        return int(self.one(query, id=subject)["version"])

    def one(self, query: str, **arguments: Any) -> DictRow:
        row = self.owner.execute(query.encode(), arguments).fetchone()
        assert row is not None
        return row

    def all(self, query: str, **arguments: Any) -> list[DictRow]:
        return self.owner.execute(query.encode(), arguments).fetchall()

    def verbs(self, subject: UUID, kind: str = "call") -> dict[str, str | None]:
        """Return for each verb why it is not allowed, None if it is."""
        rows = self.console.execute(f"SELECT * FROM onceward.verbs_of_{kind}(%s)".encode(), (subject,)).fetchall()
        return {row["verb"]: None if row["allowed"] else row["why"] for row in rows}

    def audit(self) -> list[tuple[str, str, str]]:
        """Return what the audit holds: who, what and about which kind."""
        return [
            (row["actor"], row["action"], row["subject_kind"])
            for row in self.all("SELECT * FROM onceward.audit ORDER BY no")
        ]

    @contextmanager
    def another(self) -> Iterator["psycopg.Connection[DictRow]"]:
        """Connect once more, for what happens at the same time. Its transaction is the test's."""
        with psycopg.connect(self.database.console_url, row_factory=dict_row) as connection:
            connection.execute("SET statement_timeout = '10s'")
            yield connection

    def _clear(self) -> None:
        self.owner.execute("SET session_replication_role = replica")  # no trigger keeps what is final
        self.owner.execute("; ".join(f"DELETE FROM onceward.{name}" for name in TABLES.split(", ")).encode())
        self.owner.execute("RESET session_replication_role")
        self.owner.execute("INSERT INTO onceward.provider (name) VALUES ('bank')")
        for name, undo, repeat in (
            ("refund", None, "same_key"),
            ("pay", "refund", "same_key"),
            ("wire", None, "never"),
        ):
            self._insert(
                "operation",
                {
                    "provider": "bank",
                    "name": name,
                    "repeat": repeat,
                    "key_lifetime": timedelta(hours=24) if repeat == "same_key" else None,
                    "lookup": "none" if repeat == "never" else "positive",
                    "settle_delay": timedelta(minutes=1),
                    "timeout": timedelta(seconds=30),
                    "undo": undo,
                    "shown": ["amount", "reference"],
                    "request_schema": Jsonb({}),
                    "result_schema": Jsonb({"required": ["reference"]}),
                },
                {},
            )

    def _insert(self, table: str, row: dict[str, Any], moments: dict[str, timedelta]) -> None:
        names = [*row, *moments]
        values = [*(f"%({name})s" for name in row), *(f"now() + %({name})s" for name in moments)]
        query = f"INSERT INTO onceward.{table} ({', '.join(names)}) VALUES ({', '.join(values)})"
        self.owner.execute(query.encode(), {**row, **moments})


def calling(connection: "psycopg.Connection[DictRow]", function: str, **arguments: Any) -> DictRow:
    """Call a function of the schema with named arguments and return its row."""
    given = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in arguments.items()}
    query = f"SELECT * FROM onceward.{function}({', '.join(f'{name} => %({name})s' for name in given)})"
    row = connection.execute(query.encode(), given).fetchone()
    assert row is not None
    return row
