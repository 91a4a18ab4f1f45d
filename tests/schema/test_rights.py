"""Who may do what: least privilege, nothing to PUBLIC."""

from contextlib import suppress

import psycopg
import pytest

from tests.conftest import Database
from tests.servers.postgres import TestServer

LETTERS = {"S": "SELECT", "I": "INSERT", "U": "UPDATE", "D": "DELETE"}
TABLES = {
    # table: participant, relay, console, auditor
    "outbox": ("", "S", "", ""),
    "outbox_0": ("", "", "", ""),
    "outbox_1": ("", "", "", ""),
    "outbox_2": ("", "", "", ""),
    "slot_emptied": ("", "S", "S", "S"),
    "ownership": ("", "SI", "S", "S"),
    "checkpoint": ("", "SID", "S", "S"),
    "hold": ("", "SIUD", "S", "S"),
    "held_message": ("", "SIUD", "", ""),
    "inbox": ("SIU", "", "S", "S"),
    "inbox_parked": ("SIUD", "", "", ""),
    "inbox_hold": ("SIUD", "", "S", "S"),
    "flow": ("SIU", "", "", ""),
    "flow_step": ("SIU", "", "", ""),
    "operation": ("SIU", "", "S", "S"),
    "call": ("SIU", "", "", ""),
    "attempt": ("SIU", "", "", ""),
    "incident": ("SIU", "SIU", "S", "S"),
    "signal": ("SIU", "", "", ""),
    "provider": ("SIU", "", "S", "S"),
    "worker": ("SIUD", "", "S", "S"),
    "evidence": ("SIU", "", "", ""),
    "resolution": ("S", "", "", ""),
    "approval_rule": ("", "", "S", "S"),
    "notification": ("SIU", "", "S", "S"),
    "setting": ("", "", "S", "S"),
    "history": ("S", "", "S", "S"),
    "audit": ("", "", "S", "S"),
    "schema_version": ("S", "S", "S", "S"),
}
CONTENTS = {
    "call": {"request", "result", "undo_request"},
    "attempt": {"answer"},
    "flow": {"input"},
    "flow_step": {"result"},
    "signal": {"body"},
    "evidence": {"body"},
    "resolution": {"body"},
    "inbox_parked": {"payload", "headers"},
    "held_message": {"payload", "headers"},
}
"""Columns that people see only through views that mask them."""
ROLES = ("onceward_participant", "onceward_relay", "onceward_console", "onceward_auditor")
PRIVILEGES = """
SELECT c.relname, string_agg(left(p, 1), '' ORDER BY ord)
  FROM pg_class c
  LEFT JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'XTRUNCATE', 'XREFERENCES', 'XTRIGGER'])
       WITH ORDINALITY AS u (p, ord) ON has_table_privilege(%s, c.oid, ltrim(p, 'X'))
 WHERE c.relnamespace = 'onceward'::regnamespace AND c.relkind IN ('r', 'p') GROUP BY 1
"""


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_with_each_table_what_it_needs_and_no_more(database: Database, role: str) -> None:
    expected = {table: rights[ROLES.index(role)] or None for table, rights in TABLES.items()}
    with psycopg.connect(database.url) as connection:
        assert dict(connection.execute(PRIVILEGES, (role,)).fetchall()) == expected


@pytest.mark.parametrize("role", ["onceward_console", "onceward_auditor"])
def test_people_read_all_but_the_contents(database: Database, role: str) -> None:
    unreadable = """
    SELECT array_agg(attname::text) FROM pg_attribute
     WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND NOT has_column_privilege(%s, attrelid, attnum, 'SELECT')
    """
    with psycopg.connect(database.url) as connection:
        for table, contents in CONTENTS.items():
            row = connection.execute(unreadable, (f"onceward.{table}", role)).fetchone()
            assert row is not None
            assert set(row[0]) == contents, table


def test_nothing_is_granted_to_public(postgres_of_each_version: TestServer) -> None:
    public = """
    SELECT relname FROM pg_class, aclexplode(relacl) WHERE relnamespace = 'onceward'::regnamespace AND grantee = 0
    UNION ALL
    SELECT attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid, aclexplode(attacl)
     WHERE c.relnamespace = 'onceward'::regnamespace AND grantee = 0
    UNION ALL
    SELECT proname FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner)))
     WHERE pronamespace = 'onceward'::regnamespace AND grantee = 0
    UNION ALL
    SELECT nspname FROM pg_namespace, aclexplode(nspacl) WHERE nspname = 'onceward' AND grantee = 0
    """
    url = postgres_of_each_version.create_database(installed=True)
    with psycopg.connect(url) as connection:
        assert connection.execute(public).fetchall() == []
        connection.execute("GRANT SELECT (key) ON onceward.outbox TO PUBLIC")
        assert connection.execute(public).fetchall() == [("key",)], "the query finds what is granted"


