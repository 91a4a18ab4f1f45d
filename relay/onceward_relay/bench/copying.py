"""Server-side COPY of the outbox: how fast PostgreSQL can give the same rows away, whoever asks."""

import time

from psycopg import sql as query

from onceward_relay.bench.stage import Connection, sql

DISCARDED = "COPY to /dev/null"
STREAMED = "COPY to STDOUT, discarded"


def way(connection: Connection) -> str:
    """Return where COPY can write to: /dev/null where the role may write files on the server, else this client."""
    row = connection.execute("SELECT pg_has_role('pg_write_server_files', 'USAGE')").fetchone()
    return DISCARDED if row is not None and row[0] else STREAMED


def copy(connection: Connection) -> float:
    """Copy all rows of the outbox in binary form; return the seconds it took."""
    began = time.perf_counter()
    if way(connection) == DISCARDED:
        connection.execute(_statement(query.Literal("/dev/null")))
    else:
        with connection.cursor() as cursor, cursor.copy(_statement(query.SQL("STDOUT"))) as rows:
            for _ in rows:
                pass
    return time.perf_counter() - began


def _statement(target: query.Composable) -> query.Composed:
    return query.SQL(sql("copy_rows")).format(target=target)
