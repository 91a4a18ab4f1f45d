"""Statements on the screen: uploaded, explained, looked at, proposed, agreed to by another person."""

import csv
import re
from io import StringIO
from uuid import uuid4

import httpx
import psycopg

from onceward_relay.people.statements.sheet import MOST_BYTES
from tests.conftest import Database
from tests.console.running import FORM_TOKEN, Person, RunningConsole, running
from tests.people.desk import Desk
from tests.support import eventually

HEADING = "reference,ref,amount,currency,status"


def upload(person: Person, text: str | bytes, **fields: str) -> httpx.Response:
    """Send a file as a person does."""
    page = person.look("/statements/new")
    token = FORM_TOKEN.search(page.text)
    assert token is not None
    given = {"form_token": token[1], "place": "payer bank", "encoding": "utf-8", **fields}
    content = text.encode() if isinstance(text, str) else text
    return person.http.post("/statements/new", data=given, files={"file": ("may.csv", content, "text/csv")})


def propose(person: Person, page: httpx.Response, reason: str = "statement of May, by mail") -> httpx.Response:
    """Propose what the page shows, and wait until that is done."""
    batch = re.search(r'name="batch" value="([^"]+)"', page.text)
    assert batch is not None
    answer = person.send(f"{page.url.path}/propose", page, batch=batch[1], reason=reason)
    eventually(lambda: " refused." in person.look(page.url.path).text or answer.status_code != 200)
    return person.look(page.url.path)


def results(person: Person, page: httpx.Response) -> list[dict[str, str]]:
    text = person.look(f"{page.url.path}/results.csv").content.decode("utf-8-sig")
    return list(csv.DictReader(StringIO(text, newline="")))


def test_a_statement_settles_what_is_in_doubt_once_another_person_agrees(desk: Desk, somebody: Person) -> None:
    applied, rejected = desk.call(ref="order-1"), desk.call(ref="order-2")
    failed = desk.call("failed", ref="order-3", error_text="declined")
    rows = [
        "r-1,order-1,100,EUR,Booked",
        "r-2,order-2,100.00,EUR,Rejected",
        "r-3,order-3,100,EUR,Booked",
        "=cmd|x,order-9,1,EUR,Booked",
    ]
    page = upload(somebody, "\n".join([HEADING, *rows]))
    assert page.status_code == 200, page.text
    for words in (
        "<strong>2</strong> settle a call",
        "<strong>1</strong> contradict",
        "<strong>1</strong> fit no call",
        "proves nothing",
        "Propose for 3 rows",
    ):
        assert words in page.text
    assert desk.all("SELECT FROM onceward.evidence") == []
    done = propose(somebody, page)
    assert "3 of 3 done, 0 refused." in done.text
    decisions = {row["call_id"]: row for row in desk.all("SELECT * FROM onceward.resolution")}
    assert {call: (row["verb"], row["state"]) for call, row in decisions.items()} == {
        applied: ("applied", "proposed"),
        rejected: ("not_applied", "proposed"),
    }
    batch = {row["batch_id"] for row in decisions.values()}
    assert f"/approvals/payer/batches/{batch.pop()}" in done.text
    assert not batch
    assert desk.one("SELECT conflict_at IS NOT NULL AS yes FROM onceward.call WHERE id = %(id)s", id=failed)["yes"]
    assert desk.approve(decisions[applied], "bob")["state"] == "approved"
    given = results(somebody, page)
    assert [(row["finding"], row["outcome"].split(";")[0]) for row in given] == [
        ("matched", "proposed"),
        ("matched", "proposed"),
        ("contradicts", "evidence was added"),
        ("unmatched", ""),
    ]
    assert given[3]["reference"] == "'=cmd|x"


def test_the_same_button_again_decides_nothing_again(desk: Desk, somebody: Person) -> None:
    desk.call(ref="order-1")
    page = upload(somebody, f"{HEADING}\nr-1,order-1,100,EUR,Booked")
    propose(somebody, page)
    before = desk.audit()
    again = propose(somebody, page)
    assert "1 of 1 done, 0 refused." in again.text
    assert desk.audit() == before


def test_a_row_that_is_refused_keeps_none_of_the_others_back(desk: Desk, somebody: Person) -> None:
    calls = [desk.call(ref=f"order-{n}") for n in range(3)]
    page = upload(somebody, "\n".join([HEADING, *(f"r-{n},order-{n},100,EUR,Booked" for n in range(3))]))
    desk.owner.execute("UPDATE onceward.call SET version = version + 1 WHERE id = %s", (calls[1],))
    assert "2 of 3 done, 1 refused." in propose(somebody, page).text
    assert [row["outcome"].split(":")[0] for row in results(somebody, page)] == [
        "proposed; another person has to agree",
        "refused",
        "proposed; another person has to agree",
    ]
    assert desk.one("SELECT count(*) FROM onceward.audit WHERE action = 'denied'")["count"] == 1


