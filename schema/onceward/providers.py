"""Providers: outside APIs, and what each of their operations promises.

Everything that the ledger may do with a call follows from its declaration here. A declaration that promises more than
the provider keeps leads to a second effect; when in doubt, promise less.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from inspect import iscoroutinefunction, signature
from threading import Lock
from time import monotonic
from typing import Any, Generic, Literal, TypeVar, cast, get_type_hints

from pydantic import BaseModel, TypeAdapter

from onceward.errors import ConfigError, NotSent

C = TypeVar("C")
"""The provider's client."""
Q = TypeVar("Q", bound=BaseModel)
"""A request."""
R = TypeVar("R", bound=BaseModel)
"""A result."""

Replays = Literal["successes", "everything"]


@dataclass(frozen=True, slots=True)
class Never:
    """The provider knows no idempotency keys: a request is sent again only if it is proven to have had no effect."""


@dataclass(frozen=True, slots=True)
class SameKey:
    """The provider remembers an idempotency key for `lifetime`: within it the same request may be sent again.

    `replays="everything"` declares that it also replays errors, so that a second resend teaches nothing new.

    Raises:
        ConfigError: the lifetime is not positive.
    """

    lifetime: timedelta
    replays: Replays = "successes"

    def __post_init__(self) -> None:
        if self.lifetime <= timedelta(0):
            raise ConfigError("lifetime", "of an idempotency key must be positive")


@dataclass(frozen=True, slots=True)
class Always:
    """A request may be sent any number of times: it does no more than it did the first time."""


Repeat = Never | SameKey | Always


@dataclass(frozen=True, slots=True)
class Money:
    """An amount that a call moves.

    Raises:
        ConfigError: the amount is no finite, non-negative number of at most 20 digits before and 10 after the point,
            or the currency is not three capital letters (ISO 4217).
    """

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not self.amount.is_finite() or self.amount < 0:
            raise ConfigError("amount", "must be a finite, non-negative number")
        exponent = self.amount.as_tuple().exponent
        if self.amount >= 10**20 or not isinstance(exponent, int) or exponent < -10:
            raise ConfigError("amount", "has more than 20 digits before the point or 10 after it")
        if not (
            len(self.currency) == 3 and self.currency.isascii() and self.currency.isalpha() and self.currency.isupper()
        ):
            raise ConfigError("currency", f"{self.currency[:20]!a} is not three capital letters")


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
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    """HTTP status and body of what came back, for the attempt's record; `onceward.http.Client` adds to it."""

    def check(self) -> None:
        """Call this just before the first byte leaves.

        Raises:
            NotSent: it is too late; another worker may have taken the call over.
        """
        if monotonic() > self.send_by:
            raise NotSent("the time to send had passed", code="too_late")


@dataclass(frozen=True, slots=True)
class Lookup(Generic[C, Q, R]):
    """How to ask a provider what became of a call."""

    ask: Callable[[C, Q, Sending], R | None]
    authoritative: bool
    """What it does not find, once the settle delay is over, did not take effect."""
    settle: timedelta
    """How long it may be behind."""


class Operation(Generic[C, Q, R]):
    """One thing that a provider does. One call of it is one effect."""

    def __init__(
        self,
        provider: "Provider[C]",
        run: Callable[[C, Q, Sending], R],
        *,
        name: str,
        repeat: Repeat,
        timeout: timedelta,
        rejects_final: bool,
        value: Callable[[Any], Money] | None,
        ref: Callable[[Any], str] | None,
        show: Collection[str],
    ) -> None:
        self.provider = provider
        self.run = run
        self.name = name
        self.repeat = repeat
        self.timeout = timeout
        self.rejects_final = rejects_final
        self.value = value
        self.ref = ref
        self.show = list(show)
        self.request_type, self.result_type = _types(run, name)
        self.found: Lookup[C, Q, R] | None = None
        self.differs: Callable[[Q, R], str | None] | None = None
        if timeout <= timedelta(0):
            raise ConfigError("timeout", f"of {self} must be positive")
        if unknown := set(show) - set(self.request_type.model_fields):
            raise ConfigError("show", f"of {self} names {', '.join(sorted(unknown))}, which the request does not have")

    def __str__(self) -> str:
        return f"{self.provider.name}/{self.name}"

    def lookup(
        self, *, authoritative: bool, settle: timedelta = timedelta(0)
    ) -> Callable[[Callable[[C, Q, Sending], R | None]], Callable[[C, Q, Sending], R | None]]:
        """Declare how to ask what became of a call; the function returns None for what it does not find.

        Args:
            authoritative: what is not found has not taken effect, once `settle` is over. Else only finding proves.
            settle: how long after the end of an attempt the lookup may not know of it yet.

        Raises:
            ConfigError: there is a lookup already, or an authoritative one says nothing of its delay.
        """
        if self.found is not None:
            raise ConfigError("lookup", f"of {self} is declared twice")
        if settle < timedelta(0) or (authoritative and settle == timedelta(0)):
            raise ConfigError(
                "settle", f"of {self}: an authoritative lookup needs the delay until it knows of an effect"
            )

        def declare(ask: Callable[[C, Q, Sending], R | None]) -> Callable[[C, Q, Sending], R | None]:
            self.found = Lookup(ask, authoritative, settle)
            return ask

        return declare

    def check(self, compare: Callable[[Q, R], str | None]) -> Callable[[Q, R], str | None]:
        """Declare how to tell that the provider did something else than asked; the function returns what differs."""
        self.differs = compare
        return compare

    def request(self, body: bytes) -> Q:
        """Read a stored request with today's model."""
        return cast("Q", self.request_type.model_validate_json(body))

    def result(self, stored: object) -> R:
        """Read a stored result with today's model."""
        return cast("R", self.result_type.model_validate(stored))


