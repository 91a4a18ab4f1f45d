"""What is known of a call."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel

R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class FlowStep:
    """The step of a flow that a call is."""

    flow_id: UUID
    step: str
    epoch: int | None = None
    """Number of the claim under which it may begin; None: whatever the flow is doing."""
    seq: int | None = None
    """Order in the flow."""
    pivot: bool = False
    """Once it has succeeded the flow only goes forward."""
    start_within: timedelta | None = None
    """If it was not sent within that time, it is cancelled."""
    undoes: UUID | None = None
    """The call of the flow that it reverses."""
    known: bool = False
    """It is recorded already, as an earlier run has seen."""


@dataclass(frozen=True, slots=True)
class Succeeded(Generic[R]):
    """The call took effect."""

    call_id: UUID
    result: R
    difference: str | None = None
    """What the provider did other than it was asked, while no person has accepted that."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The call is proven to have had no effect and will have none."""

    call_id: UUID
    code: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Unsettled:
    """The outcome is not known yet, or the call has not been made yet."""

    call_id: UUID
    due_at: datetime | None
    """When something automatic happens next; None if nothing automatic is left."""
    reason: str
    state: str
    """pending, in_flight, in_doubt or accepted."""


Outcome = Succeeded[R] | Failed | Unsettled
