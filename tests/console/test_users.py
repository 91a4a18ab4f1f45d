"""`onceward console user`: people are added, named, given roles and kept out on the command line."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from onceward_relay.cli import main
from onceward_relay.console.home.store import upgrade
from onceward_relay.console.passwords import HASHER, problem
from tests.conftest import Database
from tests.console.people import Home

PASSWORD = "correct horse battery"


class Desk:
    """Somebody at a terminal."""

    def __init__(self, config: Path, owner: Home) -> None:
        self.config = config
        self.owner = owner

    def run(self, *arguments: str, typed: str = "", status: int = 0) -> str:
        result = CliRunner().invoke(main, ["console", "user", *arguments, "--config", str(self.config)], input=typed)
        assert result.exit_code == status, result.output
        return result.output

    def people(self) -> dict[str, list[tuple[str, str]]]:
        found = json.loads(self.run("list", "--json"))
        return {row["name"]: [(role["participant"], role["role"]) for role in row["roles"]] for row in found}


@pytest.fixture
def desk(home: Database, tmp_path: Path) -> Iterator[Desk]:
    config = tmp_path / "console.toml"
    config.write_text(
        f'[console]\nlogin = "local"\nhome = "{home.url}"\n[[participant]]\nname = "payer"\ndatabase = "{home.console_url}"\n'
    )
    upgrade(home.url)
    owner = Home(home.url)
    owner.clear()
    yield Desk(config, owner)
    owner.connection.close()


def test_a_user_is_added_with_a_password_from_standard_input(desk: Desk) -> None:
    assert "Ada is admin at all participants" in desk.run("add", "  Ada ", "--role", "admin", typed=f"{PASSWORD}\n")
    desk.run("add", "Bob", "--role", "viewer", "--at", "payer", typed=PASSWORD)
    assert desk.people() == {"Ada": [("*", "admin")], "Bob": [("payer", "viewer")]}
    (row,) = desk.owner.do("SELECT password FROM onceward_console.person WHERE name = 'Ada'")
    assert row["password"].startswith("$argon2id$")
    assert HASHER.verify(row["password"], PASSWORD)


@pytest.mark.parametrize(
    ("arguments", "typed", "says"),
    [
        (("Ada", "--role", "admin"), "", "password: give one of at least 12 characters on standard input"),
        (("Ada", "--role", "admin"), "too short\n", "password: give 12 to 1,000 characters; these are 9"),
        (("Ada", "--role", "admin"), "aaaaaaaaaaaaa\n", "password: give one that is not your name or the same few"),
        (("A\x1bda", "--role", "admin"), PASSWORD, "name: give 1 to 100 characters that can be printed"),
        ((" ", "--role", "admin"), PASSWORD, "name: give 1 to 100 characters"),
        (
            ("Ada", "--role", "admin", "--at", "shop"),
            PASSWORD,
            "--at: the console is not told of shop; there are payer",
        ),
        (("bob", "--role", "admin"), PASSWORD, "name: somebody is called bob already"),
    ],
)
def test_what_cannot_be_is_told_and_adds_nobody(desk: Desk, arguments: tuple[str, ...], typed: str, says: str) -> None:
    desk.run("add", "Bob", "--role", "viewer", typed=PASSWORD)
    assert says in desk.run("add", *arguments, typed=typed, status=1)
    assert list(desk.people()) == ["Bob"]


def test_a_password_is_no_argument(desk: Desk) -> None:
    assert "No such option" in desk.run("add", "Ada", "--role", "admin", "--password", PASSWORD, status=2)


def test_roles_are_given_and_taken(desk: Desk) -> None:
    desk.run("add", "Ada", "--role", "admin", typed=PASSWORD)
    desk.run("add", "Bob", "--role", "viewer", typed=PASSWORD)
    assert "BOB is approver and is viewer no more" in desk.run("role", "BOB", "--give", "approver", "--take", "viewer")
    assert desk.people()["Bob"] == [("*", "approver")]
    assert "there is nobody called Eve" in desk.run("role", "Eve", "--give", "admin", status=1)
    assert "say what to --give or to --take" in desk.run("role", "Bob", status=2)


def test_the_last_admin_stays(desk: Desk) -> None:
    desk.run("add", "Ada", "--role", "admin", typed=PASSWORD)
    for arguments in (("disable", "Ada"), ("role", "Ada", "--take", "admin")):
        assert "nobody would be left who may manage people. Make somebody else an admin" in desk.run(
            *arguments, status=1
        )
    assert desk.people() == {"Ada": [("*", "admin")]}
    desk.run("add", "Bob", "--role", "admin", typed=PASSWORD)
    desk.run("disable", "Ada")
    assert "nobody would be left" in desk.run("disable", "Bob", status=1)
    desk.run("enable", "Ada")
    desk.run("disable", "Bob")


def test_another_password_and_disabling_end_the_sessions(desk: Desk) -> None:
    desk.run("add", "Ada", "--role", "admin", typed=PASSWORD)
    bob = desk.owner.add("Bob", ("*", "admin"))
    for arguments in (("password", "Bob"), ("disable", "Bob")):
        desk.owner.session(bob)
        desk.run(*arguments, typed="another password, longer\n")
        assert desk.owner.do("SELECT * FROM onceward_console.session") == []
    (row,) = desk.owner.do("SELECT password FROM onceward_console.person WHERE name = 'Bob'")
    assert HASHER.verify(row["password"], "another password, longer")


def test_who_is_known_elsewhere_has_no_password_here(desk: Desk) -> None:
    desk.owner.add("Eve", ("*", "viewer"), issuer="https://id.example", subject="7")
    assert "Eve has no password here" in desk.run("password", "Eve", typed=PASSWORD, status=1)


def test_a_database_that_is_away_is_named_without_its_password(desk: Desk) -> None:
    desk.config.write_text(desk.config.read_text().replace("login", 'home_password = "hidden"\nlogin', 1))
    text = desk.config.read_text()
    start = text.index("home = ")
    desk.config.write_text(
        text[:start] + 'home = "postgresql://nobody@127.0.0.1:1/console"' + text[text.index("\n", start) :]
    )
    said = desk.run("list", status=1)
    assert "home database" in said
    assert "hidden" not in said


def test_a_password_that_says_the_name_is_none() -> None:
    assert problem("Ada Lovelace Ada Lovelace", "ada lovelace") is not None
    assert problem("a fine long sentence", "ada lovelace") is None
