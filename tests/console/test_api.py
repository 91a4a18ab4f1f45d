"""The JSON API: what programs read and do with a token."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from onceward_relay.console.api.app import API_ROUTES
from onceward_relay.console.api.routes import PREFIX
from onceward_relay.console.participants import text_of
from tests.conftest import Database
from tests.console.programs import Program, program_of
from tests.console.running import Person, RunningConsole
from tests.people.desk import ANSWER, REASON, Desk

HOLD_REQUEST = {"reason": REASON}


@pytest.fixture(scope="module")
def program(console: RunningConsole) -> Iterator[Program]:
    """A program with an admin's token."""
    with program_of(console) as program:
        yield program


def proposal(desk: Desk, verb: str, subject: UUID, **more: Any) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "verb": verb,
        "subject": str(subject),
        "seen_version": desk.version(subject),
        "reason": REASON,
        **more,
    }


def test_nothing_is_told_without_a_token_and_no_cookie_stands_for_one(
    console: RunningConsole, somebody: Person
) -> None:
    somebody.look("/")
    for route in API_ROUTES:
        path = f"{PREFIX}{route.below}".replace("{participant}", "payer").replace("{id}", str(uuid4()))
        for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic YTpi"}):
            answer = somebody.http.request(route.method, path, headers=headers, json={})
            assert answer.status_code == 401, (path, headers)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"].startswith("Bearer")
    assert somebody.http.get(f"{PREFIX}/openapi.json").status_code == 200


MAY = {
    "viewer": {"look"},
    "operator": {"look", "reveal", "act"},
    "approver": {"look", "reveal", "act", "approve"},
    "admin": {"look", "reveal", "act", "approve", "manage"},
}


@pytest.mark.parametrize("role", MAY)
def test_every_route_lets_in_the_roles_that_may_and_no_other(
    role: str, desk: Desk, home: Database, console: RunningConsole
) -> None:
    call = desk.call()
    with program_of(console, role) as program:
        for route in API_ROUTES:
            path = route.below.replace("{participant}", "payer").replace("{id}", str(call))
            answer = program.http.request(route.method, f"{PREFIX}{path}", json={"unknown": 1})
            if route.permission is None or route.permission in MAY[role]:
                assert answer.status_code in (200, 404, 409, 422), path
            else:
                assert answer.status_code == 403, path
                assert (
                    answer.json()["detail"]
                    == f"this needs the permission to {route.permission}, which this token has not at payer"
                )
                with psycopg.connect(home.url) as connection:
                    row = connection.execute(
                        "SELECT action, reason FROM onceward_console.denied ORDER BY no DESC LIMIT 1"
                    ).fetchone()
                assert row is not None
                assert row[0].endswith(route.below)
    assert desk.all("SELECT FROM onceward.resolution") == []


def test_a_token_of_another_participant_opens_nothing_here(desk: Desk, console: RunningConsole) -> None:
    desk.incident(call_id=desk.call())
    with program_of(console, participant="shop") as program:
        assert program.get("/participants") == []
        for route in API_ROUTES:
            path = route.below.replace("{participant}", "payer").replace("{id}", str(uuid4()))
            if route.permission is not None:
                program.refused(route.method, path, 403, None if route.method == "GET" else {})


def test_a_token_opens_no_page(program: Program) -> None:
    assert program.http.get("/", follow_redirects=False).status_code == 303
    assert program.http.post("/logout").status_code == 401


def test_what_waits_is_listed_page_by_page_with_money_as_text_and_times_in_utc(desk: Desk, program: Program) -> None:
    opened = [
        desk.incident(call_id=desk.call(ref=f"o-{n}"), ref=f"o-{n}", amount="12345678901234.5", currency="EUR")
        for n in range(5)
    ]
    seen, after = [], None
    while True:
        page = program.get("/incidents", limit=2, **({"after": after} if after else {}))
        seen += page["items"]
        if (after := page["next"]) is None:
            break
    assert sorted(UUID(each["id"]) for each in seen) == sorted(opened)
    assert seen[0]["value"] == {"amount": "12345678901234.5", "currency": "EUR"}
    assert seen[0]["opened_at"].endswith("Z")
    assert program.get("/incidents", ref="o-3")["items"][0]["ref"] == "o-3"
    assert program.get("/incidents", participant="nobody")["items"] == []
    group = program.get("/groups")["items"][0]
    assert (group["group"], group["count"], group["values"]) == ("bank/pay/timeout", 5, ["61728394506172.5 EUR"])
    assert group["capped"] is False


