"""The reckoning: whether each promise was kept, judged from what independent witnesses say."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from onceward_relay.demo.books import Movement
from onceward_relay.demo.facts import Call, Facts, Transfer
from onceward_relay.demo.messages import TRANSFERS, TransferCompleted

EXAMPLES = 5
"""How many violations of a promise are shown."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one promise."""

    promise: str
    counted: str
    """What was compared, in figures."""
    broken: Sequence[str]
    """What contradicts it; nothing, if it was kept."""

    @property
    def kept(self) -> bool:
        """Whether the promise was kept."""
        return not self.broken


@dataclass(frozen=True, slots=True)
class Doubt:
    """A call that waits for a person."""

    call: Call
    effects: int
    """What it came to in the bank's books, which no code of the participants can see."""


@dataclass(frozen=True, slots=True)
class Sum:
    """Where the money of a currency is."""

    currency: str
    captured: Decimal
    refunded: Decimal
    credited: Decimal
    fees: Decimal
    """Not credited, although it was asked, and noticed: a mismatch."""
    in_doubt: Decimal
    """Captured, and neither credited nor refunded: in doubt."""

    @property
    def difference(self) -> Decimal:
        """Money that appeared from nowhere, or vanished if negative."""
        return self.refunded + self.credited + self.fees + self.in_doubt - self.captured


def _nothing_lost(facts: Facts) -> Finding:
    found = {record.message_id for record in facts.records}
    committed = _committed(facts)
    lost = [f"message {each} was committed and is not in Kafka" for each in sorted(committed - found)]
    rows = {each.id for each in facts.transfers}
    lost += [
        f"transfer {each.id} was committed and is gone" for each in facts.log if each.committed and each.id not in rows
    ]
    counted = f"{len(committed):,} messages committed, {len(committed & found):,} of them in Kafka"
    return Finding("nothing lost", counted, lost)


def _nothing_invented(facts: Facts) -> Finding:
    rolled_back = {entry.message_id for entry in facts.log if not entry.committed}
    found = {record.message_id for record in facts.records}
    phantoms = [f"message {each} is in Kafka and was never committed" for each in sorted(found - _committed(facts))]
    counted = f"{len(rolled_back):,} messages rolled back, {len(rolled_back & found):,} of them in Kafka"
    return Finding("nothing invented", counted, phantoms)


def _committed(facts: Facts) -> set[UUID]:
    return {entry.message_id for entry in facts.log if entry.committed} | facts.published


def _order_per_key(facts: Facts) -> Finding:
    numbers: dict[str, list[int]] = defaultdict(list)
    partitions: dict[tuple[str, str], set[int]] = defaultdict(set)
    seen: set[UUID] = set()
    for record in facts.records:
        partitions[record.topic, record.key].add(record.partition)
        if record.topic == TRANSFERS and record.message_id not in seen:
            seen.add(record.message_id)
            numbers[record.key].append(int(str(record.payload["number"])))
    broken = [f"account {key}: {_first_disorder(found)}" for key, found in numbers.items() if found != sorted(found)]
    broken += [f"key {key} is in {len(found)} partitions" for (_, key), found in partitions.items() if len(found) > 1]
    counted = f"{len(numbers):,} accounts, their transfers in the order of their transactions"
    return Finding("order per key", counted, broken)


def _first_disorder(numbers: Sequence[int]) -> str:
    i = next(i for i in range(1, len(numbers)) if numbers[i] < numbers[i - 1])
    return f"transfer {numbers[i - 1]} came before transfer {numbers[i]}"


def _one_effect_per_message(facts: Facts) -> Finding:
    records = Counter(record.message_id for record in facts.records)
    told = {str(record.payload["transfer_id"]) for record in facts.records if _is_completion(record.payload)}
    receipts = Counter(str(receipt.transfer_id) for receipt in facts.receipts)
    broken = [
        f"the completion of transfer {each.id} took effect {each.completions} times"
        for each in facts.transfers
        if each.completions != (str(each.id) in told)
    ]
    broken += [f"transfer {each} has {count} receipts" for each, count in receipts.items() if count > 1]
    repeated = sum(records.values()) - len(records)
    counted = f"{sum(records.values()):,} deliveries of {len(records):,} messages, {repeated:,} of them repeated"
    return Finding("one effect per message", counted, broken)


