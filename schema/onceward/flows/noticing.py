"""Messages that no flow has taken: those whose flow was not told yet, is not there, or has ended."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, TextClause, text

from onceward.incidents import open_incident
from onceward.sqlfiles import statement


def _clause(name: str) -> TextClause:
    return text(statement("onceward.flows", name))


_UNNOTICED, _FREE, _TELL, _NOTICE = map(_clause, ("unnoticed", "free", "tell", "notice"))
_UNTAKEN, _FLOWLESS = map(_clause, ("untaken", "flowless"))

TOLD_AFTER = timedelta(hours=24)
"""How long a message may wait for a flow that nobody has started before people hear of it."""


class Noticing:
    """Tells flows of messages that came while somebody else held them, or before anybody could see them."""

    def __init__(self, engine: Engine) -> None:
        # Whoever waited for another transaction must see what it did, whatever the engine's default isolation is.
        self._engine = engine.execution_options(isolation_level="READ COMMITTED")

    def notice(self, limit: int = 100) -> int:
        """Tell flows of messages that they may not know of, oldest first; return how many of these are settled.

        Those of flows that somebody is busy with are left for the next time.
        """
        with self._engine.connect() as connection:
            signals = connection.execute(_UNNOTICED, {"limit": limit}).all()
        settled = 0
        for signal in signals:
            with self._engine.begin() as connection:
                settled += _tell(connection, signal._asdict())
        return settled

    def age(self, limit: int = 100) -> int:
        """Tell people of messages whose flow nobody has started for a day; return how many were looked at.

        A flow that is started later takes its message all the same, and that closes the incident.
        """
        with self._engine.begin() as connection:
            signals = connection.execute(_FLOWLESS, {"age": TOLD_AFTER, "limit": limit}).all()
            for signal in signals:
                if signal.flow_id is None:
                    _open_unmatched(connection, signal)
        return len(signals)


def _tell(connection: Connection, signal: dict[str, Any]) -> bool:
    """Wake the flow, or tell people that it has ended. Its row comes first, as it does in a run."""
    flow = {"id": signal["flow_id"]}
    found = connection.execute(_FREE, flow).one_or_none()
    if found is None and signal["flow_id"] is not None:
        return False
    if found is not None and not found.ended:
        connection.execute(_TELL, flow)
    noticed = connection.execute(_NOTICE, signal).one_or_none()
    if found is not None and found.ended and noticed is not None and noticed.taken_by is None:
        open_late(connection, signal["flow_name"], signal["flow_key"], signal["flow_id"])
    return True


def _open_unmatched(connection: Connection, signal: Row[Any]) -> None:
    open_incident(
        connection,
        "unmatched",
        message_id=signal.message_id,
        ref=signal.flow_key,
        grp=f"{signal.flow_name}/{signal.type}",
        severity=3,
        title=f"A {signal.type} came at {signal.arrived_at:%Y-%m-%d %H:%M:%S %Z} for flow {signal.flow_name}"
        f" {signal.flow_key!a}, which nobody has started",
    )


def open_late(connection: Connection, name: str, key: str, flow_id: Any) -> None:
    """Tell people if a flow that ends, or has ended, leaves a message."""
    left = connection.execute(_UNTAKEN, {"name": name, "key": key}).one_or_none()
    if left is None:
        return
    open_incident(
        connection,
        "late_signal",
        flow_id=flow_id,
        message_id=left.message_id,
        ref=key,
        grp=f"{name}/{left.type}",
        severity=3,
        title=f"Flow {name} has ended and nothing has taken {left.number} message(s), the newest a {left.type}",
    )
