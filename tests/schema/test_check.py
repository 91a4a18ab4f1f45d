"""What `onceward schema check` finds."""

import psycopg
import pytest
from sqlalchemy import text

from onceward import migrations
from onceward.errors import SchemaError
from tests.conftest import Database
from tests.servers.postgres import TestServer


def test_the_stored_catalogue_is_what_the_migrations_make(postgres_of_each_version: TestServer) -> None:
    url = postgres_of_each_version.create_database(installed=True)
    assert migrations.check(url) == [], "after a change of the schema: python -m tests.schema.write_catalog"


def test_nothing_is_installed(empty_database: Database) -> None:
    assert migrations.check(empty_database.url) == ["the schema onceward is not installed: onceward schema install"]


@pytest.mark.parametrize("role", ["participant_url", "relay_url"])
def test_the_services_roles_can_check(database: Database, role: str) -> None:
    assert migrations.check(getattr(database, role)) == []


def test_the_search_path_of_a_database_does_not_matter(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text(f"ALTER DATABASE {database.name} SET search_path = onceward, public"))
    assert migrations.check(database.url) == []


@pytest.mark.parametrize(("revision", "advice"), [("0000", "onceward schema upgrade"), ("9999", "upgrade onceward")])
def test_another_revision_is_named_with_what_to_do(database: Database, revision: str, advice: str) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE onceward.schema_version SET version_num = :revision"), {"revision": revision})
    (problem,) = migrations.check(database.url)
    assert revision in problem
    assert problem.endswith(advice)
    with pytest.raises(SchemaError, match=revision):
        migrations.install(database.url)


def test_a_newer_schema_is_not_upgraded(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE onceward.schema_version SET version_num = '9999'"))
    with pytest.raises(SchemaError, match="upgrade onceward"):
        migrations.upgrade(database.url)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("DROP INDEX call_due", "missing: index call_due on call partial;"),
        ("ALTER TABLE call DROP CONSTRAINT failed_is_proven", "missing: constraint call.failed_is_proven;"),
        ("ALTER TABLE call DISABLE TRIGGER call_final", "missing: trigger call_final on call;"),
        ("ALTER TABLE flow DROP COLUMN worker", "missing: column flow.worker text;"),
        ("ALTER TABLE flow ALTER worker TYPE varchar(10)", "missing: column flow.worker text;"),
        ("ALTER TABLE flow ALTER worker SET NOT NULL", "not of onceward: column flow.worker text not null;"),
        ("ALTER TABLE flow ALTER epoch DROP DEFAULT", "missing: column flow.epoch bigint not null default;"),
        ("DROP TABLE attempt", "missing: table attempt owner onceward_owner;"),
        ("ALTER TABLE attempt OWNER TO postgres", "not of onceward: table attempt owner postgres;"),
        ("CREATE TABLE mine ()", "not of onceward: table mine owner postgres;"),
        ("CREATE VIEW mine AS SELECT 1 AS one", "not of onceward: relation mine owner postgres;"),
        (
            "ALTER DOMAIN topic_name DROP CONSTRAINT topic_is_legal",
            "missing: constraint onceward.topic_name.topic_is_legal;",
        ),
        ("DROP FUNCTION lent_transaction()", "missing: function lent_transaction() owner onceward_owner"),
        ("ALTER FUNCTION headers_error(jsonb) RESET ALL", "missing: function headers_error(headers jsonb) owner"),
        ("GRANT INSERT ON outbox TO onceward_participant", "not of onceward: grant INSERT on outbox to onceward_part"),
        ("GRANT INSERT (xid) ON outbox TO app", "not of onceward: grant INSERT on outbox.xid to app;"),
        ("GRANT SELECT ON outbox TO PUBLIC", "not of onceward: grant SELECT on outbox to PUBLIC;"),
        ("GRANT EXECUTE ON FUNCTION slot() TO PUBLIC", "not of onceward: grant EXECUTE on slot() to PUBLIC;"),
        ("REVOKE SELECT ON outbox FROM onceward_relay", "missing: grant SELECT on outbox to onceward_relay;"),
        ("REVOKE USAGE ON SCHEMA onceward FROM onceward_relay", "missing: grant USAGE on the schema to onceward_relay"),
    ],
)
def test_drift_is_named_with_what_to_do(database: Database, change: str, problem: str) -> None:
    with psycopg.connect(database.url, options="-c search_path=onceward") as connection:
        connection.execute(change.encode())
    (found,) = [line for line in migrations.check(database.url) if line.startswith(problem)]
    assert "restore it" in found or "remove it" in found


def test_a_missing_role_is_named(postgres: TestServer) -> None:
    url = postgres.create_database(installed=True)
    with psycopg.connect(url) as connection:
        connection.execute("ALTER ROLE onceward_auditor RENAME TO auditor_of_somebody")
        try:
            connection.commit()
            problems = migrations.check(url)
        finally:
            connection.execute("ALTER ROLE auditor_of_somebody RENAME TO onceward_auditor")
    assert any(problem.startswith("missing: role onceward_auditor;") for problem in problems)


def test_a_team_may_let_its_own_roles_read(database: Database) -> None:
    with psycopg.connect(database.url) as connection:
        connection.execute("GRANT USAGE ON SCHEMA onceward TO pg_monitor; GRANT SELECT ON onceward.call TO pg_monitor")
    assert migrations.check(database.url) == []


def test_every_table_column_function_and_domain_has_a_comment(database: Database) -> None:
    silent = """
    SELECT 'schema' FROM pg_namespace WHERE nspname = 'onceward' AND obj_description(oid) IS NULL
    UNION ALL
    SELECT c.relname || '.' || a.attname
      FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
     WHERE c.relnamespace = 'onceward'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
       AND col_description(c.oid, a.attnum) IS NULL
    UNION ALL
    SELECT relname FROM pg_class
     WHERE relnamespace = 'onceward'::regnamespace AND relkind IN ('r', 'p') AND obj_description(oid) IS NULL
    UNION ALL
    SELECT proname FROM pg_proc WHERE pronamespace = 'onceward'::regnamespace AND obj_description(oid) IS NULL
    UNION ALL
    SELECT typname FROM pg_type
     WHERE typnamespace = 'onceward'::regnamespace AND typtype = 'd' AND obj_description(oid) IS NULL
    """
    with psycopg.connect(database.url) as connection:
        assert connection.execute(silent).fetchall() == []