def _is_completion(payload: Mapping[str, object]) -> bool:
    return payload.keys() == TransferCompleted.model_fields.keys()


def _one_effect_per_key(facts: Facts) -> Finding:
    by_key = Counter((each.operation, each.key) for each in facts.movements)
    by_reference = Counter((each.operation, each.reference) for each in facts.movements)
    broken = [f"{what}: {n} effects under key {key}" for (what, key), n in by_key.items() if n > 1]
    broken += [f"{what}: {n} effects of transfer {ref}" for (what, ref), n in by_reference.items() if n > 1]
    sends = sum(call.sends for call in facts.calls)
    counted = f"{len(facts.calls):,} calls, sent {sends:,} times, {len(facts.movements):,} effects in the banks' books"
    return Finding("one effect per call", counted, broken)


def _the_ledger_is_true(facts: Facts) -> Finding:
    effects = _effects(facts)
    expected = {"succeeded": {1}, "failed": {0}, "pending": {0}, "cancelled": {0}}
    broken = [
        f"call {call.id} ({call.provider}/{call.operation}) is {call.state}, the bank's books have {effects[call.key]}"
        for call in facts.calls
        if effects[call.key] not in expected.get(call.state, {0, 1})
    ]
    broken += [f"an effect under key {key}, but no call" for key in effects.keys() - {call.key for call in facts.calls}]
    states = Counter(call.state for call in facts.calls)
    counted = ", ".join(f"{states[state]:,} {state.replace('_', ' ')}" for state in sorted(states, key=_by_state))
    return Finding("the ledger says what the banks' books say", counted, broken)


def _by_state(state: str) -> int:
    return ["succeeded", "failed", "in_doubt"].index(state) if state in ("succeeded", "failed", "in_doubt") else 9


def _nothing_silent(facts: Facts) -> Finding:
    broken = [
        f"call {each.id} is {each.state}, and no person is told of it" for each in _told_of(facts) if not each.incident
    ]
    broken += [
        f"flow {each.id} stands still, and no person is told of it" for each in facts.blocked if not each.incident
    ]
    left_to_people = _left_to_people(facts)
    broken += [
        f"transfer {each.id} is {each.state}, and nothing of it waits for a person"
        for each in facts.transfers
        if _end(each, left_to_people) == "stuck"
    ]
    states = Counter(_end(each, left_to_people) for each in facts.transfers)
    counted = "transfers: " + ", ".join(f"{count:,} {end}" for end, count in states.most_common())
    return Finding("nothing is silently stuck", counted, broken)


def _told_of(facts: Facts) -> list[Call]:
    """Return the calls that people have to be told of."""
    unsettled = [call for call in _unsettled(facts) if call.given_up]
    return unsettled + [call for call in facts.calls if call.difference]


def _unsettled(facts: Facts) -> list[Call]:
    return [call for call in facts.calls if call.state not in ("succeeded", "failed", "cancelled")]


def _left_to_people(facts: Facts) -> set[str]:
    """Return the references of transfers that wait for a person."""
    calls = {call.ref for call in [*_unsettled(facts), *_told_of(facts)]}
    return calls | {flow.key for flow in facts.blocked}


def _end(transfer: Transfer, left_to_people: Collection[str]) -> str:
    if transfer.state in ("completed", "refused", "refunded"):
        return transfer.state
    return "left to people" if str(transfer.id) in left_to_people else "stuck"


def _nothing_left_of_what_was_undone(facts: Facts) -> Finding:
    books = _books(facts)
    left_to_people = _left_to_people(facts)
    broken = []
    for each in facts.transfers:
        reference = str(each.id)
        if books["holds", reference] != books["captures", reference] + books["releases", reference]:
            broken.append(f"transfer {reference} is {each.state}, and bank A still holds its money")
        if each.state == "refused" and _arrived(books, reference):
            broken.append(f"transfer {reference} is refused, and its money has arrived")
        promised = books["reservations", reference] - books["cancellations", reference]
        if promised and reference not in left_to_people and not _arrived(books, reference):
            broken.append(f"transfer {reference} is {each.state}, and bank B still expects its money")
    made = Counter(movement.operation for movement in facts.movements)
    refused = sum(each.state == "refused" for each in facts.transfers)
    counted = (
        f"transfers refused: {refused:,}, holds released: {made['releases']:,},"
        f" reservations cancelled: {made['cancellations']:,}"
    )
    return Finding("what was undone leaves nothing behind", counted, broken)


