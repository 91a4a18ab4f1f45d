"""Upgrading an installed schema, while the business goes on."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from onceward import migrations
from onceward.errors import SchemaError
from tests.conftest import Database
from tests.schema.definitions import definitions
from tests.support import eventually

PUBLISH = "SELECT onceward.publish('t', 'k', 'x', NULL)"
BEFORE = migrations.NEWEST
NEXT = "9998_next"
REVISION = f'''
from alembic import op

from onceward.migrations import run, script

revision = "9998"
down_revision = "{migrations.NEWEST}"


def upgrade() -> None:
    run(op.get_bind(), script("{NEXT}"))
'''


@pytest.fixture
def next_revision(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more revision than `database` has, which adds a column to the outbox."""
    here = tmp_path / "100%" / "migrations"
    shutil.copytree(migrations.HERE, here, ignore=shutil.ignore_patterns("__pycache__"))
    (here / NEXT).mkdir()
    (here / NEXT / "01_note.sql").write_text("ALTER TABLE onceward.outbox ADD COLUMN note text;  -- 100 %: ours\n")
    (here / "versions" / f"{NEXT}.py").write_text(REVISION)
    monkeypatch.setattr(migrations, "HERE", here)
    monkeypatch.setattr(migrations, "REVISIONS", (*migrations.REVISIONS, NEXT))
    monkeypatch.setattr(migrations, "NEWEST", "9998")


@pytest.mark.usefixtures("next_revision")
class TestUpgrade:
    def test_it_adds_to_what_is_there(self, database: Database) -> None:
        (problem,) = migrations.check(database.url)
        assert problem.endswith("onceward schema upgrade")
        with pytest.raises(SchemaError, match="onceward schema upgrade"):
            migrations.install(database.url)
        assert migrations.upgrade(database.url) is True
        assert migrations.revision_of(database.url) == "9998"
        assert migrations.upgrade(database.url) is False
        with psycopg.connect(database.participant_url) as connection:
            connection.execute(PUBLISH)

    def test_plain_sql_of_what_is_lacking_does_the_same(self, database: Database, empty_database: Database) -> None:
        migrations.install(empty_database.url)
        with psycopg.connect(database.url) as connection:
            connection.execute(migrations.sql(since=BEFORE))
        assert definitions(database.url) == definitions(empty_database.url)

    def test_nobody_waits_behind_it(self, database: Database) -> None:
        """A transaction that has published stays open; the upgrade needs the table alone; others publish meanwhile."""
        with (
            ThreadPoolExecutor() as pool,
            psycopg.connect(database.participant_url) as long,
            psycopg.connect(database.participant_url, autocommit=True, options="-c lock_timeout=5s") as others,
            psycopg.connect(database.url, autocommit=True) as watcher,
        ):
            long.execute(PUBLISH)
            upgrade = pool.submit(migrations.upgrade, database.url)
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'onceward.outbox'::regclass"
            for _ in range(3):
                eventually(lambda: watcher.execute(waits).fetchone() == (1,), describe=lambda: "the upgrade waits")
                others.execute(PUBLISH)  # would wait for as long as the upgrade does
            assert not upgrade.done()
            long.commit()
            assert upgrade.result(timeout=30) is True
        with psycopg.connect(database.url) as connection:
            assert connection.execute("SELECT count(note), count(*) FROM onceward.outbox").fetchone() == (0, 4)

    def test_it_gives_up_and_leaves_everything_as_it_was(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(migrations, "_PATIENCE", 0.3)
        before = definitions(database.url)
        with psycopg.connect(database.participant_url) as connection:
            connection.execute(PUBLISH)
            with pytest.raises(SchemaError, match="try again"):
                migrations.upgrade(database.url)
        assert definitions(database.url) == before


@pytest.mark.parametrize("older", migrations.REVISIONS[:-1])
def test_an_older_schema_in_use_becomes_what_is_installed_today(
    database: Database, empty_database: Database, older: str
) -> None:
    """What was published before is there afterwards, and nothing distinguishes the two."""
    number = older.partition("_")[0]
    with pytest.MonkeyPatch.context() as then, psycopg.connect(empty_database.url) as connection:
        then.setattr(migrations, "REVISIONS", migrations.REVISIONS[: migrations.REVISIONS.index(older) + 1])
        then.setattr(migrations, "NEWEST", number)
        connection.execute(migrations.sql())
        connection.execute(PUBLISH)
    assert migrations.revision_of(empty_database.url) == number
    assert migrations.upgrade(empty_database.url) is True
    assert definitions(empty_database.url) == definitions(database.url)
    assert migrations.check(empty_database.url) == []
    with psycopg.connect(empty_database.url) as connection:
        assert connection.execute("SELECT count(*) FROM onceward.outbox").fetchone() == (1,)


def test_threads_of_a_process_can_install(database: Database, empty_database: Database) -> None:
    barrier = threading.Barrier(2)

    def install(url: str) -> bool:
        barrier.wait(10)
        return migrations.install(url)

    with ThreadPoolExecutor() as pool:
        assert list(pool.map(install, [empty_database.url, database.url])) == [True, False]
    assert migrations.check(empty_database.url) == []
