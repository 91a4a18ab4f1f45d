"""A statement on the command line: a dry run, and then what it found, once."""

from pathlib import Path

import pytest

from tests.people.desk import Desk
from tests.people.test_command_line import Line

HEADING = "Transaction,Order,Amount,Currency,Status"


@pytest.fixture
def line(desk: Desk) -> Line:
    return Line(desk)


def written(path: Path, *rows: str) -> Path:
    file = path / "may.csv"
    file.write_text("\n".join([HEADING, *rows]))
    return file


def test_a_statement_is_looked_at_first_and_then_proposed_once(desk: Desk, line: Line, tmp_path: Path) -> None:
    applied, rejected = desk.call(ref="order-1"), desk.call(ref="order-2")
    file = written(
        tmp_path, "r-1,order-1,100.00,EUR,Booked", "r-2,order-2,100,EUR,Rejected", "r-3,order-3,1,EUR,Booked"
    )
    frozen = tmp_path / "frozen.json"
    said = line.run("calls", "statement", file, "--provider", "bank", "--dry-run", frozen).output
    for words in (
        "reference: Transaction",
        "ref: Order",
        "result.reference: Transaction",
        "2 settle a call that is in doubt",
        "1 fit no call",
        str(applied),
        "--from",
    ):
        assert words in said
    assert desk.audit() == []
    said = line.decide("calls", "statement", "--from", frozen).output
    assert "2 done, 0 refused" in said
    batch = desk.one("SELECT DISTINCT batch_id FROM onceward.resolution")["batch_id"]
    assert f"onceward approvals approve --batch {batch}" in said
    before = desk.audit()
    assert len(before) == 4
    line.decide("calls", "statement", "--from", frozen)
    assert desk.audit() == before
    line.decide("approvals", "approve", "--batch", batch, actor="bob")
    states = desk.all("SELECT call_id, verb, state FROM onceward.resolution")
    assert {row["call_id"]: (row["verb"], row["state"]) for row in states} == {
        applied: ("applied", "approved"),
        rejected: ("not_applied", "approved"),
    }


def test_what_is_refused_keeps_no_other_back_and_is_told_by_the_status(desk: Desk, line: Line, tmp_path: Path) -> None:
    changed = desk.call(ref="order-1")
    desk.call(ref="order-2")
    file = written(tmp_path, "r-1,order-1,100,EUR,Booked", "r-2,order-2,100,EUR,Booked")
    frozen = tmp_path / "frozen.json"
    line.run("calls", "statement", file, "--provider", "bank", "--dry-run", frozen)
    desk.owner.execute("UPDATE onceward.call SET version = version + 1 WHERE id = %s", (changed,))
    said = line.decide("calls", "statement", "--from", frozen, status=1).output
    assert "1 done, 1 refused" in said
    assert "has changed since it was seen" in said
    assert ("ada", "denied", "call") in desk.audit()


def test_columns_are_named_where_their_headings_say_nothing(desk: Desk, line: Line, tmp_path: Path) -> None:
    call = desk.call(key="k-1")
    file = tmp_path / "odd.csv"
    file.write_bytes("Über;A;B;C\n1;k-1;-1.00,00;ok\n2;k-2;1;no\n".replace("1.00,00", "100,00").encode("latin-1"))
    run = ("calls", "statement", file, "--provider", "bank", "--encoding", "latin-1", "--dry-run", tmp_path / "f.json")
    named = (
        "--column",
        "key=A",
        "--column",
        "amount=B",
        "--column",
        "status=C",
        "--result",
        "reference=Über",
        "--says",
        "ok=applied",
        "--currency",
        "EUR",
        "--decimals",
        "comma",
    )
    assert "--column reference=" in line.run(*run, status=2).output
    assert "there is no column 'D'" in line.run(*run, "--column", "key=D", status=2).output
    assert "is not of the form" in line.run(*run, "--column", "key", status=2).output
    assert "with --direction" in line.run(*run, *named, status=1).output
    assert "currency" in line.run(*run, *named[:-4], "--currency", "euro", status=2).output
    said = line.run(*run, *named, "--direction", "negative", "--json").output
    assert str(call) in said
    assert '"finding": "aside"' in said


def test_a_file_that_cannot_be_read_is_a_message_of_one_line(desk: Desk, line: Line, tmp_path: Path) -> None:
    file, frozen = tmp_path / "may.csv", tmp_path / "frozen.json"
    run = ("calls", "statement", file, "--provider", "bank", "--dry-run", frozen)
    assert "No such file" in line.run(*run, status=1).output
    file.write_bytes(b"id\n\xff\n")
    assert "byte 0xff at position 4, line 2" in line.run(*run, status=1).output
    file.write_bytes(b"id\nr-1\n")
    assert (
        "no worker has declared"
        in line.run("calls", "statement", file, "--provider", "x", "--dry-run", frozen, status=1).output
    )
    assert "give FILE with --provider" in line.run("calls", "statement", file, status=2).output
    assert "--reason is needed" in line.run("calls", "statement", "--from", frozen, status=2).output
    assert "No such file" in line.decide("calls", "statement", "--from", frozen, status=1).output
    frozen.write_text("{}")
    assert "is no file of a dry run" in line.decide("calls", "statement", "--from", frozen, status=1).output
    assert "File exists" in line.run(*run, status=1).output
