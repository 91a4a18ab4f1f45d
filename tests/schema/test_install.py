"""Installing the schema: by the migrations and as plain SQL, by whom, and by several at once."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.exc import DBAPIError

from onceward import migrations
from onceward.errors import SchemaError
from onceward_relay.embedded.postgres import EmbeddedPostgres
from tests.conftest import Database, available
from tests.schema.definitions import definitions
from tests.servers.postgres import VERSIONS, TestServer, private_server, psql
from tests.support import Process


def installed_at_once(urls: list[str]) -> list[int]:
    """Install in as many processes, and return their exit statuses."""
    with ExitStack() as stack:
        arguments = ["-m", "onceward_relay", "schema", "install"]
        installers = [stack.enter_context(Process(arguments, {"ONCEWARD_DATABASE": url})) for url in urls]
        return [installer.wait() for installer in installers]


def loaded_by_psql(url: str, script: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    file = folder / "schema.sql"
    file.write_text(script)
    command = [psql(), "-X", "-q", "-v", "ON_ERROR_STOP=1", *options, "-f", str(file), url]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_plain_sql_and_the_migrations_give_the_same_schema(
    postgres_of_each_version: TestServer, tmp_path: Path
) -> None:
    migrated, plain = postgres_of_each_version.create_database(), postgres_of_each_version.create_database()
    assert migrations.install(migrated)
    loaded = loaded_by_psql(plain, migrations.sql(), tmp_path, "-1")
    assert loaded.returncode == 0, loaded.stderr
    assert definitions(plain) == definitions(migrated)
    assert migrations.check(plain) == migrations.check(migrated) == []


def test_the_comparison_sees_what_differs(postgres: TestServer) -> None:
    first, second = postgres.create_database(installed=True), postgres.create_database(installed=True)
    before = definitions(first)
    assert before == definitions(second)
    with psycopg.connect(second, autocommit=True) as connection:
        for change in (
            "ALTER TABLE onceward.flow ALTER worker SET DEFAULT 'x'",
            "COMMENT ON COLUMN onceward.flow.worker IS 'x'",
            "ALTER TABLE onceward.flow ADD CHECK (epoch > -1)",
            "ALTER TABLE onceward.flow OWNER TO postgres",
            "GRANT SELECT ON onceward.flow TO PUBLIC",
            "ALTER FUNCTION onceward.slot() COST 7",
        ):
            connection.execute(change)
            assert definitions(second) != before, change
            before = definitions(second)


def test_plain_sql_must_run_in_one_transaction(empty_database: Database, tmp_path: Path) -> None:
    loaded = loaded_by_psql(empty_database.url, migrations.sql(), tmp_path)
    assert loaded.returncode == 3
    assert "run this in one transaction" in loaded.stderr
    assert "psql -1" in loaded.stderr
    assert migrations.install(empty_database.url), "what is left of it is in nobody's way"
    assert migrations.check(empty_database.url) == []


def test_plain_sql_gives_back_the_rights_and_the_path_it_found(empty_database: Database) -> None:
    state = "SELECT current_user::text, current_setting('role'), current_setting('search_path')"
    with psycopg.connect(empty_database.url) as connection:
        connection.execute("SET search_path = pg_catalog, public")
        before = connection.execute(state).fetchone()
        connection.execute(migrations.sql())
        assert connection.execute(state).fetchone() == before
        connection.commit()
        assert connection.execute(state).fetchone() == before


def test_a_database_that_is_up_to_date_lacks_nothing(database: Database) -> None:
    before = definitions(database.url)
    with psycopg.connect(database.url) as connection:
        connection.execute(migrations.sql(since=migrations.NEWEST))
    assert definitions(database.url) == before


@contextmanager
def server_of_an_installer(major: int, attributes: str) -> Iterator[tuple[EmbeddedPostgres, list[str]]]:
    """Give a server and the URLs of three databases, for a role that may create schemas in them and is no superuser."""
    with available(private_server(major)) as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE installer LOGIN {attributes}".encode())
            for name in ("one", "two", "three"):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
                connection.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO installer").format(sql.Identifier(name)))
        yield server, [server.url(name, user="installer") for name in ("one", "two", "three")]


@pytest.mark.parametrize("major", VERSIONS)
def test_who_may_create_roles_and_schemas_can_install(major: int) -> None:
    with server_of_an_installer(major, "CREATEROLE") as (server, urls):
        assert installed_at_once(urls) == [0, 0, 0]
        assert [migrations.check(url) for url in urls] == [[], [], []]
        with psycopg.connect(urls[0], autocommit=True) as connection:
            connection.execute("CREATE ROLE service LOGIN IN ROLE onceward_participant")
        with psycopg.connect(server.url("one", user="service")) as connection:
            assert connection.execute("SELECT onceward.publish('t', 'k', 'x', NULL)").fetchone()


def test_who_may_not_create_roles_is_told_so() -> None:
    with server_of_an_installer(VERSIONS[-1], "") as (_, urls), pytest.raises(DBAPIError, match="to create role"):
        migrations.install(urls[0])


def test_several_installers_at_once(postgres: TestServer) -> None:
    urls = [postgres.create_database() for _ in range(2)]
    assert installed_at_once(urls * 2) == [0, 0, 0, 0]
    assert [migrations.check(url) for url in urls] == [[], []]


def test_installing_twice_does_nothing(database: Database) -> None:
    assert migrations.install(database.url) is False
    assert migrations.upgrade(database.url) is False


def test_a_schema_of_somebody_else_is_left_alone(empty_database: Database) -> None:
    with psycopg.connect(empty_database.url) as connection:
        connection.execute("CREATE SCHEMA onceward; CREATE TABLE onceward.theirs ()")
    with pytest.raises(DBAPIError, match="does not belong to onceward_owner"):
        migrations.install(empty_database.url)
    assert migrations.check(empty_database.url) == ["the schema onceward is not installed: onceward schema install"]


def test_an_empty_schema_may_be_prepared_for_the_owner(empty_database: Database) -> None:
    with psycopg.connect(empty_database.url) as connection:
        connection.execute("CREATE SCHEMA onceward AUTHORIZATION onceward_owner")
    assert migrations.install(empty_database.url)
    assert migrations.check(empty_database.url) == []


def test_no_function_of_somebody_else_slips_into_a_definition(empty_database: Database) -> None:
    """A function in public that fits better than PostgreSQL's own would run with the rights of whoever inserts."""
    with psycopg.connect(empty_database.url) as connection:
        connection.execute(
            "CREATE FUNCTION public.num_nonnulls(uuid, uuid, uuid) RETURNS int IMMUTABLE LANGUAGE sql RETURN 1"
        )
    migrations.install(empty_database.url)
    with psycopg.connect(empty_database.url) as connection:
        uses = "SELECT count(*) FROM pg_depend WHERE refobjid = 'public.num_nonnulls(uuid,uuid,uuid)'::regprocedure"
        assert connection.execute(uses).fetchone() == (0,)


def test_everything_stands_in_the_schema(empty_database: Database) -> None:
    """So that it is in nobody's way: a team's own migrations have their version table in public."""
    strangers = """
    SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
     WHERE nspname NOT IN ('onceward', 'pg_catalog', 'information_schema', 'pg_toast')
    UNION ALL SELECT proname FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace
     WHERE nspname NOT IN ('onceward', 'pg_catalog', 'information_schema')
    """
    migrations.install(empty_database.url)
    with psycopg.connect(empty_database.url) as connection:
        assert connection.execute(strangers).fetchall() == []


def test_there_must_be_something_to_upgrade(empty_database: Database) -> None:
    with pytest.raises(SchemaError, match="onceward schema install"):
        migrations.upgrade(empty_database.url)
