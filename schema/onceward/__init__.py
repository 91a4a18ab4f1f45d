"""Transactional outbox and inbox, ledger of external calls, and flows, in a participant's own PostgreSQL database."""

from onceward.errors import CallFailed, OncewardError, PublishError, UndoFlow
from onceward.flows.definition import start
from onceward.flows.flow import Flow
from onceward.flows.listening import Listen
from onceward.ledger.report import report
from onceward.messages import UNORDERED, Message
from onceward.outbox import publish, publish_all
from onceward.participant import Participant
from onceward.providers import Always, Money, Never, Provider, SameKey, Sending

__all__ = [
    "UNORDERED",
    "Always",
    "CallFailed",
    "Flow",
    "Listen",
    "Message",
    "Money",
    "Never",
    "OncewardError",
    "Participant",
    "Provider",
    "PublishError",
    "SameKey",
    "Sending",
    "UndoFlow",
    "publish",
    "publish_all",
    "report",
    "start",
]
