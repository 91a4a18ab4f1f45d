"""The errors that onceward raises.

```
OncewardError
├── PublishError (ValueError)       a message that may not be published; names the field
├── ConfigError (ValueError)        a declaration or a configuration that cannot work; names the field
├── SchemaError                     the database's schema is missing, too old or too new
├── WorkerFailed                    a thread of a worker died of an error that no retry cures
├── UnreadableMessage (ValueError)  a Kafka record that is no CloudEvent of ours to handle; names the header or field
├── StartError (ValueError)         a flow that may not be started; names what is wrong: event or key
├── ReportError (ValueError)        a provider's report that may not be kept; names the field
├── TransactionLent                 a handler tried to end its transaction, or went on after that had failed
├── OperationError                  raised by the code of an operation: what its provider's answer proves
│   ├── Rejected                    refused by the provider's rules: no effect
│   ├── NotReached                  the provider was never reached: no effect
│   ├── NotSent                     nothing was sent, by our own decision: no effect
│   ├── Throttled                   not now: no effect
│   ├── InProgress                  an attempt under the same key is still running there
│   ├── Accepted                    taken on by the provider, which tells the outcome later
│   └── Unknown                     anything else: it may have taken effect
├── CallFailed                      in a flow: the call is proven to have had no effect; undoes the flow if not caught
├── UndoFlow                        raised by a flow's code: undo what its calls did
├── DuplicateStep                   in a flow: two steps of one name
├── BadStep                         in a flow: a step that cannot be recorded
├── FlowDiverged                    in a flow: the code asks for something else than what is recorded
├── InDoubt                         outside a flow: the outcome of the call is not known yet
├── KeyConflict                     the key is recorded with another request; nothing was sent
└── Purged                          the call took effect long ago; what came of it was removed

BaseException
├── Suspended                       ends a run of a flow that has to wait; not for catching
└── LeaseLost                       ends a run whose claim has passed to another worker; not for catching
```
"""

from datetime import datetime, timedelta
from uuid import UUID


class OncewardError(Exception):
    """The base of all errors of this package."""


class PublishError(OncewardError, ValueError):
    """A message that may not be published."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        """The field at fault: topic, key, type, payload, headers or message_id."""


class ConfigError(OncewardError, ValueError):
    """A declaration or a configuration that cannot work."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        """The setting at fault."""


class SchemaError(OncewardError):
    """The database's onceward schema is missing, too old or too new."""


class WorkerFailed(OncewardError):
    """A thread of a worker died of an error that no retry cures. The process has to end, and to be started again."""


class UnreadableMessage(OncewardError, ValueError):
    """A Kafka record that cannot be read as a CloudEvent."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        """The header or part of the record at fault."""


class StartError(OncewardError, ValueError):
    """A flow that may not be started, or a message that names none that could be waiting for it."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        """What is wrong: event or key."""


class ReportError(OncewardError, ValueError):
    """A provider's report that may not be kept."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        """The field at fault: key, reference or body."""


class TransactionLent(OncewardError):
    """A function tried to end a transaction that is not its own, or went on in it after a database error."""


class OperationError(OncewardError):
    """What an answer of a provider, or the lack of one, proves about an attempt."""

    def __init__(
        self, text: str, *, code: str | None = None, http_status: int | None = None, answer: bytes | None = None
    ) -> None:
        super().__init__(text)
        self.code = code
        """The provider's code, or a short word for the kind of fault."""
        self.http_status = http_status
        self.answer = answer
        """The answer's bytes, if there was one."""


class Rejected(OperationError):
    """The provider refused: this attempt has no effect."""


class NotReached(OperationError):
    """The provider was not reached: no byte of the request arrived, so this attempt has no effect."""


class NotSent(OperationError):
    """Nothing was sent, by our own decision: this attempt has no effect."""


class Throttled(OperationError):
    """The provider wants it later: this attempt has no effect."""

    def __init__(
        self,
        text: str,
        *,
        retry_after: timedelta | None = None,
        code: str | None = None,
        http_status: int | None = None,
        answer: bytes | None = None,
    ) -> None:
        super().__init__(text, code=code, http_status=http_status, answer=answer)
        self.retry_after = retry_after
        """How long the provider asks to wait."""


class InProgress(OperationError):
    """An earlier attempt under the same key is still running at the provider."""


class Accepted(OperationError):
    """The provider has taken it on and tells the outcome later: by a webhook, or when it is asked."""

    def __init__(
        self,
        text: str,
        *,
        reference: str | None = None,
        code: str | None = None,
        http_status: int | None = None,
        answer: bytes | None = None,
    ) -> None:
        super().__init__(text, code=code, http_status=http_status, answer=answer)
        self.reference = reference
        """The provider's reference, by which it can be asked and by which its webhooks name the call."""


class Unknown(OperationError):
    """The attempt may have taken effect."""


class CallFailed(OncewardError):
    """The call is proven to have had no effect: the provider refused it."""

    def __init__(self, call_id: UUID, code: str | None, text: str) -> None:
        super().__init__(f"{text} (call {call_id})")
        self.call_id = call_id
        self.code = code
        """The provider's code."""
        self.text = text


class UndoFlow(OncewardError):
    """Raised by a flow's code: what its calls did is to be undone in reverse order, and the flow is to end there.

    Not to be raised behind the pivot: there a flow only goes forward, and this blocks it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        """Why, for the undo handler and for people."""


class DuplicateStep(OncewardError):
    """Two steps of one run have the same name; give each its own with step=."""


class BadStep(OncewardError):
    """A step that cannot be recorded, because of its name, its function or its result. It has had no effect."""


class FlowDiverged(OncewardError):
    """The flow's code asks for something else than what is recorded under the same step."""


class InDoubt(OncewardError):
    """The outcome of the call is not known yet. It is recorded, and carried on with; nobody else has to repeat it."""

    def __init__(self, call_id: UUID, text: str, *, state: str = "in_doubt") -> None:
        super().__init__(f"{text} (call {call_id})")
        self.call_id = call_id
        self.state = state
        """in_doubt: it may or may not have taken effect; pending: it has not, and will be sent; in_flight: somebody is
        just sending it; accepted: the provider tells the outcome later."""


class KeyConflict(OncewardError):
    """The idempotency key is recorded with another request; nothing was sent."""


class Purged(OncewardError):
    """The call took effect, and its result was removed since for the sake of personal data; nothing was sent."""


class Suspended(BaseException):
    """Ends a run of a flow that has to wait. A BaseException: no `except Exception` may take it for a failure."""

    def __init__(self, why: str = "", until: datetime | None = None) -> None:
        super().__init__(why)
        self.until = until
        """When it has waited long enough; None if only something that happens can let it go on."""


class LeaseLost(BaseException):
    """Ends a run of a flow whose claim has passed to another worker."""
