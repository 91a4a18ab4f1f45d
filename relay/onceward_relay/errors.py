"""The errors of the relay.

```
OncewardError
├── InvalidConfig        the configuration cannot work; carries every problem with its field and line
├── SourceTrouble        a source cannot be relayed now; carries a kind for metrics and the reason
│   ├── StandBy          another relay owns it, or is to own it
│   └── SessionLost      our session stopped answering: another relay may own the source by now
├── KafkaTrouble         Kafka does not take what it must take; carries a kind and the reason
└── Stopping             this process is to end and does not wait any longer
```
"""

from collections.abc import Sequence
from dataclasses import dataclass

from onceward.errors import OncewardError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a configuration."""

    field: str
    """The setting, as `source.payer.database`."""
    where: str
    """The file and line, or the environment variable, that it comes from."""
    text: str
    """What is wrong, and what to do. Never the value: it may be a secret."""

    def __str__(self) -> str:
        return f"{self.where}: {self.field}: {self.text}"


class InvalidConfig(OncewardError):
    """A configuration that cannot work, with everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class SourceTrouble(OncewardError):
    """A source that cannot be relayed now."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        """unreachable, secret, refused, not_primary, pooled, schema, rights, halted, stand_by, lost or database."""


class StandBy(SourceTrouble):
    """Another relay owns the source, or is to own it."""

    def __init__(self, reason: str, again: float) -> None:
        super().__init__("stand_by", reason)
        self.again = again
        """Seconds after which to try again."""


class SessionLost(SourceTrouble):
    """The session stopped answering, so that the lease may have passed to another relay."""

    def __init__(self, reason: str) -> None:
        super().__init__("lost", reason)


class KafkaTrouble(OncewardError):
    """Kafka does not take what it must take."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        """One word: stalled, refused, failed."""


class Stopping(OncewardError):
    """The process is to end and does not wait any longer."""
