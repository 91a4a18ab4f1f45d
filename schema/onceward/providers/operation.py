"""One thing that a provider does."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from inspect import iscoroutinefunction, signature
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, get_type_hints

from pydantic import BaseModel

from onceward.errors import ConfigError
from onceward.providers.models import check_names, fault, names_in_json, read, write
from onceward.providers.money import Money
from onceward.providers.repeat import Always, Never, Repeat, SameKey
from onceward.providers.sending import Sending

if TYPE_CHECKING:
    from onceward.providers.provider import Provider

MAX_REQUEST = 262_144
"""Bytes of a request at most, if the operation does not say otherwise."""
_LONGEST_REQUEST = 1_048_576
"""Bytes that the table `call` takes."""

C = TypeVar("C")
"""The provider's client."""
Q = TypeVar("Q", bound=BaseModel)
"""A request."""
R = TypeVar("R", bound=BaseModel)
"""A result."""

U = TypeVar("U", bound=BaseModel)
"""A request that undoes."""


@dataclass(frozen=True, slots=True)
class Lookup(Generic[C, Q, R]):
    """How to ask a provider what became of a call."""

    ask: Callable[[C, Q, Sending], R | None]
    authoritative: bool
    """What it does not find, once the settle delay is over, did not take effect."""
    settle: timedelta
    """How long it may be behind."""


@dataclass(frozen=True, slots=True)
class Undo(Generic[C, Q, R]):
    """How to reverse what a call did."""

    operation: "Operation[C, Any, Any]"
    request: Callable[[Q, R], BaseModel]
    """What it is asked for, by the request and the result of the call."""


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
        expect_within: timedelta | None,
        max_request: int,
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
        self.expect_within = expect_within
        self.max_request = max_request
        self.value = value
        self.ref = ref
        self.request_type, self.result_type = _types(run, name)
        self.show = names_in_json(self.request_type, show, str(self))
        self.found: Lookup[C, Q, R] | None = None
        self.differs: Callable[[Q, R], str | None] | None = None
        self.undo: Undo[C, Q, R] | None = None
        if not isinstance(repeat, Never | SameKey | Always):
            raise ConfigError("repeat", f"of {self} must be Never(), SameKey(lifetime) or Always(), is {repeat!r}")
        if timeout <= timedelta(0):
            raise ConfigError("timeout", f"of {self} must be positive")
        if expect_within is not None and expect_within <= timedelta(0):
            raise ConfigError("expect_within", f"of {self} must be positive")
        if not 1 <= max_request <= _LONGEST_REQUEST:
            raise ConfigError("max_request", f"of {self} must be 1 to {_LONGEST_REQUEST} bytes, is {max_request}")

    def __str__(self) -> str:
        return f"{self.provider.name}/{self.name}"

    def lookup(
        self, *, authoritative: bool, settle: timedelta = timedelta(0)
    ) -> Callable[[Callable[[C, Q, Sending], R | None]], Callable[[C, Q, Sending], R | None]]:
        """Declare how to ask what became of a call; the function returns None for what it does not find.

        What the provider has found and refused, the function raises as Rejected, without an http_status; what it has
        accepted and not yet carried out, as Accepted.

        Args:
            authoritative: what is not found has not taken effect, once `settle` is over. Else only finding proves.
            settle: how long after the end of an attempt the lookup may not know of it yet.

        Raises:
            ConfigError: there is a lookup already, an authoritative one says nothing of its delay, or the function is
                not written as (client, request, call).
        """
        if self.found is not None:
            raise ConfigError("lookup", f"of {self} is declared twice")
        if settle < timedelta(0) or (authoritative and settle == timedelta(0)):
            raise ConfigError(
                "settle", f"of {self}: an authoritative lookup needs the delay until it knows of an effect"
            )

        def declare(ask: Callable[[C, Q, Sending], R | None]) -> Callable[[C, Q, Sending], R | None]:
            _check_parameters(ask, 3, "lookup", f"of {self} must be written as (client, request, call) -> Model | None")
            self.found = Lookup(ask, authoritative, settle)
            return ask

        return declare

    def check(self, compare: Callable[[Q, R], str | None]) -> Callable[[Q, R], str | None]:
        """Declare how to tell that the provider did something else than asked; the function returns what differs.

        Raises:
            ConfigError: there is a check already, or the function is not written as (request, result).
        """
        if self.differs is not None:
            raise ConfigError("check", f"of {self} is declared twice")
        _check_parameters(compare, 2, "check", f"of {self} must be written as (request, result) -> str | None")
        self.differs = compare
        return compare

    def undone_by(self, operation: "Operation[C, U, Any]", request: Callable[[Q, R], U]) -> None:
        """Declare what reverses a call of this operation: a call of `operation`, of the same provider.

        Args:
            operation: what reverses it.
            request: computes what that is asked for, from the request and the result. It runs when the result is
                recorded, so that everybody can see beforehand what would be sent.

        Raises:
            ConfigError: an undo is declared already, it is this operation itself or one of another provider, or the
                function is not written as (request, result).
        """
        if self.undo is not None:
            raise ConfigError("undone_by", f"of {self} is declared twice")
        if operation.provider is not self.provider:
            raise ConfigError("undone_by", f"of {self} must be an operation of the same provider, is {operation}")
        if operation is self:
            raise ConfigError("undone_by", f"of {self} is itself; what undoes is another operation")
        _check_parameters(request, 2, "undone_by", f"of {self} must be written as (request, result) -> Model")
        self.undo = Undo(operation, request)

    def body(self, request: Q) -> bytes:
        """Write a request as it is stored and sent.

        Raises:
            ConfigError: it is none of this operation, it is too long, or what is written could not be read again.
        """
        if not isinstance(request, self.request_type):
            raise ConfigError(
                "request", f"of {self} must be a {self.request_type.__name__}, is {type(request).__name__}"
            )
        try:
            body = write(request)
            read(self.request_type, body)
        except ValueError as error:
            raise ConfigError("request", f"of {self} cannot be written and read again: {fault(error)}") from None
        if len(body) > self.max_request:
            raise ConfigError(
                "request", f"of {self} has {len(body)} bytes, more than its max_request of {self.max_request}"
            )
        return body

    def request(self, body: bytes) -> Q:
        """Read a stored request with today's model."""
        return cast("Q", read(self.request_type, body))

    def result(self, stored: str | bytes) -> R:
        """Read a stored result, as JSON, with today's model."""
        return cast("R", read(self.result_type, stored))


def _types(run: Callable[..., Any], name: str) -> tuple[type[BaseModel], type[BaseModel]]:
    _check_parameters(
        run, 3, "operation", f"{name} must be written as (client, request: Model, call: Sending) -> Model"
    )
    hints = get_type_hints(run)
    return (
        _model(hints.get(list(signature(run).parameters)[1]), "request", name),
        _model(hints.get("return"), "result", name),
    )


def _model(hint: object, role: str, name: str) -> type[BaseModel]:
    if not (isinstance(hint, type) and issubclass(hint, BaseModel)):
        raise ConfigError(
            "operation",
            f"{name} must be written as (client, request: Model, call: Sending) -> Model; its {role} is no model",
        )
    check_names(hint, f"{role} of {name}")
    return hint


def _check_parameters(function: Callable[..., Any], count: int, field: str, problem: str) -> None:
    if iscoroutinefunction(function):
        raise ConfigError(field, f"{problem}, but is asynchronous; operations are plain functions")
    if len(signature(function).parameters) != count:
        raise ConfigError(field, problem)
