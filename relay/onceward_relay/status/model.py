"""What a look at a source finds. Times are in seconds; None is what could not be seen."""

from dataclasses import dataclass, field
from datetime import datetime

LONG_WITHOUT_OWNER = 60.0
"""Seconds for which a row may wait without a relay before a person is needed: a restart takes less."""

LONG_UNCONFIRMED = 60.0
"""Seconds for which a page may be planned in exactly-once mode: what a relay does by itself takes less."""


LONG_IN_USE = 600.0
"""Seconds after which who uses a slot of the outbox that could be emptied is named: a slot's own time."""


@dataclass(frozen=True, slots=True)
class Count:
    """A number of rows, of which no more than so many were looked at."""

    number: int
    capped: bool = False
    """There are at least so many."""

    def __str__(self) -> str:
        return f"{self.number:,}{'+' if self.capped else ''}"

    def of(self, what: str) -> str:
        """Return the number with what is counted: `1 key`, `2 keys`."""
        return f"{self} {what}" if self.number == 1 else f"{self} {what}s"


@dataclass(frozen=True, slots=True)
class Lag:
    """What is committed to the outbox and not yet settled: neither acknowledged by Kafka nor set aside."""

    rows: Count
    bytes: int | None
    """Of their payloads; at least so many where rows is capped."""
    seconds: float
    """Age of the oldest: since the start of the transaction that wrote it. 0 if nothing waits."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who took the source over last."""

    relay: str
    since: datetime
    epoch: int
    holds_lease: bool
    """Whether a session holds the source's lease now."""


@dataclass(slots=True)
class SourceStatus:
    """How a source stands."""

    name: str
    place: str
    state: str = "free"
    """owned: a relay holds its lease; free: none does; halted: it must not be relayed; broken: it cannot be seen."""
    reason: str = ""
    """Why it is halted or broken."""
    owner: Owner | None = None
    lag: Lag | None = None
    page: int | None = None
    """Number of the last page in exactly-once mode; None if the source is relayed at least once."""
    page_confirmed: bool | None = None
    """Whether that page is known to be committed in Kafka; else it is planned."""
    open_window: bool | None = None
    """Whether a backlog larger than a page is being sent."""
    checkpoint_age: float | None = None
    """Since the newest checkpoint. A source without new rows writes none."""
    rate: float | None = None
    """Rows settled per second, over the last minute or since the oldest checkpoint that is kept."""
    rate_capped: bool = False
    held_keys: Count | None = None
    held_topics: Count | None = None
    held_messages: Count | None = None
    parked: Count | None = None
    in_doubt: Count | None = None
    incidents: Count | None = None
    outbox_bytes: int | None = None
    """With its indexes: what is kept for a replay and what a slot that cannot be emptied still holds, too."""
    outbox_growth_per_hour: float | None = None
    """Bytes per hour that are being written to it, over the last ten minutes or since a slot was emptied; an estimate.
    None if that is less than a minute ago. What is emptied does not count: as long as nothing is, it grows so fast."""
    outbox_limit: int | None = None
    """Bytes that it may take, if the configuration says so."""
    slot_users: list[str] | None = None
    """Who has kept a slot of the outbox from being emptied for LONG_IN_USE, by name."""
    audit_head: str | None = None
    """Number and hash of the audit's newest entry, `17:3f9a...`; kept elsewhere, it shows whether some were cut off."""
    unseen: list[str] = field(default_factory=list)
    """What this role may not see."""

    @property
    def outbox_full_in(self) -> float | None:
        """When it reaches its limit if it grows on like this and nothing is emptied; 0 if it has.

        None without a limit, if nothing is written, or where its growth is not known.
        """
        if self.outbox_limit is None or self.outbox_bytes is None:
            return None
        left = self.outbox_limit - self.outbox_bytes
        if left <= 0:
            return 0.0
        return left / self.outbox_growth_per_hour * 3600 if self.outbox_growth_per_hour else None

    @property
    def holding(self) -> str:
        """What is held, in words; empty if nothing is."""
        keys, topics = self.held_keys or Count(0), self.held_topics or Count(0)
        held = [each.of(what) for each, what in ((keys, "key"), (topics, "topic")) if each.number]
        return f"{' and '.join(held)} held: onceward held list" if held else ""

    @property
    def needs(self) -> list[str]:
        """What a person is needed for, in words; nothing if all goes by itself."""
        found = [f"{self.state}: {self.reason}"] if self.state in ("halted", "broken") else []
        if self.page_confirmed is False and (self.checkpoint_age or 0) > LONG_UNCONFIRMED:
            found.append(
                f"page {self.page} is planned and not known to be committed: its relay is halted, cannot reach Kafka,"
                " or is gone; the log of the relay says which"
            )
        if self.holding:
            found.append(self.holding)
        if self.incidents and self.incidents.number:
            found.append(f"{self.incidents.of('open incident')}: onceward incidents list")
        if self.state == "free" and self.lag and self.lag.seconds > LONG_WITHOUT_OWNER:
            found.append("rows wait and no relay owns it: onceward relay run")
        if self.slot_users:
            found.append(f"the outbox grows; a slot of it is kept by {', '.join(self.slot_users)}")
        return found
