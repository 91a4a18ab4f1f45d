"""Writes anew what `onceward schema check` compares with, after a change of the schema.

python -m tests.schema.write_catalog
"""

from sqlalchemy import create_engine

from onceward import migrations
from onceward.database import sqlalchemy_url
from onceward_relay.embedded.postgres import EmbeddedPostgres


def main() -> None:
    with EmbeddedPostgres() as server:
        migrations.install(server.url())
        engine = create_engine(sqlalchemy_url(server.url()))
        with engine.connect() as connection:
            lines = list(migrations.catalog(connection))
        engine.dispose()
    (migrations.HERE / "catalog.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
