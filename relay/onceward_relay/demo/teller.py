"""What the fake bank does with one request: its duty, and its manners."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Event, Lock

from onceward_relay.demo.books import Books, Movement, Refused
from onceward_relay.demo.manners import Manner, Manners

_FIELDS = ("reference", "account", "amount", "currency")
_AMOUNT = re.compile(r"(?=.*[1-9])[0-9]{1,10}\.[0-9]{2}")
_CURRENCY = re.compile("[A-Z]{3}")
FEE = 50
"""Cents that are kept of an amount where the bank keeps a fee."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an operation does and offers."""

    sign: int
    """-1: takes the amount from the account; +1: gives it; 0: changes nothing on the account."""
    keyed: bool = False
    """Takes an idempotency key, and answers a known one again without a second effect."""
    lookup: bool = False


OPERATIONS: Mapping[str, Terms] = {
    "debits": Terms(-1, keyed=True),
    "holds": Terms(-1, keyed=True),
    "captures": Terms(0, keyed=True),
    "releases": Terms(+1, keyed=True),
    "refunds": Terms(+1, keyed=True),
    "reservations": Terms(0, lookup=True),
    "cancellations": Terms(0, lookup=True),
    "credits": Terms(+1, lookup=True),
    "gateway-credits": Terms(+1),
}


@dataclass(frozen=True, slots=True)
class Order:
    """The body of a request."""

    reference: str
    account: str
    cents: int
    currency: str

    @classmethod
    def parse(cls, body: bytes) -> "Order":
        """Read a request.

        Raises:
            ValueError: it is malformed.
        """
        try:
            fields: dict[str, str] = json.loads(body)
            reference, account, amount, currency = (_text(fields[name]) for name in _FIELDS)
        except (KeyError, TypeError) as error:
            raise ValueError("a field is missing or is no text") from error
        if not _AMOUNT.fullmatch(amount) or not _CURRENCY.fullmatch(currency):
            raise ValueError("no amount in a currency")
        return cls(reference, account, int(amount.replace(".", "")), currency)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: object
    headers: Mapping[str, str] = field(default_factory=dict)
    spoilt: Manner | None = None
    """How its body is kept from arriving as it should."""

    @classmethod
    def problem(cls, status: int, code: str) -> "Answer":
        """Return an answer that says what is wrong."""
        return cls(status, {"code": code})


class Cut(Exception):
    """The connection is to be cut without an answer."""


class Teller:
    """Does what it is asked, with the manners that it is given. `go_down(seconds)` makes it refuse connections."""

    def __init__(self, books: Books, manners: Manners, go_down: Callable[[float], None]) -> None:
        self._books = books
        self._manners = manners
        self._go_down = go_down
        self._released = Event()
        self._held = 0
        self._busy: set[tuple[str | None, ...]] = set()
        self._lock = Lock()

    def post(self, operation: str, key: str | None, body: bytes) -> Answer:
        """Do what is asked.

        Raises:
            Cut: there is to be no answer.
        """
        terms = OPERATIONS[operation]
        try:
            order = Order.parse(body)
        except ValueError:
            return Answer.problem(400, "malformed")
        if terms.keyed and key is None:
            return Answer.problem(400, "key_missing")
        if not terms.keyed:
            return self._serve(operation, order, key, body)
        with self._alone(operation, key) as alone:
            return self._serve(operation, order, key, body) if alone else Answer.problem(409, "in_progress")

    def find(self, operation: str, *, reference: str | None = None, key: str | None = None) -> Answer:
        """Look an effect up, by its reference or its key."""
        found = self._books.find(operation, reference=reference, key=key)
        return _answer(found) if found else Answer.problem(404, "unknown")

    @property
    def held(self) -> int:
        """How many requests are held."""
        return self._held

    def control(self, action: str, body: bytes) -> Answer:
        """Take an order of whoever stages the scene: queue manners, or let what is held go on."""
        if action == "release":
            self._released.set()
            return Answer(200, {})
        try:
            told = json.loads(body)
            self._manners.queue(told["next"], *(told.get(name) for name in ("operation", "reference", "account")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return Answer(400, {"code": "malformed", "text": str(error)})
        self._released.clear()
        return Answer(200, {})

    @contextmanager
    def _alone(self, *key: str | None) -> Iterator[bool]:
        """Say whether no other request under this key is under way."""
        with self._lock:
            alone = key not in self._busy
            self._busy.add(key)
        try:
            yield alone
        finally:
            if alone:
                self._busy.discard(key)

    def _serve(self, operation: str, order: Order, key: str | None, body: bytes) -> Answer:
        manner = self._manners.next(operation, order.reference, order.account)
        if turned_away := self._before(manner):
            return turned_away
        if manner.name == "keep_a_fee":
            order = replace(order, cents=max(1, order.cents - FEE))
        answer = self._do(operation, order, key, body, refuses=manner.name == "refuse")
        return self._after(manner, answer)

    def _before(self, manner: Manner) -> Answer | None:
        """Do what comes before the effect; return an answer if there is to be no effect."""
        match manner.name:
            case "lose_request":
                raise Cut
            case "down":
                self._go_down(manner.seconds)
                raise Cut
            case "throttle":
                return Answer(429, {"code": "too_many"}, {"Retry-After": str(max(1, round(manner.seconds)))})
            case "busy":
                return Answer.problem(409, "in_progress")
            case "slow":
                time.sleep(manner.seconds)
            case "hold_request":
                self._hold(manner.seconds)
        return None

    def _after(self, manner: Manner, answer: Answer) -> Answer:
        match manner.name:
            case "lose_reply":
                raise Cut
            case "accept":
                return replace(answer, status=202) if answer.status == 200 else answer
            case "error_after":
                return Answer.problem(500, "internal_error")
            case "cut_reply" | "drip" | "bomb":
                return replace(answer, spoilt=manner)
            case "slow_reply":
                time.sleep(manner.seconds)
            case "hold_reply":
                self._hold(manner.seconds)
        return answer

    def _hold(self, seconds: float) -> None:
        with self._lock:
            self._held += 1
        self._released.wait(seconds)
        with self._lock:
            self._held -= 1

    def _do(self, operation: str, order: Order, key: str | None, body: bytes, *, refuses: bool) -> Answer:
        terms = OPERATIONS[operation]
        if terms.keyed and key is not None and (known := self._books.answered(operation, key)):
            return _answer(known[1]) if known[0] == body else Answer.problem(422, "key_of_another_request")
        if refuses:
            return Answer.problem(402, "insufficient_funds")
        cents = terms.sign * order.cents
        movement = Movement(0, operation, key, order.reference, order.account, order.currency, cents, order.cents)
        try:
            return _answer(self._books.move(movement, remember=body if terms.keyed else None))
        except Refused as refusal:
            return Answer.problem(402, refusal.code)


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 255:
        raise TypeError("no text of 1 to 255 characters")
    return value


def _answer(effect: Movement) -> Answer:
    body = {
        "id": effect.id,
        "reference": effect.reference,
        "amount": str(effect.amount),
        "currency": effect.currency,
    }
    return Answer(200, body)
