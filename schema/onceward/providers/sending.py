"""One attempt, as the code of an operation sees it."""

from dataclasses import dataclass, field
from time import monotonic
from urllib.parse import quote

from onceward.errors import NotSent


@dataclass(frozen=True, slots=True)
class Sending:
    """One attempt, as the operation's function sees it. It must send `body`, the stored bytes, under `key`."""

    key: str
    """Idempotency key."""
    body: bytes
    send_by: float
    """No byte may leave after this moment of the monotonic clock, in seconds."""
    timeout: float
    """Seconds that the attempt may take in all."""
    fresh: bool
    """Use a new connection: a stale one could fail after the request has left."""
    reference: str | None = None
    """The provider's reference, if it has given one: lookups may ask by it."""
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    """HTTP status and body of what came back, for the attempt's record; `onceward.http.Client` adds to it."""

    @property
    def key_in_path(self) -> str:
        """`key` as one segment of a URL's path, for lookups: a key may hold a slash or a question mark."""
        return quote(self.key, safe="")

    @property
    def reference_in_path(self) -> str:
        """`reference` as one segment of a URL's path; empty if there is none."""
        return quote(self.reference or "", safe="")

    def check(self) -> None:
        """Call this just before the first byte leaves.

        Raises:
            NotSent: it is too late; another worker may have taken the call over.
        """
        if monotonic() > self.send_by:
            raise NotSent("the time to send had passed", code="too_late")
