"""What a program sends to the API."""

import binascii
from base64 import b64decode
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from onceward_relay.console.api.values import Amount, Document, Part, Reason, Text, Version
from onceward_relay.console.deciding import Evidence, Proposal

MOST_BYTES = 2**20
Report = Annotated[str, StringConstraints(max_length=MOST_BYTES, pattern=r"^[^\x00]*$")]
Encoded = Annotated[str, StringConstraints(max_length=1_400_000, pattern=r"^[A-Za-z0-9+/]*={0,2}$")]


class Why(Part):
    """Why something is done."""

    reason: Reason


class NewEvidence(Part):
    """What somebody found out about a call."""

    kind: Literal["statement", "provider_screen", "provider_support"]
    says: Literal["applied", "not_applied", "unclear"]
    reference: Text | None = None
    """The provider's reference, or what else one finds it by."""
    text: Report | None = None
    """The report itself, if it is text."""
    base64: Encoded | None = None
    """The report itself, if it is none."""

    @model_validator(mode="after")
    def _one_report(self) -> Self:
        if self.text is not None and self.base64 is not None:
            raise ValueError("give either text or base64")
        if len(self.bytes or b"") > MOST_BYTES:
            raise ValueError(f"a report has at most {MOST_BYTES:,} bytes")
        return self

    @property
    def bytes(self) -> "bytes | None":
        """The report."""
        if self.base64 is None:
            return None if self.text is None else self.text.encode()
        try:
            return b64decode(self.base64, validate=True)
        except binascii.Error as error:
            raise ValueError(f"base64: {error}") from None

    def brought(self) -> Evidence:
        """Return it as the decision takes it."""
        return Evidence(self.kind, self.says, self.reference, self.bytes)


class AddEvidence(NewEvidence):
    """Evidence by itself."""

    id: UUID
    """Of the evidence: sent twice, it is one."""


class Propose(Why):
    """A decision that others may have to agree to, and that a worker carries out."""

    id: UUID
    """Of the decision: sent twice, it is one."""
    verb: Literal["applied", "not_applied", "new_key", "refund", "accept_difference", "undo", "close"]
    subject: UUID
    """The call or flow."""
    seen_version: Version
    """At which you saw it. If it has changed since, nothing is decided."""
    result: Document | None = None
    """Of applied: what the provider would have answered."""
    request: Document | None = None
    """Of a refund: what is sent for it; needed for a part of the amount."""
    amount: Amount | None = None
    """Of a refund: how much; of others the call's own, typed, where one person decides alone."""
    evidence: NewEvidence | None = None
    evidence_id: UUID | None = None
    """Evidence that is there already."""
    batch: UUID | None = None
    """Decisions that another person agrees to together."""

    @model_validator(mode="after")
    def _one_evidence(self) -> Self:
        if self.evidence is not None and self.evidence_id is not None:
            raise ValueError("give either evidence or evidence_id")
        return self

    def proposal(self) -> Proposal:
        """Return it as it is decided."""
        body = {name: value for name in ("result", "request") if (value := getattr(self, name)) is not None}
        return Proposal(
            verb=self.verb,
            subject=self.subject,
            decision=self.id,
            seen_version=self.seen_version,
            body=body,
            amount=None if self.amount is None else Decimal(self.amount),
            evidence=self.evidence_id if self.evidence is None else self.evidence.brought(),
            batch=self.batch,
        )


class Ask(Why):
    """What a worker is to do next, if it is safe."""

    what: Literal["lookup", "resend"]


class Snooze(Why):
    """Until when something is left out of the worklist."""

    until: AwareDatetime
    """In the next 30 days, and before `act_before`."""

    @property
    def moment(self) -> datetime:
        """As it is decided."""
        return self.until


class Note(Part):
    """Something worth knowing."""

    kind: Literal["call", "flow", "incident"]
    subject: UUID
    note: Reason


class Switch(Why):
    """A provider that is to be stopped or started."""

    provider: Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[^\x00]*$")]
