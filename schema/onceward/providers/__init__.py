"""Providers: outside APIs, and what each of their operations promises.

Everything that the ledger may do with a call follows from its declaration here. A declaration that promises more than
the provider keeps leads to a second effect; when in doubt, promise less.
"""

from onceward.providers.money import Money
from onceward.providers.operation import Lookup, Operation
from onceward.providers.provider import Provider
from onceward.providers.repeat import Always, Never, Repeat, Replays, SameKey
from onceward.providers.sending import Sending

__all__ = ["Always", "Lookup", "Money", "Never", "Operation", "Provider", "Repeat", "Replays", "SameKey", "Sending"]
