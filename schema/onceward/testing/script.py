"""A provider that does what a test tells it, with books that no crash reaches."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel

from onceward.providers import Always, Operation, Provider, SameKey, Sending
from onceward.testing.crashes import Crash


@dataclass(frozen=True, slots=True)
class Lost:
    """An exchange whose answer never comes."""

    took_effect: bool


def lost_reply() -> Lost:
    """Return the answer that is lost after the provider has acted."""
    return Lost(took_effect=True)


def lost_request() -> Lost:
    """Return the request that is lost before the provider gets it."""
    return Lost(took_effect=False)


Answer = BaseModel | Exception | Lost
"""A result; an error, which has no effect (`Rejected("no funds")`); or a lost exchange."""


@dataclass
class Script:
    """What one operation's provider does with requests, and what it has done."""

    operation: Operation[Any, Any, Any]
    answers: Sequence[Answer] = ()
    """For the requests in their order; the last goes on for ever. A key that had its effect is replayed afterwards."""
    effects: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """How often each key has had an effect."""
    requests: int = 0
    lookups: int = 0

    def begin_anew(self) -> None:
        """Forget everything that was done."""
        self.effects.clear()
        self.requests = self.lookups = 0

    def take(self, sending: Sending) -> BaseModel:
        """Do with a request what comes next."""
        sending.check()
        number, self.requests = self.requests, self.requests + 1
        answer = self.answers[min(number, len(self.answers) - 1)] if self.answers else self._unscripted()
        if number >= len(self.answers) and self._remembers(sending.key):
            return self._result()
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, BaseModel) or answer.took_effect:
            self._act(sending.key)
        if isinstance(answer, Lost):
            raise ConnectionResetError
        return answer

    def ask(self, sending: Sending) -> BaseModel | None:
        """Answer a lookup truthfully."""
        self.lookups += 1
        return self._result() if self.effects.get(sending.key) else None

    def _act(self, key: str) -> None:
        if not self._remembers(key):
            self.effects[key] += 1

    def _remembers(self, key: str) -> bool:
        return isinstance(self.operation.repeat, SameKey | Always) and self.effects.get(key, 0) > 0

    def _result(self) -> BaseModel:
        for answer in self.answers:
            if isinstance(answer, BaseModel):
                return answer
        raise AssertionError(f"bench.answer({self.operation}, ...) names no result for what took effect")

    def _unscripted(self) -> Answer:
        raise AssertionError(f"{self.operation} was called, and bench.answer names no answer of it")


class Scripts:
    """The scripts of all operations of some providers, which stand in for the providers' own code."""

    def __init__(self, providers: Sequence[Provider[Any]], point: Callable[[str], None]) -> None:
        operations = [operation for provider in providers for operation in provider.operations.values()]
        self._by_operation = {operation: Script(operation) for operation in operations}
        self._providers = providers
        self._point = point
        self._mistake: AssertionError | None = None

    def __getitem__(self, operation: Operation[Any, Any, Any]) -> Script:
        if operation not in self._by_operation:
            raise AssertionError(f"{operation} is of no provider of this participant")
        return self._by_operation[operation]

    def __iter__(self) -> Iterator[Script]:
        return iter(self._by_operation.values())

    def refuse_mistakes(self) -> None:
        """Raise what the test itself left out."""
        if self._mistake is not None:
            mistake, self._mistake = self._mistake, None
            raise mistake

    @contextmanager
    def standing_in(self) -> Iterator[None]:
        """Let the scripts stand in for the operations' functions, and nothing for the clients."""
        with ExitStack() as stack:
            for provider in self._providers:
                stack.enter_context(provider.standing_in(None))
            for script in self:
                stack.enter_context(self._in_place_of(script.operation, script))
            yield

    @contextmanager
    def _in_place_of(self, operation: Operation[Any, Any, Any], script: Script) -> Iterator[None]:
        run, found = operation.run, operation.found

        def take(_client: Any, _request: Any, call: Sending) -> Any:
            self._point(f"before {operation} acts")
            try:
                return script.take(call)
            except AssertionError as mistake:
                self._mistake = mistake
                raise Crash from mistake  # the flow must not take it for an answer
            finally:
                self._point(f"after {operation} has acted")

        operation.run = take
        if found is not None:
            operation.found = replace(found, ask=lambda _client, _request, call: script.ask(call))
        try:
            yield
        finally:
            operation.run, operation.found = run, found
