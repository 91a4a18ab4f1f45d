"""`onceward audit`: the chain is verified, and what was done to it is found."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from onceward_relay.cli import main
from tests.people.desk import Desk


def verify(desk: Desk, *arguments: str) -> tuple[int, dict[str, Any]]:
    command = ["audit", "verify", *arguments, "--json"]
    result = CliRunner().invoke(main, command, env={"ONCEWARD_DATABASE": desk.database.auditor_url})
    return result.exit_code, json.loads(result.output)


@pytest.fixture
def head(desk: Desk) -> str:
    """Five entries, of which the head is kept."""
    for number in range(5):
        desk.do("note", subject_kind="call", subject=str(desk.call()), note=f"note {number}", actor="ada")
    row = desk.do("audit_head")
    return f"{row['no']}:{row['hash']}"


def tamper(desk: Desk, command: str) -> None:
    desk.owner.execute("ALTER TABLE onceward.audit DISABLE TRIGGER audit_final")
    desk.owner.execute(command.encode())
    desk.owner.execute("ALTER TABLE onceward.audit ENABLE TRIGGER audit_final")


def test_an_untouched_chain_is_verified_up_to_its_head(desk: Desk, head: str) -> None:
    status, found = verify(desk, "--head", head)
    assert (status, found["ok"], found["entries"]) == (0, True, 5)
    assert f"{found['number']}:{found['hash']}" == head
    desk.do("note", subject_kind="call", subject=str(desk.call()), note="one more", actor="ada")
    assert verify(desk, "--head", head)[0] == 0, "it may have grown since"


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("UPDATE onceward.audit SET reason = 'x' WHERE no = 3", "entry 3 was changed"),
        ("UPDATE onceward.audit SET body = '{}', at = now() WHERE no = 5", "entry 5 was changed"),
        ("DELETE FROM onceward.audit WHERE no = 3", "entry 4 does not follow 2"),
        ("DELETE FROM onceward.audit WHERE no = 1", "entry 2 does not follow 0"),
        (
            "UPDATE onceward.audit a SET reason = 'x', hash = onceward.audit_hash((SELECT ROW(a.no, a.at, a.actor, a.db_role, a.action, a.subject_kind, a.subject, 'x', a.body, a.previous, NULL)::onceward.audit)) WHERE no = 3",
            "entry 4 does not follow the one before it",
        ),
    ],
)
def test_what_was_changed_or_removed_is_found(desk: Desk, head: str, command: str, wrong: str) -> None:
    tamper(desk, command)
    status, found = verify(desk)
    assert (status, found["ok"]) == (1, False)
    assert wrong in found["wrong"]


def test_a_tail_that_was_cut_off_is_found_by_the_head_that_was_kept(desk: Desk, head: str) -> None:
    tamper(desk, "DELETE FROM onceward.audit WHERE no > 3")
    assert verify(desk)[0] == 0, "nothing inside the database shows it"
    status, found = verify(desk, "--head", head)
    assert (status, found["wrong"]) == (1, "the audit ends at 3, but had an entry 5: its end was cut off")
    desk.do("note", subject_kind="call", subject=str(desk.call()), note="note 3", actor="ada")
    desk.do("note", subject_kind="call", subject=str(desk.call()), note="note 4", actor="ada")
    status, found = verify(desk, "--head", head)
    assert (status, found["wrong"]) == (1, "entry 5 is another than it was: the audit was written anew")


def test_entries_are_listed(desk: Desk, head: str) -> None:
    env = {"ONCEWARD_DATABASE": desk.database.auditor_url}
    shown = CliRunner().invoke(main, ["audit", "list", "--actor", "ada", "--limit", "2"], env=env)
    assert "note 4" in shown.output
    assert "note 2" not in shown.output
    (newest, *_) = json.loads(CliRunner().invoke(main, ["audit", "list", "--json"], env=env).output)
    assert f"{newest['no']}:{newest['hash']}" == head


def test_an_empty_audit_is_verified(desk: Desk) -> None:
    assert verify(desk) == (0, {"ok": True, "wrong": None, "entries": 0, "number": None, "hash": None})
    result = CliRunner().invoke(main, ["audit", "verify", "--head", "x"], env={"ONCEWARD_DATABASE": desk.database.url})
    assert (result.exit_code, "must be a number and a hash" in result.output) == (2, True)
