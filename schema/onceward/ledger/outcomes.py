"""What is known of a call."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel

R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class FlowStep:
    """The step of a flow that a call is."""

    flow_id: UUID
    step: str


@dataclass(frozen=True, slots=True)
class Succeeded(Generic[R]):
    """The call took effect."""

    call_id: UUID
    result: R


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


Outcome = Succeeded[R] | Failed | Unsettled
