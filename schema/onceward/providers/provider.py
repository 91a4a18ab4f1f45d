"""An outside API."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Lock
from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel

from onceward.errors import ConfigError
from onceward.providers import limits, own_retries
from onceward.providers.money import Money
from onceward.providers.operation import MAX_REQUEST, Operation
from onceward.providers.repeat import Repeat
from onceward.providers.sending import Sending

C = TypeVar("C")
Q = TypeVar("Q", bound=BaseModel)
R = TypeVar("R", bound=BaseModel)


class Provider(Generic[C]):
    """An outside API.

    Args:
        name: identity in the ledger; it may never change.
        client: makes the client when it is first needed; it is then shared by all threads.
        scope: account, region and credential under which the provider knows an idempotency key. A key that is sent in
            another scope is another key.
        in_flight: how many attempts, lookups too, each worker process makes at a time at most, 1 to 1000.
        per_second: how many it begins in a second at most; below one, one in so many seconds. None: any number. What is
            over a limit is recorded and waits; it keeps no other provider's calls waiting.

    Raises:
        ConfigError: the name is none that can be shown, or a limit is none.
    """

    def __init__(
        self,
        name: str,
        client: Callable[[], C],
        *,
        scope: Callable[[], str] = lambda: "default",
        in_flight: int = 8,
        per_second: float | None = None,
    ) -> None:
        _check_name("a provider", name)
        limits.check(in_flight, per_second)
        if "/" in name:
            raise ConfigError("name", f"of a provider has no slash, but {name!a} has")
        self.name = name
        self.scope = scope
        self.in_flight = in_flight
        self.per_second = per_second
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
        expect_within: timedelta | None = None,
        max_request: int = MAX_REQUEST,
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
            expect_within: how long the provider may take to tell the outcome of what it has accepted (202, or Accepted
                raised); then people are told. None: it answers at once, so that an acceptance proves nothing.
            max_request: bytes of a request, as JSON, at most.
            value: the money that a request moves.
            ref: the provider's reference, from the result.
            show: fields that screens may show; the others are masked.
            name: identity in the ledger; the function's name by default.

        Raises:
            ConfigError: the name is taken, or the declaration contradicts itself.
        """

        def declare(run: Callable[[C, Q, Sending], R]) -> Operation[C, Q, R]:
            operation = Operation(
                self,
                run,
                name=run.__name__ if name is None else name,
                repeat=repeat,
                timeout=timeout,
                rejects_final=rejects_final,
                expect_within=expect_within,
                max_request=max_request,
                value=value,
                ref=ref,
                show=show,
            )
            _check_name("an operation", operation.name)
            if operation.name in self.operations:
                raise ConfigError("operation", f"{operation} is declared twice")
            self.operations[operation.name] = operation
            return operation

        return declare

    def present_scope(self) -> str:
        """Return the scope in which a request would be sent now.

        Raises:
            ConfigError: it is none that can be compared and stored.
        """
        scope: object = self.scope()
        if not isinstance(scope, str) or not 1 <= len(scope) <= 500 or not scope.isprintable():
            raise ConfigError("scope", f"of {self.name} must be 1 to 500 printable characters, is {str(scope)[:80]!a}")
        return scope

    @property
    def client(self) -> C:
        """The client, made when it is first needed.

        Raises:
            ConfigError: it is one that would send again by itself.
        """
        with self._lock:
            if self._client is None:
                client = self._make_client()
                own_retries.refuse(self.name, client)
                self._client = client
            return self._client

    @contextmanager
    def standing_in(self, client: C | None) -> Iterator[None]:
        """Let `client` stand in for the provider's own, for tests whose operations need none."""
        before, self._make_client = self._make_client, lambda: cast(C, client)
        self.close()
        try:
            yield
        finally:
            self._make_client = before
            self.close()

    def close(self) -> None:
        """Close the client, if there is one and it can be closed."""
        with self._lock:
            close = getattr(self._client, "close", None)
            self._client = None
        if close is not None:
            close()


def _check_name(owner: str, name: str) -> None:
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise ConfigError("name", f"of {owner} must be 1 to 100 printable characters, is {name[:80]!a}")
