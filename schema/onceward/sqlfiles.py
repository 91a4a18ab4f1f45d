"""Loads the SQL statements that stand in `.sql` files beside the code that runs them."""

from functools import cache
from importlib.resources import files


@cache
def statement(package: str, name: str) -> str:
    """Return the text of `name`.sql in the folder `sql` of `package`.

    Raises:
        FileNotFoundError: there is no such file.
    """
    return (files(package) / "sql" / f"{name}.sql").read_text(encoding="utf-8")
