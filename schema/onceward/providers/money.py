"""An amount with its currency."""

import re
from dataclasses import dataclass
from decimal import Decimal

from onceward.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Money:
    """An amount that a call moves.

    Raises:
        ConfigError: the amount is no finite, non-negative Decimal of at most 20 digits before and 10 after the point,
            or the currency is not three capital letters (ISO 4217).
    """

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not isinstance(self.amount, Decimal):
            raise ConfigError("amount", f"must be a Decimal, is {type(self.amount).__name__}")
        if not self.amount.is_finite() or self.amount < 0:
            raise ConfigError("amount", "must be a finite, non-negative number")
        exponent = self.amount.as_tuple().exponent
        if self.amount >= 10**20 or not isinstance(exponent, int) or exponent < -10:
            raise ConfigError("amount", "has more than 20 digits before the point or 10 after it")
        if not re.fullmatch("[A-Z]{3}", str(self.currency)):
            raise ConfigError("currency", f"{str(self.currency)[:20]!a} is not three capital letters")