def test_a_call_is_shown_masked_with_its_verdict_and_verbs(desk: Desk, program: Program) -> None:
    call = desk.call(ref="o-1")
    desk.evidence(call)
    found = program.get(f"/participants/payer/calls/{call}")
    assert found["request"] == {"amount": "100", "name": "***"}
    assert "may or may not have taken effect" in found["verdict"]
    assert {verb["verb"]: verb["allowed"] for verb in found["verbs"]}["applied"] is True
    assert found["value"] == {"amount": "100", "currency": "EUR"}
    assert found["evidence"][0]["says"] == "applied"
    assert program.get("/search", q="o-1")["items"][0]["id"] == str(call)
    program.refused("GET", f"/participants/payer/calls/{uuid4()}", 404)
    program.refused("GET", f"/participants/nobody/calls/{call}", 404)


def test_a_flow_is_shown_with_its_steps(desk: Desk, program: Program) -> None:
    flow = desk.flow("blocked", error="KeyError")
    desk.call("succeeded", flow_id=flow)
    found = program.get(f"/participants/payer/flows/{flow}")
    assert found["steps"][0]["to_undo"] is True
    assert found["error"] == "KeyError"
    assert program.post(f"/participants/payer/flows/{flow}/resume", HOLD_REQUEST)["done"] is True
    assert desk.one("SELECT state FROM onceward.flow WHERE id = %(id)s", id=flow)["state"] == "running"
    assert program.post(f"/participants/payer/flows/{flow}/pause", HOLD_REQUEST)["done"] is True
    program.refused("POST", f"/participants/payer/flows/{flow}/pause", 409, HOLD_REQUEST)


def test_a_decision_is_proposed_once_whatever_number_of_times_it_is_sent(desk: Desk, program: Program) -> None:
    call = desk.call()
    body = proposal(
        desk, "applied", call, result=ANSWER, evidence={"kind": "statement", "says": "applied", "text": "r-1"}
    )
    first = program.post("/participants/payer/decisions", body)
    assert program.post("/participants/payer/decisions", body) == first
    assert (first["state"], first["verb"], first["body"], first["proposed_by"]) == (
        "approved",
        "applied",
        {"result": {"reference": "r-1", "name": "***"}},
        program.name,
    )
    assert len(desk.all("SELECT FROM onceward.evidence")) == 1
    assert (
        program.refused("POST", "/participants/payer/decisions", 409, {**body, "reason": "another reason than before"})[
            "errors"
        ]
        == []
    )


def test_what_is_wrong_names_its_field_and_changes_nothing(desk: Desk, program: Program) -> None:
    call = desk.call()
    path = "/participants/payer/decisions"
    stale = program.refused("POST", path, 409, proposal(desk, "not_applied", call, seen_version=99))
    assert stale["errors"][0]["field"] == "seen_version"
    missing = program.refused(
        "POST", path, 422, proposal(desk, "applied", call, result={}, evidence_id=str(desk.evidence(call)))
    )
    assert missing["errors"][0] == {"field": "body.result.reference", "message": "is missing"}
    unproven = program.refused("POST", path, 400, proposal(desk, "applied", call, result=ANSWER))
    assert unproven["errors"][0]["field"] == "evidence"
    for field, value in (
        ("amount", 12.5), ("amount", "NaN"), ("amount", "-1"), ("reason", ""), ("reason", "x\0y"), ("id", "no"), ("verb", "explode"), ("unknown", 1),
        ("result", {"a": "\0"}), ("result", {"a": [[[["\0"]]]]}), ("seen_version", 2**63), ("evidence", {"kind": "statement", "says": "applied", "base64": "a"}),
    ):  # fmt: skip
        wrong = program.refused("POST", path, 422, proposal(desk, "applied", call) | {field: value})
        assert wrong["errors"][0]["field"].startswith(f"body.{field}"), field
    assert program.refused("POST", path, 422, None)["errors"][0]["field"] == "body"
    assert desk.all("SELECT FROM onceward.resolution") == []


