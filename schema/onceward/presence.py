"""The row by which people see that a worker lives, and what it can do."""

from collections.abc import Collection

from sqlalchemy import Engine, text

from onceward.sqlfiles import statement


class Presence:
    """One worker's row in the table `worker`."""

    def __init__(
        self, engine: Engine, name: str, code_version: str | None, flows: Collection[str], providers: Collection[str]
    ) -> None:
        self._engine = engine
        self._row = {
            "name": name,
            "code_version": code_version,
            "flows": sorted(flows),
            "providers": sorted(providers),
        }

    def show(self, resting: Collection[str], *, begins: bool = False) -> None:
        """Give a sign of life, and forget workers that have given none for a day."""
        with self._engine.begin() as connection:
            connection.execute(
                text(statement("onceward", "show_worker")), {**self._row, "resting": list(resting), "begins": begins}
            )
            connection.execute(text(statement("onceward", "forget_workers")))
