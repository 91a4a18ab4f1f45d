"""Holds what a team declares of a provider against the provider itself: its sandbox, with real requests.

```python
def test_the_bank_is_as_declared() -> None:
    assert contradictions(examine(hold, lambda: HoldRequest(amount=Decimal("0.01")))) == []
```
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal, TypeVar
from uuid import uuid4

from pydantic import BaseModel

from onceward.errors import ConfigError, OperationError, Rejected
from onceward.providers import Always, Operation, SameKey, Sending

Q = TypeVar("Q", bound=BaseModel)

Verdict = Literal["as declared", "contradicted", "not declared", "not seen"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One claim of a declaration, and what the provider did."""

    claim: str
    verdict: Verdict
    """as declared; contradicted; not declared: the provider offers more; not seen: it could not be tried."""
    seen: str


def examine(
    operation: Operation[Any, Q, Any], request: Callable[[], Q], *, patience: timedelta | None = None
) -> Sequence[Finding]:
    """Send real requests to the provider, and say how it keeps what is declared of it.

    Up to three requests of `operation` take effect: run this against a sandbox.

    Args:
        operation: with its declaration and its lookup.
        request: makes a request that the provider accepts, a new one each time.
        patience: how long a lookup may take to know of an effect; the declared settle delay by default.

    Raises:
        ConfigError: the provider does not accept the request at all, so that nothing can be said.
    """
    return list(_Examination(operation, patience).findings(request))


def contradictions(findings: Sequence[Finding]) -> Sequence[str]:
    """Return in words where the provider does not keep what is declared."""
    return [f"{each.claim}: {each.seen}" for each in findings if each.verdict == "contradicted"]


class _Examination:
    def __init__(self, operation: Operation[Any, Any, Any], patience: timedelta | None) -> None:
        self._operation = operation
        self._declares_key = isinstance(operation.repeat, SameKey | Always)
        settle = operation.found.settle if operation.found else timedelta(0)
        self._patience = (patience if patience is not None else settle).total_seconds()

    def findings(self, request: Callable[[], Any]) -> Iterator[Finding]:
        """Try one claim after the other."""
        body = self._operation.body(request())
        first = self._sending(body)
        if (answer := self._try(first)).error is not None:
            raise ConfigError("request", f"{self._operation} does not take it: {answer.text}")
        yield self._replays(first, answer)
        yield self._refuses_another_body(first, self._operation.body(request()))
        if self._operation.found is not None:
            yield self._finds(first, answer)
            yield self._finds_nothing_else(body)

    def _replays(self, first: Sending, answer: "_Answer") -> Finding:
        claim = "a key is remembered: the same request again does nothing more"
        again = self._try(self._sending(first.body, first.key))
        same = again.error is None and again.result == answer.result
        seen = "the same answer again" if same else f"first {answer.text}, then {again.text}"
        if same:
            return Finding(claim, "as declared" if self._declares_key else "not declared", seen)
        return Finding(claim, "contradicted" if self._declares_key else "as declared", seen)

    def _refuses_another_body(self, first: Sending, other: bytes) -> Finding:
        claim = "a key stands for one request: another under it is refused"
        if other == first.body:
            return Finding(claim, "not seen", "the function makes the same request each time")
        answer = self._try(self._sending(other, first.key))
        return Finding(claim, "as declared" if answer.error is not None else "not declared", answer.text)

    def _finds(self, first: Sending, answer: "_Answer") -> Finding:
        claim = f"the lookup knows of an effect within {self._patience:g} s"
        began = time.monotonic()
        while True:
            found = self._ask(first)
            took = time.monotonic() - began
            if found.error is None and found.result is not None:
                if found.result != answer.result:
                    return Finding(claim, "contradicted", f"it answered {found.text}, the call {answer.text}")
                return Finding(claim, "as declared", f"after {took:.1f} s")
            if took >= self._patience:
                return Finding(claim, "contradicted", f"after {took:.1f} s it answered {found.text}")
            time.sleep(0.2)

    def _finds_nothing_else(self, body: bytes) -> Finding:
        claim = "the lookup finds nothing under a key that was never sent"
        found = self._ask(self._sending(body))
        nothing = found.error is None and found.result is None
        return Finding(claim, "as declared" if nothing else "contradicted", found.text)

    def _sending(self, body: bytes, key: str | None = None) -> Sending:
        timeout = self._operation.timeout.total_seconds()
        return Sending(key or f"conformance-{uuid4()}", body, time.monotonic() + timeout, timeout, fresh=True)

    def _try(self, sending: Sending) -> "_Answer":
        operation = self._operation
        return _Answer.of(lambda: operation.run(operation.provider.client, operation.request(sending.body), sending))

    def _ask(self, sending: Sending) -> "_Answer":
        operation, found = self._operation, self._operation.found
        assert found is not None
        fresh = replace(sending, answers=[])
        request = operation.request(sending.body)
        return _Answer.of(lambda: found.ask(operation.provider.client, request, fresh))


@dataclass(frozen=True, slots=True)
class _Answer:
    result: BaseModel | None
    error: OperationError | None

    @classmethod
    def of(cls, ask: Callable[[], BaseModel | None]) -> "_Answer":
        try:
            return cls(ask(), None)
        except OperationError as error:
            return cls(None, error)

    @property
    def text(self) -> str:
        if self.error is not None:
            kind = "a refusal" if isinstance(self.error, Rejected) else type(self.error).__name__
            return f"{kind} ({self.error})"
        return "nothing" if self.result is None else f"a {type(self.result).__name__}"