def test_another_person_agrees_rejects_and_who_proposed_it_withdraws(desk: Desk, program: Program) -> None:
    mine = program.post("/participants/payer/decisions", proposal(desk, "not_applied", desk.call()))
    assert mine["state"] == "proposed"
    own = program.refused("POST", f"/participants/payer/decisions/{mine['id']}/approve", 409, HOLD_REQUEST)
    assert "another person has to agree" in own["detail"]
    assert ("denied", "call") in [(action, kind) for _, action, kind in desk.audit()]
    assert program.post(f"/participants/payer/decisions/{mine['id']}/withdraw", HOLD_REQUEST)["state"] == "withdrawn"
    adas = [desk.propose("not_applied", desk.call()) for _ in range(2)]
    assert program.post(f"/participants/payer/decisions/{adas[0]['id']}/approve", HOLD_REQUEST)["state"] == "approved"
    assert program.post(f"/participants/payer/decisions/{adas[1]['id']}/reject", HOLD_REQUEST)["state"] == "rejected"
    program.refused("POST", f"/participants/payer/decisions/{uuid4()}/approve", 404, HOLD_REQUEST)


def test_decisions_are_listed_page_by_page(desk: Desk, program: Program) -> None:
    batch = uuid4()
    proposed = [str(desk.propose("not_applied", desk.call(), batch=batch)["id"]) for _ in range(3)]
    first = program.get("/decisions", limit=2, batch=batch)
    second = program.get("/decisions", limit=2, batch=batch, after=first["next"])
    assert [each["id"] for each in first["items"] + second["items"]] == proposed
    assert second["next"] is None
    assert (
        program.get("/decisions", batch=uuid4())["items"] == program.get("/decisions", state="rejected")["items"] == []
    )
    assert program.get(f"/participants/payer/decisions/{proposed[0]}")["batch"] == str(batch)
    for place in ("x", "e30=", "eyJhdCI6IDEsICJpZCI6IDF9", "\u20ac"):
        program.refused("GET", "/decisions", 400, after=place)
        program.refused("GET", "/participants/payer/audit", 400, after=place)
        program.refused("GET", "/incidents", 400, after=place)


def test_incidents_are_taken_set_aside_and_noted(desk: Desk, program: Program) -> None:
    incident = desk.incident(call_id=desk.call())
    path = f"/participants/payer/incidents/{incident}"
    program.post(f"{path}/claim")
    assert program.get("/incidents", assignee="me")["items"][0]["assignee"] == program.name
    program.post(f"{path}/unclaim")
    assert program.get("/incidents", assignee="nobody")["items"][0]["assignee"] is None
    soon = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    program.post(f"{path}/snooze", {"until": soon, "reason": REASON})
    assert program.get("/incidents")["items"] == []
    assert len(program.get("/incidents", snoozed="true")["items"]) == 1
    late = program.refused("POST", f"{path}/snooze", 400, {"until": "2099-01-01T00:00:00Z", "reason": REASON})
    assert late["errors"][0]["field"] == "until"
    program.post("/participants/payer/notes", {"kind": "incident", "subject": str(incident), "note": "asked them"})
    entries = program.get("/participants/payer/audit", limit=2)
    assert [each["action"] for each in entries["items"]] == ["note", "incident.snooze"]
    assert (
        program.get("/participants/payer/audit", limit=2, after=entries["next"])["items"][0]["action"]
        == "incident.unclaim"
    )