def test_everything_belongs_to_an_owner_that_nobody_can_log_in_as(database: Database) -> None:
    owners = """
    SELECT relowner::regrole::text FROM pg_class WHERE relnamespace = 'onceward'::regnamespace
    UNION SELECT proowner::regrole::text FROM pg_proc WHERE pronamespace = 'onceward'::regnamespace
    UNION SELECT typowner::regrole::text FROM pg_type WHERE typnamespace = 'onceward'::regnamespace
    UNION SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'onceward'
    """
    with psycopg.connect(database.url) as connection:
        assert connection.execute(owners).fetchall() == [("onceward_owner",)]
        powers = "SELECT rolcanlogin OR rolsuper OR rolcreaterole OR rolbypassrls FROM pg_roles WHERE rolname = %s"
        for role in ("onceward_owner", *ROLES):
            assert connection.execute(powers, (role,)).fetchone() == (False,)


def test_every_function_has_a_pinned_search_path(database: Database) -> None:
    """With the temporary schema at its end, or a body that was parsed when it was made, and is looked up no more.

    A procedure that ends transactions may have neither.
    """
    loose = """
    SELECT proname FROM pg_proc
     WHERE pronamespace = 'onceward'::regnamespace AND prosqlbody IS NULL AND (prokind <> 'p' OR prosecdef)
       AND NOT coalesce(proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false)
    """
    with psycopg.connect(database.url) as connection:
        assert connection.execute(loose).fetchall() == []


def test_what_a_caller_calls_text_is_no_way_to_the_owners_rights(database: Database) -> None:
    """A temporary schema that is not named in a search_path comes first in it, for types too, and a domain's check is code."""
    ran_as: list[str | None] = []
    with psycopg.connect(database.console_url, autocommit=True) as console:
        console.add_notice_handler(lambda notice: ran_as.append(notice.message_primary))
        console.execute(
            """
            CREATE FUNCTION pg_temp.look(value pg_catalog.text) RETURNS boolean LANGUAGE plpgsql AS
            $$ BEGIN RAISE NOTICE '%', current_user; RETURN true; END $$
            """
        )
        console.execute("CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (pg_temp.look(value))")
        with suppress(psycopg.errors.NoDataFound):
            console.execute("SELECT onceward.ask(gen_random_uuid(), 'lookup', 'ada', 'why not')")
    assert ran_as == []


def test_a_procedure_is_not_led_astray_by_a_search_path(database: Database) -> None:
    """It runs with the rights of its caller, and finds nothing by a name that others could take."""
    operators = {
        "+": "timestamptz, interval",
        "<>": "text, text",
        "=": "float8, float8",
        ">=": "timestamptz, timestamptz",
        "<": "xid8, xid8",
    }
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA evil")
        for number, (name, types) in enumerate(operators.items()):
            left, right = types.split(", ")
            result = "timestamptz" if name == "+" else "boolean"
            connection.execute(
                f"""CREATE FUNCTION evil.f{number}({types}) RETURNS {result} LANGUAGE plpgsql AS $$ BEGIN RAISE 'led astray'; END $$;
                    CREATE OPERATOR evil.{name} (FUNCTION = evil.f{number}, LEFTARG = {left}, RIGHTARG = {right})"""
            )
        connection.execute(
            "CREATE FUNCTION evil.pg_sleep(float8) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'led astray'; END $$"
        )
        connection.execute("SET search_path = evil, pg_catalog")
        call = "CALL onceward.wait_for_rows('1:1:', 0.05, 0.01, NULL, NULL, NULL)"
        [(_, _, news)] = connection.execute(call).fetchall()
        assert news is False
        connection.execute("SELECT onceward.publish('t', 'k', 'x', NULL)")
        [(_, _, news)] = connection.execute(call).fetchall()
        assert news is True


