"""Installing, upgrading and checking the schema, on every supported version of PostgreSQL."""

from contextlib import ExitStack

import psycopg
import pytest
from sqlalchemy import create_engine, text

from onceward import migrations
from onceward.database import sqlalchemy_url
from onceward.errors import SchemaError
from tests.conftest import Database, available
from tests.servers.postgres import TestServer, private_server
from tests.support import Process

DEFINITIONS = """
SELECT concat_ws(' ', c.relname, a.attname, pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum))
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE c.relnamespace = 'onceward'::regnamespace
UNION ALL
SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'onceward'::regnamespace
UNION ALL
SELECT pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class c ON c.oid = indrelid
 WHERE c.relnamespace = 'onceward'::regnamespace
UNION ALL
SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
 WHERE c.relnamespace = 'onceward'::regnamespace AND NOT tgisinternal
UNION ALL
SELECT pg_get_functiondef(oid) || obj_description(oid) FROM pg_proc WHERE pronamespace = 'onceward'::regnamespace
UNION ALL
SELECT concat_ws(' ', relname, obj_description(oid)) FROM pg_class WHERE relnamespace = 'onceward'::regnamespace
UNION ALL
SELECT 'version ' || version_num FROM onceward.schema_version
"""


def described(url: str) -> list[str]:
    """Return everything that the catalogues say of the schema."""
    engine = create_engine(sqlalchemy_url(url))
    with engine.connect() as connection:
        lines = [*migrations.catalog(connection), *connection.execute(text(DEFINITIONS)).scalars()]
    engine.dispose()
    return sorted(lines)


def test_plain_sql_and_the_migrations_give_the_same_schema(postgres_of_each_version: TestServer) -> None:
    migrated, plain = postgres_of_each_version.create_database(), postgres_of_each_version.create_database()
    migrations.install(migrated)
    with psycopg.connect(plain) as connection:
        connection.execute(migrations.sql())
    assert described(plain) == described(migrated)
    assert migrations.check(migrated) == []


@pytest.mark.parametrize("major", [14, 16, 18])  # what CREATEROLE allows changed with 16
def test_a_role_that_may_create_roles_can_install(major: int) -> None:
    with available(private_server(major)) as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE ROLE installer LOGIN CREATEROLE")
            connection.execute("GRANT CREATE ON DATABASE postgres TO installer")
        url = server.url(user="installer")
        assert migrations.install(url)
        assert migrations.check(url) == []


def test_two_databases_of_a_cluster_can_be_installed_at_once(postgres: TestServer) -> None:
    urls = [postgres.create_database() for _ in range(3)]
    with ExitStack() as stack:
        arguments = ["-m", "onceward_relay", "schema", "install"]
        installers = [stack.enter_context(Process(arguments, {"ONCEWARD_DATABASE": url})) for url in urls]
        assert [installer.wait() for installer in installers] == [0, 0, 0]
    assert [migrations.check(url) for url in urls] == [[], [], []]


def test_installing_twice_does_nothing(database: Database) -> None:
    assert migrations.install(database.url) is False
    assert migrations.upgrade(database.url) is False


def test_there_must_be_something_to_upgrade(empty_database: Database) -> None:
    with pytest.raises(SchemaError, match="onceward schema install"):
        migrations.upgrade(empty_database.url)
    assert migrations.check(empty_database.url) == ["the schema onceward is not installed: onceward schema install"]


@pytest.mark.parametrize(("revision", "advice"), [("0000", "onceward schema upgrade"), ("9999", "upgrade onceward")])
def test_another_revision_is_named_with_what_to_do(database: Database, revision: str, advice: str) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE onceward.schema_version SET version_num = :revision"), {"revision": revision})
    (problem,) = migrations.check(database.url)
    assert revision in problem
    assert problem.endswith(advice)
    with pytest.raises(SchemaError, match=revision):
        migrations.install(database.url)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("DROP INDEX onceward.call_due", "missing: index call_due"),
        (
            "ALTER TABLE onceward.call DROP CONSTRAINT failed_is_proven",
            "missing: constraint call.failed_is_proven valid",
        ),
        ("ALTER TABLE onceward.call DISABLE TRIGGER call_final", "missing: trigger call.call_final O"),
        (
            "GRANT INSERT ON onceward.outbox TO onceward_participant",
            "not of onceward: grant INSERT on outbox to onceward_participant",
        ),
        ("REVOKE SELECT ON onceward.outbox FROM onceward_relay", "missing: grant SELECT on outbox to onceward_relay"),
        ("CREATE TABLE onceward.mine ()", "not of onceward: table mine owner postgres"),
    ],
)
def test_drift_is_named(database: Database, change: str, problem: str) -> None:
    with database.engine.begin() as connection:
        connection.execute(text(change))
    assert any(found.startswith(problem) for found in migrations.check(database.url))


def test_every_table_and_column_has_a_comment(database: Database) -> None:
    silent = """
    SELECT c.relname || '.' || a.attname
      FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
     WHERE c.relnamespace = 'onceward'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
       AND col_description(c.oid, a.attnum) IS NULL
    UNION ALL
    SELECT relname FROM pg_class
     WHERE relnamespace = 'onceward'::regnamespace AND relkind IN ('r', 'p') AND obj_description(oid) IS NULL
    UNION ALL
    SELECT proname FROM pg_proc WHERE pronamespace = 'onceward'::regnamespace AND obj_description(oid) IS NULL
    """
    with psycopg.connect(database.url) as connection:
        assert connection.execute(silent).fetchall() == []