def _books(facts: Facts) -> Mapping[tuple[str, str], Decimal]:
    """Return how much each operation has moved for each transfer, by the banks' books."""
    found = Counter[tuple[str, str]]()
    for movement in facts.movements:
        found[movement.operation, movement.reference] += movement.moved
    return defaultdict(Decimal, {place: Decimal(cents).scaleb(-2) for place, cents in found.items()})


def _arrived(books: Mapping[tuple[str, str], Decimal], reference: str) -> Decimal:
    return books["credits", reference] + books["gateway-credits", reference]


def _money_conserved(facts: Facts) -> Finding:
    money = sums(facts)
    broken = [f"{each.currency}: {each.difference:+,}" for each in money if each.difference]
    moved = Counter[tuple[str, str]]()
    for movement in facts.movements:
        moved[movement.account, movement.currency] += movement.cents
    broken += [
        f"account {each.name} in {each.currency}: its balance is not what its movements make"
        for each in facts.accounts
        if each.balance != each.opening + moved[each.name, each.currency]
    ]
    broken += _against_business_rows(facts)
    counted = " · ".join(f"{each.currency} {each.captured:,}" for each in money)
    return Finding("money is conserved", f"captured {counted}; see below", broken)


def _against_business_rows(facts: Facts) -> Iterable[str]:
    """Yield where the participants' own rows and the banks' books differ."""
    books = _books(facts)
    for each in facts.transfers:
        reference = str(each.id)
        if books["refunds", reference] != (each.state == "refunded") * each.amount:
            yield f"transfer {each.id} is {each.state}, but not so in the bank's refunds"
        left = each.state in ("captured", "completed", "refunded")
        if books["captures", reference] != left * each.amount:
            yield f"transfer {each.id} is {each.state}, but not so in the bank's captures"
    for receipt in facts.receipts:
        if receipt.amount != _arrived(books, str(receipt.transfer_id)):
            yield f"the receipt of transfer {receipt.transfer_id} is not what its bank's books have"


def sums(facts: Facts) -> list[Sum]:
    """Return where the money of each currency is, by the banks' books."""
    return [_sum(facts, currency) for currency in sorted({each.currency for each in facts.movements})]


def _sum(facts: Facts, currency: str) -> Sum:
    movements = [each for each in facts.movements if each.currency == currency]
    by_key = {each.key: each for each in movements}
    arrived = {each.reference for each in movements if each.operation in ("credits", "gateway-credits", "refunds")}
    doubted = {call.ref for call in _unsettled(facts)} - arrived
    differ = [call for call in facts.calls if call.difference and call.key in by_key]
    return Sum(
        currency,
        captured=_total(movements, "captures"),
        refunded=_total(movements, "refunds"),
        credited=_total(movements, "credits", "gateway-credits"),
        fees=sum((call.amount - by_key[call.key].amount for call in differ), Decimal(0)),
        in_doubt=_total([each for each in movements if each.reference in doubted], "captures"),
    )


def _total(movements: Sequence[Movement], *operations: str) -> Decimal:
    return sum((each.amount for each in movements if each.operation in operations), Decimal(0))


def doubts(facts: Facts) -> list[Doubt]:
    """Return the calls that wait for a person, with what the bank's books say of them."""
    effects = _effects(facts)
    return [Doubt(call, effects[call.key]) for call in facts.calls if call.state == "in_doubt"]


def _effects(facts: Facts) -> Counter[str | None]:
    return Counter(each.key for each in facts.movements)


JUDGES: Sequence[Callable[[Facts], Finding]] = (
    _nothing_lost,
    _nothing_invented,
    _order_per_key,
    _one_effect_per_message,
    _one_effect_per_key,
    _the_ledger_is_true,
    _nothing_silent,
    _nothing_left_of_what_was_undone,
    _money_conserved,
)
"""One for each promise."""
JUDGED_ALWAYS = frozenset({_nothing_invented, _order_per_key, _one_effect_per_key})
"""Those that what is still under way can only break. The others wait for the end."""


def reckon(facts: Facts) -> list[Finding]:
    """Judge all promises, or those that can be judged while something is still under way."""
    return [judge(facts) for judge in JUDGES if facts.complete or judge in JUDGED_ALWAYS]
