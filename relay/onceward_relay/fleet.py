"""The sources of one daemon: a scheduled job for each. They come, change and go without touching each other."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apscheduler.events import EVENT_JOB_EXECUTED, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from onceward_relay.config import MOST_SOURCES, Settings, SourceSettings
from onceward_relay.logs import KAFKA_LOG
from onceward_relay.metrics import Metrics
from onceward_relay.routes import RoutedTopics
from onceward_relay.sender import Link
from onceward_relay.source import Source
from onceward_relay.topics import Topics

WATCHDOG = 60.0
"""Seconds between two ticks of a source's job. Each run says itself when the next is due, so they mostly find one."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What another configuration changes, by the names of sources."""

    added: list[str]
    removed: list[str]
    changed: list[str]


class Fleet:
    """Relays sources, each in a thread of its own."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._log = logging.getLogger(KAFKA_LOG)
        self._topics = Topics(settings.client_options, self._log)
        self._sources: dict[str, Source] = {}
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # it warns at every tick that a run still goes on
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(MOST_SOURCES)},  # a thread is made when a source needs one
            job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
            timezone=UTC,
        )
        self._scheduler.add_listener(self._ended, EVENT_JOB_EXECUTED)

    @property
    def names(self) -> list[str]:
        """The names of the sources."""
        return list(self._sources)

    def start(self) -> None:
        """Begin to relay."""
        for source in self._settings.source:
            self._add(source)
        self._scheduler.start()

    def apply(self, settings: Settings) -> Changes:
        """Go over to other sources or Kafka options. What has not changed goes on as if nothing had happened."""
        old = {source.name: source for source in self._settings.source}
        new = {source.name: source for source in settings.source}
        kafka = settings.kafka != self._settings.kafka
        changes = Changes(
            added=[name for name in new if name not in old],
            removed=[name for name in old if name not in new],
            changed=[name for name in new if name in old and (kafka or new[name] != old[name])],
        )
        self._settings = settings
        if kafka:
            self._topics = Topics(settings.client_options, self._log)
        going = {name: self._sources.pop(name) for name in changes.removed + changes.changed}
        for name, source in going.items():
            self._scheduler.remove_job(name)
            source.stop.ask()
        for source in self._sources.values():
            source.share.settle(settings.relay.instances)
        for name in changes.added:
            self._add(new[name])
        for name, source in going.items():
            source.close()
            self._metrics.forget(name)
            if name in new:
                self._add(new[name])
        return changes

    def _add(self, settings: SourceSettings) -> None:
        relay = self._settings.relay
        link = Link(
            settings.name,
            settings.ce_source,
            self._settings.client_options,
            RoutedTopics(self._topics, settings.routing),
            relay.stall_timeout,
            self._log,
            settings.pages_topic,
            settings.outbox_limit,
        )
        source = Source(settings, link, self._metrics.meter(settings.name), relay)
        self._sources[settings.name] = source
        self._scheduler.add_job(
            source.run, "interval", seconds=WATCHDOG, id=settings.name, next_run_time=datetime.now(UTC)
        )

    def _ended(self, event: JobExecutionEvent) -> None:
        """Let a source run again when it wants to."""
        with suppress(JobLookupError):  # it was removed meanwhile
            due = datetime.now(UTC) + timedelta(seconds=event.retval)
            self._scheduler.modify_job(event.job_id, next_run_time=due)

    def close(self) -> None:
        """Settle or purge what is under way, write the checkpoints, let go of the leases."""
        for source in self._sources.values():
            source.stop.ask()
        if self._scheduler.running:
            self._scheduler.pause()
            self._scheduler.shutdown(wait=False)  # waiting here it would hold the lock that _ended() needs
        for source in self._sources.values():
            source.close()