def test_a_worker_is_asked_and_contents_are_revealed_with_a_reason(desk: Desk, program: Program) -> None:
    call = desk.call()
    program.post(f"/participants/payer/calls/{call}/ask", {"what": "lookup", **HOLD_REQUEST})
    assert desk.one("SELECT asked FROM onceward.call")["asked"] == "lookup"
    id_ = str(uuid4())
    for _ in range(2):
        program.post(
            f"/participants/payer/calls/{call}/evidence",
            {"id": id_, "kind": "statement", "says": "unclear", "base64": "/w=="},
        )
    contents = program.post(f"/participants/payer/calls/{call}/reveal", HOLD_REQUEST)
    assert contents == [
        {"what": "request", "text": '{"amount": "100", "name": "Ada"}', "base64": None},
        {"what": f"evidence {id_}", "text": None, "base64": "/w=="},
    ]
    assert ("call.reveal", "call") in [(action, kind) for _, action, kind in desk.audit()]


def test_a_provider_is_stopped_and_started(desk: Desk, program: Program) -> None:
    program.post("/participants/payer/providers/stop", {"provider": "bank", **HOLD_REQUEST})
    found = program.get("/providers")["items"][0]
    assert (found["name"], found["stopped_by"], found["stop_reason"]) == ("bank", program.name, REASON)
    program.refused("POST", "/participants/payer/providers/stop", 409, {"provider": "bank", **HOLD_REQUEST})
    program.refused("POST", "/participants/payer/providers/stop", 404, {"provider": "b/../%00 x", **HOLD_REQUEST})
    program.post("/participants/payer/providers/start", {"provider": "bank", **HOLD_REQUEST})
    assert program.get("/providers")["items"][0]["stopped_at"] is None


def test_who_may_what_is_told(program: Program) -> None:
    assert program.get("/participants") == [
        {"name": "payer", "permissions": ["act", "approve", "look", "manage", "reveal"]}
    ]


def test_errors_are_problems_whatever_they_are(program: Program) -> None:
    assert program.refused("GET", "/no-such-path", 404)["title"] == "Not Found"
    assert program.refused("POST", "/incidents", 405, {})["status"] == 405
    program.refused("GET", "/participants/a%0Ab/audit", 404)
    assert program.refused("GET", "/incidents", 422, limit=0)["errors"][0]["field"] == "query.limit"
    assert program.refused("GET", "/incidents", 422, ref="a\0b")["errors"][0]["field"] == "query.ref"
    too_much = program.http.post(f"{PREFIX}/participants/payer/notes", content=b"[" * 3_000_000)
    assert (too_much.status_code, too_much.headers["content-type"]) == (413, "application/problem+json")
    deep = program.http.post(
        f"{PREFIX}/participants/payer/notes", content=b"[" * 1_000_000, headers={"content-type": "application/json"}
    )
    assert deep.status_code in (400, 422)


def test_a_page_describes_the_api_without_any_script_from_elsewhere(somebody: Person) -> None:
    page = somebody.look("/api")
    assert page.status_code == 200
    for route in API_ROUTES:
        assert f"<code>{PREFIX}{route.below}</code>" in page.text
    assert "Under which it is decided" not in page.text
    assert 'id="part-Propose"' in page.text
    assert "http" not in page.text.replace("http_status", "")
    described: httpx.Response = somebody.http.get(f"{PREFIX}/openapi.json")
    assert len(described.json()["paths"]) == len({route.below for route in API_ROUTES})


def test_a_page_of_decisions_costs_what_it_shows(desk: Desk) -> None:
    asked = {"state": "applied", "batch": None, "after_at": None, "after_id": None, "limit": 51}
    with desk.owner.transaction(force_rollback=True):
        desk.owner.execute("SET LOCAL session_replication_role = replica")
        desk.owner.execute(
            """INSERT INTO onceward.resolution (id, flow_id, verb, seen_version, reason, approvals, state, proposed_by, proposed_at, decided_by, decided_at, not_before, ended_at)
               SELECT gen_random_uuid(), gen_random_uuid(), 'close', 1, 'statement of May', 1, 'applied', 'ada', now() - n * interval '1 s', 'bob', now(), now(), now()
                 FROM generate_series(1, 20000) n"""
        )
        desk.owner.execute("ANALYZE onceward.resolution")
        with psycopg.ClientCursor(desk.owner) as cursor:
            found = cursor.execute(
                f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text_of('decisions_page')}", asked
            ).fetchone()
    assert found is not None
    plan = found["QUERY PLAN"][0]["Plan"]
    assert plan["Actual Rows"] == 51
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 500