def test_columns_are_explained_by_a_person_and_rows_matched_anew(desk: Desk, somebody: Person) -> None:
    call = desk.call(key="k-1", ref="order-1")
    page = upload(somebody, "Nummer;Text;Summe\nr-1;k-1;-100,00\nr-2;k-9;5,00\n", operation="pay")
    assert "name a column with the provider" in page.text
    fields = {"key": "1", "amount": "2", "point": ",", "result.reference": "0"}
    both = somebody.send(f"{page.url.path}/columns", page, **fields)
    assert both.status_code == 400
    assert "some amounts are negative and some are not" in both.text
    bad = somebody.send(f"{page.url.path}/columns", page, **fields, direction="negative", every_currency="euro")
    assert bad.status_code == 400
    assert "every_currency: " in bad.text
    page = somebody.send(f"{page.url.path}/columns", page, **fields, direction="negative", every_currency="EUR")
    assert "<strong>1</strong> settle a call" in page.text
    assert "<strong>1</strong> are of the other direction" in page.text
    assert f"/calls/payer/{call}" in page.text


def test_a_file_that_cannot_be_read_is_refused_and_nothing_is_kept(
    desk: Desk, home: Database, somebody: Person
) -> None:
    kept = "SELECT count(*) FROM onceward_console.statement"
    with psycopg.connect(home.url) as connection:
        before = connection.execute(kept).fetchone()
        for content, fields, said in (
            (b"id,name\nr-1,M\xfcller\n", {}, "byte 0xfc at position 14, line 2"),
            (b"id\n" + b"1\n" * 100_001, {}, "more than 100,000 rows"),
            (b"id\n1\n", {"encoding": "klingon"}, "encoding"),
            (b"id\n1\n", {"heading": "0"}, "heading: "),
            (b"id\n1\n", {"place": "payer"}, "belongs to a provider"),
            (b"id\n1\n", {"place": "nobody bank"}, "belongs to a provider"),
        ):
            answer = upload(somebody, content, **fields)
            assert answer.status_code == 400, said
            assert said in answer.text
        assert connection.execute(kept).fetchone() == before


def test_a_file_may_be_larger_than_any_other_form_but_not_too_large(desk: Desk, somebody: Person) -> None:
    wide = "id,text\n" + "".join(f"r-{n},{'x' * 5000}\n" for n in range(1000))
    assert upload(somebody, wide).status_code == 200
    assert upload(somebody, b"x" * (MOST_BYTES + 2**17)).status_code == 413
    page = somebody.look("/")
    assert somebody.send("/statements/new", page, file="x" * (2 * 2**20 + 1)).status_code in (400, 413)
    assert somebody.send("/logout", page, rubbish="x" * (2 * 2**20 + 1)).status_code in (400, 413)


def test_a_statement_is_its_owners_alone_and_is_forgotten(
    desk: Desk, console: RunningConsole, home: Database, somebody: Person
) -> None:
    page = upload(somebody, "id,key\nr-1,k-1\n")
    assert "may.csv" in somebody.look("/statements/new").text
    with psycopg.connect(home.url, autocommit=True) as connection:
        other = connection.execute(
            "INSERT INTO onceward_console.person (name, issuer, subject) VALUES ('Eve', 'local', 'eve') RETURNING id"
        ).fetchone()
        assert other is not None
        id_ = page.url.path.rpartition("/")[2]
        mine = connection.execute("SELECT person_id FROM onceward_console.statement WHERE id = %s", (id_,)).fetchone()
        assert mine is not None
        connection.execute("UPDATE onceward_console.statement SET person_id = %s WHERE id = %s", (other[0], id_))
        for path in ("", "/results.csv"):
            assert somebody.look(f"{page.url.path}{path}").status_code == 404
        for verb in ("columns", "propose", "stop", "forget"):
            assert somebody.send(f"{page.url.path}/{verb}", page).status_code == 404
        connection.execute(
            "UPDATE onceward_console.statement SET person_id = %s, expires_at = now() WHERE id = %s", (mine[0], id_)
        )
        assert somebody.look(page.url.path).status_code == 404
        still_there = "SELECT FROM onceward_console.statement WHERE id = %s"
        with running(
            console.settings.model_copy(
                update={"console": console.settings.console.model_copy(update={"listen": "127.0.0.1:0"})}
            )
        ):
            eventually(lambda: connection.execute(still_there, (id_,)).fetchone() is None)
    assert somebody.look(f"/statements/{uuid4()}").status_code == somebody.look("/statements/x").status_code == 404
    again = upload(somebody, "id,key\nr-1,k-1\n")
    assert somebody.send(f"{again.url.path}/forget", again).status_code == 200
    assert somebody.look(again.url.path).status_code == 404


def test_what_was_interrupted_or_stopped_goes_on_and_a_stale_page_proposes_nothing(
    desk: Desk, home: Database, somebody: Person
) -> None:
    desk.call(ref="order-1")
    page = upload(somebody, f"{HEADING}\nr-1,order-1,100,EUR,Booked")
    assert (
        "matched anew since you looked"
        in somebody.send(f"{page.url.path}/propose", page, batch=str(uuid4()), reason="statement of May").text
    )
    assert "in 10 to 4000 characters" in somebody.send(f"{page.url.path}/propose", page, reason="short").text
    with psycopg.connect(home.url, autocommit=True) as connection:
        connection.execute(
            "UPDATE onceward_console.statement SET began_at = now(), reason = 'statement of May' WHERE id = %s",
            (page.url.path.rpartition("/")[2],),
        )
    interrupted = somebody.look(page.url.path)
    assert "it was interrupted, and can go on" in interrupted.text
    assert somebody.send(f"{page.url.path}/columns", interrupted, reference="0").status_code == 409
    assert "stopped." in somebody.send(f"{page.url.path}/stop", interrupted).text
    assert "1 of 1 done, 0 refused." in propose(somebody, interrupted).text
