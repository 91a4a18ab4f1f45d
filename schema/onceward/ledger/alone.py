"""The ledger without flows: one call, made where it is asked for, and its outcome as a result or an error."""

import os
import socket
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from pydantic import BaseModel
from sqlalchemy import Engine

from onceward.errors import CallFailed, InDoubt
from onceward.ledger.ledger import Ledger
from onceward.ledger.outcomes import Failed, Succeeded
from onceward.providers import Operation

if TYPE_CHECKING:
    from onceward.participant import Participant

Q = TypeVar("Q", bound=BaseModel)
R = TypeVar("R", bound=BaseModel)


_made: "WeakKeyDictionary[Participant, WeakKeyDictionary[Engine, Ledger]]" = WeakKeyDictionary()
_making = Lock()


def ledger_of(participant: "Participant", engine: Engine) -> Ledger:
    """Return this process's ledger of a participant in a database, made when it is first needed.

    What the code declares is written down then.
    """
    with _making:
        ledgers = _made.setdefault(participant, WeakKeyDictionary())
        ledger = ledgers.get(engine)
        if ledger is None:
            worker = f"{socket.gethostname()}-{os.getpid()}"
            ledger = Ledger(engine, participant.name, participant.providers, worker=worker)
            ledger.declare()
            ledgers[engine] = ledger
        return ledger


def call(ledger: Ledger, operation: Operation[Any, Q, R], request: Q, *, key: str, ref: str | None) -> R:
    """Make the call, or find it made; see `Participant.call`."""
    outcome = ledger.call(operation, request, key=key, ref=ref)
    if isinstance(outcome, Succeeded):
        return outcome.result
    if isinstance(outcome, Failed):
        raise CallFailed(outcome.call_id, outcome.code, outcome.text)
    raise InDoubt(outcome.call_id, f"{operation} is {outcome.state}: {outcome.reason}", state=outcome.state)
