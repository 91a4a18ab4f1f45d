"""Telling people what waits for them: by webhook or e-mail, for each group of incidents, in up to three steps.

A notification is a row, written in the transaction that raises its incidents' escalation; workers send it, and send it
again until it is taken.
"""

from onceward.notify.channels import Channel, Email, Webhook
from onceward.notify.notifier import Notifier

__all__ = ["Channel", "Email", "Notifier", "Webhook"]
