"""A run of a flow that is undone: its calls are reversed, the last first, then its local changes."""

import logging
from typing import Any

from onceward.flows.definition import FlowDefinition
from onceward.flows.run import Run
from onceward.ledger.undoing import Undoing
from onceward.lent import borrowed

log = logging.getLogger("onceward.flows")


def undo(run: Run, undoing: Undoing, definition: FlowDefinition[Any], event: Any, by: str) -> None:
    """Undo what is left to be undone, and end the flow.

    Raises:
        Suspended: a call of the flow, or one that undoes it, is not settled.
        UndoFailed: a call cannot be undone by code.
    """
    claim = run.claim
    assert claim.undo_reason is not None
    with run.step():
        calls = undoing.calls(claim.id)
    for call in calls:
        with run.step():
            undoing.undo(call, claim.id, claim.epoch, run.lease.cover)
    if definition.undone is None:
        log.warning("flow %s %s is undone, and no function is declared that could tell of it", claim.name, claim.id)
    with run.step(), run.local() as connection:
        if definition.undone is not None:
            with borrowed(connection) as session:
                definition.undone(session, event, claim.undo_reason)
        run.end_undone(connection, by)
