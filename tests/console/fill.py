"""Databases as large as a console may meet."""

from dataclasses import dataclass
from pathlib import Path

import psycopg

FILL = Path(__file__).parent / "sql" / "fill.sql"


@dataclass(frozen=True, slots=True)
class Size:
    """How much one participant has."""

    calls: int
    incidents: int
    """Open ones; as many are closed."""
    entries: int
    """Of the audit."""


def fill(url: str, size: Size) -> None:
    """Fill a database that holds nothing but the schema, as its superuser, and let PostgreSQL look at it."""
    text = FILL.read_text()
    for name in ("calls", "incidents", "entries"):
        text = text.replace(f"{{{name}}}", str(getattr(size, name)))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(text.encode())
        connection.execute("VACUUM ANALYZE")
