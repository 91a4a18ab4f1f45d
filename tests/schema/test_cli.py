"""`onceward schema`: what it prints and how it ends."""

import json
import subprocess
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from onceward import migrations
from onceward_relay.cli import main
from onceward_relay.embedded.postgres import free_port
from tests.conftest import Database
from tests.servers.postgres import psql
from tests.support import Process

NOT_INSTALLED = "the schema onceward is not installed: onceward schema install\n"


def schema(*arguments: str, database: str | None = None) -> Result:
    return CliRunner().invoke(main, ["schema", *arguments], env={"ONCEWARD_DATABASE": database})


def test_install_check_and_upgrade(empty_database: Database) -> None:
    newest = migrations.NEWEST
    for command, status, output in (
        ("check", 1, NOT_INSTALLED),
        ("install", 0, f"schema onceward installed: revision {newest}\n"),
        ("install", 0, f"schema onceward is installed already: revision {newest}\n"),
        ("upgrade", 0, f"schema onceward is at the newest revision {newest}\n"),
        ("check", 0, f"ok: revision {newest}\n"),
    ):
        done = schema(command, "--database", empty_database.url)
        assert (done.exit_code, done.output) == (status, output)


def test_the_address_may_come_from_the_environment(empty_database: Database) -> None:
    assert schema("install", database=empty_database.url).exit_code == 0
    assert schema("check", database=empty_database.url).exit_code == 0


def test_an_upgrade_needs_an_installed_schema(empty_database: Database) -> None:
    refused = schema("upgrade", database=empty_database.url)
    assert (refused.exit_code, refused.stderr) == (1, f"Error: {NOT_INSTALLED}")


def test_check_as_json(database: Database) -> None:
    fine = schema("check", "--json", database=database.url)
    assert (fine.exit_code, json.loads(fine.stdout)) == (0, {"ok": True, "newest": migrations.NEWEST, "problems": []})
    with psycopg.connect(database.url) as connection:
        connection.execute("DROP INDEX onceward.call_due")
    drifted = schema("check", "--json", database=database.url)
    assert drifted.exit_code == 1
    (problem,) = json.loads(drifted.stdout)["problems"]
    assert problem.startswith("missing: index call_due")


def test_what_sql_prints_can_be_loaded_by_psql(empty_database: Database, tmp_path: Path) -> None:
    printed = schema("sql")
    assert printed.exit_code == 0
    (tmp_path / "schema.sql").write_text(printed.stdout)
    command = [
        psql(),
        "-X",
        "-q",
        "-1",
        "-v",
        "ON_ERROR_STOP=1",
        "-f",
        str(tmp_path / "schema.sql"),
        empty_database.url,
    ]
    subprocess.run(command, check=True)
    assert schema("check", database=empty_database.url).exit_code == 0


def test_sql_for_a_database_is_what_it_lacks(database: Database, empty_database: Database) -> None:
    assert schema("sql", "--database", empty_database.url).stdout == migrations.sql()
    assert schema("sql", "--database", database.url).stdout == migrations.sql(since=migrations.NEWEST)
    assert "CREATE TABLE onceward.outbox" not in migrations.sql(since=migrations.NEWEST)


@pytest.mark.parametrize("command", ["install", "upgrade", "check"])
@pytest.mark.parametrize("address", ["u:hunter2@127.0.0.1:{}/x", "127.0.0.1:{}/x?user=u&password=hunter2"])
def test_a_database_that_cannot_be_reached_is_one_line_without_a_password(command: str, address: str) -> None:
    port = free_port()
    failed = schema(command, database="postgresql://" + address.format(port))
    assert failed.exit_code == 1
    assert failed.stdout == ""
    (line,) = failed.stderr.splitlines()
    assert line.startswith(f"Error: 127.0.0.1:{port}/x: ")
    assert "hunter2" not in line


def test_a_refusal_of_the_database_is_one_line(empty_database: Database) -> None:
    with psycopg.connect(empty_database.url) as connection:
        connection.execute("CREATE SCHEMA onceward")
    refused = schema("install", database=empty_database.url)
    assert refused.exit_code == 1
    (line,) = refused.stderr.splitlines()
    assert "there is a schema named onceward that does not belong to onceward_owner" in line
    assert "Rename it." in line


@pytest.mark.parametrize(
    "url", ["", "x", "mysql://u:hunter2@h/x", "host=h password=hunter2", "postgresql://h:hunter2/x"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    refused = schema("check", "--database", url)
    assert refused.exit_code == 2
    assert "--database" in refused.stderr
    assert "hunter2" not in refused.stderr


@pytest.mark.parametrize("secret", ["u:hunter2@127.0.0.1:{}/x", "127.0.0.1:{}/x?password=hunter2"])
def test_a_password_among_the_arguments_is_warned_of(secret: str) -> None:
    url = "postgresql://" + secret.format(free_port())
    for given in (schema("check", "--database", url), schema("check", database=url)):
        assert given.exit_code == 1
        assert "hunter2" not in given.output
    warning = "warning: others can see the password in --database; set PGPASSWORD instead"
    assert warning in schema("check", "--database", url).stderr.splitlines()
    assert warning not in schema("check", database=url).output


def test_an_address_is_needed() -> None:
    refused = schema("install")
    assert refused.exit_code == 2
    assert "ONCEWARD_DATABASE" in refused.stderr


def test_as_a_program(database: Database) -> None:
    with Process(["-m", "onceward_relay", "schema", "check"], {"ONCEWARD_DATABASE": database.url}) as program:
        assert program.wait() == 0
        assert program.output == f"ok: revision {migrations.NEWEST}\n"
