"""Flows that a person gives up."""

from sqlalchemy import Connection

from onceward.flows.noticing import open_late
from onceward.ledger import store
from onceward.ledger.remaking import STANDSTILLS, Refused
from onceward.ledger.store import Record


def close(connection: Connection, decision: Record, flow: Record) -> str:
    """Close a flow as it stands: what waits to be sent is cancelled, what is in doubt or wrong stays to be settled."""
    its = {"flow_id": flow.id}
    connection.execute(store.sql("cancel_of_flow"), its)
    if store.one(connection, "close_flow", **its, decision=decision.id) is None:
        raise Refused("a call of it is just being made")
    closed = {"by": decision.decided_by, "all": True, "kinds": [*STANDSTILLS, "mismatch"]}
    connection.execute(store.sql("close_incidents_of_flow"), its | closed)
    open_late(connection, flow.name, flow.key, flow.id)
    return "it is closed"