OWN = {"id": "1", "xid": "'1'", "slot": "0", "created_at": "now()"}
"""Columns of the outbox that are the database's own, with a value."""
FORBIDDEN_TO_PARTICIPANTS = [
    *(
        f"INSERT INTO onceward.outbox (message_id, topic, type, {name}) VALUES (onceward.uuid7(), 't', 'x', {value})"
        for name, value in OWN.items()
    ),
    "INSERT INTO onceward.outbox_0 (message_id, topic, type) VALUES (onceward.uuid7(), 't', 'x')",
    "INSERT INTO onceward.outbox (message_id, topic, type) VALUES (onceward.uuid7(), 't', 'x') RETURNING id",
    "SELECT id FROM onceward.outbox",
    "SELECT 1 FROM onceward.outbox_0",
    "UPDATE onceward.outbox SET topic = 'x'",
    "DELETE FROM onceward.outbox",
    "TRUNCATE onceward.outbox",
    "COPY onceward.outbox (id) FROM STDIN",
    "SELECT setval('onceward.outbox_id_seq', 1)",
    "ALTER TABLE onceward.outbox ADD COLUMN mine int",
    "CREATE TABLE onceward.mine ()",
    "UPDATE onceward.schema_version SET version_num = '9'",
    "SELECT 1 FROM onceward.checkpoint",
    "DELETE FROM onceward.call",
    "SET ROLE onceward_owner",
    "SET ROLE onceward_relay",
]
FORBIDDEN_TO_RELAYS = [
    "SELECT onceward.publish('t', 'k', 'x', NULL)",
    "INSERT INTO onceward.outbox (message_id, topic, type) VALUES (gen_random_uuid(), 't', 'x')",
    "UPDATE onceward.outbox SET topic = 'x'",
    "DELETE FROM onceward.outbox",
    "TRUNCATE onceward.outbox_0",
    "UPDATE onceward.checkpoint SET seq = 1",
    "UPDATE onceward.ownership SET epoch = 1",
    "DELETE FROM onceward.ownership",
    "SELECT request FROM onceward.call",
    "SELECT 1 FROM onceward.inbox",
    "DELETE FROM onceward.incident",
    "SET ROLE onceward_owner",
]


@pytest.mark.parametrize("command", FORBIDDEN_TO_PARTICIPANTS)
def test_a_participant_may_not(database: Database, command: str) -> None:
    with psycopg.connect(database.participant_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(command.encode())


@pytest.mark.parametrize("command", FORBIDDEN_TO_RELAYS)
def test_a_relay_may_not(database: Database, command: str) -> None:
    with psycopg.connect(database.relay_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(command.encode())


def test_a_relay_may_do_its_work(database: Database) -> None:
    with psycopg.connect(database.participant_url) as connection:
        connection.execute("SELECT onceward.publish('t', 'k', 'x', '')")
    with psycopg.connect(database.relay_url) as connection:
        for command in (
            "SELECT id FROM onceward.outbox WHERE pg_visible_in_snapshot(xid, pg_current_snapshot())",
            "INSERT INTO onceward.ownership (epoch, relay) VALUES (1, 'r')",
            "INSERT INTO onceward.checkpoint (epoch, seq, s1) VALUES (1, 0, pg_current_snapshot())",
            "SELECT xmin, s1 FROM onceward.checkpoint",
            "DELETE FROM onceward.checkpoint",
            "INSERT INTO onceward.hold (scope, topic, key, reason, actor) VALUES ('key', 't', 'k', 'too large', 'r')",
            """
            INSERT INTO onceward.held_message
              (id, hold_id, state, error, message_id, topic, key, type, payload, headers, created_at)
            SELECT id, hold_id, 'poison', 'x', message_id, o.topic, o.key, type, payload, headers, o.created_at
              FROM onceward.outbox o, onceward.hold h
            """,
            "UPDATE onceward.hold SET state = 'releasing'",
            "DELETE FROM onceward.held_message",
            "DELETE FROM onceward.hold",
            """
            INSERT INTO onceward.incident (kind, message_id, grp, severity, title)
            VALUES ('parked_out', gen_random_uuid(), 't/too large', 2, 'too large')
            """,
            "SELECT pg_try_advisory_lock(1, 1), system_identifier FROM pg_control_system()",
            "SELECT pg_logical_emit_message(true, 'onceward', '')",
        ):
            assert connection.execute(command.encode()).rowcount == 1, command