class Provider(Generic[C]):
    """An outside API.

    Args:
        name: identity in the ledger; it may never change.
        client: makes the client when it is first needed; it is then shared by all threads.
        scope: account, region and credential under which the provider knows an idempotency key. A key that is sent in
            another scope is another key.
    """

    def __init__(self, name: str, client: Callable[[], C], *, scope: Callable[[], str] = lambda: "default") -> None:
        if not 1 <= len(name) <= 100 or not name.isprintable() or "/" in name:
            raise ConfigError(
                "name", f"of a provider must be 1 to 100 printable characters without a slash, is {name[:80]!a}"
            )
        self.name = name
        self.scope = scope
        self.operations: dict[str, Operation[C, Any, Any]] = {}
        self._make_client = client
        self._client: C | None = None
        self._lock = Lock()

    def operation(
        self,
        *,
        repeat: Repeat,
        timeout: timedelta = timedelta(seconds=10),
        rejects_final: bool = False,
        value: Callable[[Any], Money] | None = None,
        ref: Callable[[Any], str] | None = None,
        show: Collection[str] = (),
        name: str | None = None,
    ) -> Callable[[Callable[[C, Q, Sending], R]], Operation[C, Q, R]]:
        """Declare the decorated function `(client, request, call) -> result` as an operation.

        Args:
            repeat: whether a request may be sent again: Never(), SameKey(lifetime) or Always().
            timeout: total deadline of one attempt.
            rejects_final: a rejection proves that no earlier attempt took effect either.
            value: the money that a request moves.
            ref: the provider's reference, from the result.
            show: fields of the request that screens may show; the others are masked.
            name: identity in the ledger; the function's name by default.

        Raises:
            ConfigError: the name is taken, or the declaration contradicts itself.
        """

        def declare(run: Callable[[C, Q, Sending], R]) -> Operation[C, Q, R]:
            operation = Operation(
                self,
                run,
                name=name or run.__name__,
                repeat=repeat,
                timeout=timeout,
                rejects_final=rejects_final,
                value=value,
                ref=ref,
                show=show,
            )
            if operation.name in self.operations:
                raise ConfigError("operation", f"{operation} is declared twice")
            self.operations[operation.name] = operation
            return operation

        return declare

    @property
    def client(self) -> C:
        """The client, made when it is first needed."""
        with self._lock:
            if self._client is None:
                self._client = self._make_client()
            return self._client

    def close(self) -> None:
        """Close the client, if there is one and it can be closed."""
        with self._lock:
            close = getattr(self._client, "close", None)
            self._client = None
        if close is not None:
            close()


def json_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of `model`."""
    return TypeAdapter(model).json_schema()


def _types(run: Callable[..., Any], name: str) -> tuple[type[BaseModel], type[BaseModel]]:
    if iscoroutinefunction(run):
        raise ConfigError("operation", f"{name} is asynchronous; operations are plain functions")
    parameters = list(signature(run).parameters)
    hints = get_type_hints(run)
    request, result = hints.get(parameters[1]) if len(parameters) == 3 else None, hints.get("return")
    for role, model in (("request", request), ("result", result)):
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise ConfigError(
                "operation",
                f"{name} must be written as (client, request: Model, call: Sending) -> Model; its {role} is no model",
            )
    assert request is not None
    assert result is not None
    return request, result
