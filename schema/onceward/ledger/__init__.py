"""The ledger of external calls: recorded before they are made, repeated only with proof, otherwise in doubt."""

from onceward.ledger.counts import Attempts, CallCounts, Occupancy
from onceward.ledger.ledger import Ledger
from onceward.ledger.outcomes import Failed, FlowStep, Outcome, Succeeded, Unsettled

__all__ = ["Attempts", "CallCounts", "Failed", "FlowStep", "Ledger", "Occupancy", "Outcome", "Succeeded", "Unsettled"]
