"""The daemon: start-up, one scheduled job per source, shutdown. Signals are handled here and nowhere else."""

import logging
import signal
from datetime import UTC, datetime
from types import FrameType

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from onceward.errors import ConfigError
from onceward_relay.config import Settings, SourceSettings
from onceward_relay.kafka import Topics
from onceward_relay.logs import KAFKA_LOG
from onceward_relay.metrics import Metrics
from onceward_relay.sender import Link
from onceward_relay.source import Source
from onceward_relay.stop import Stop
from onceward_relay.web import Web


class Daemon:
    """Relays all sources of a configuration until it is asked to stop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._log = structlog.get_logger("onceward.relay")
        self._stop = Stop(settings.relay.stop_timeout)
        self.metrics = Metrics()
        kafka_log = logging.getLogger(KAFKA_LOG)
        topics = Topics(settings.client_options, kafka_log)
        self._sources = [self._source(source, topics, kafka_log) for source in settings.source]
        self._web: Web | None = None
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # it warns at every tick that a run still goes on
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(len(self._sources))},
            job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
            timezone=UTC,
        )

    def _source(self, source: SourceSettings, topics: Topics, log: logging.Logger) -> Source:
        relay = self._settings.relay
        link = Link(source.name, source.ce_source, self._settings.client_options, topics, relay.stall_timeout, log)
        meter = self.metrics.meter(source.name)
        return Source(source, link, meter, self._stop, relay.name, poll_interval=relay.poll_interval)

    @property
    def address(self) -> str:
        """Where /metrics and /health are served, once started."""
        assert self._web is not None
        return self._web.address

    def run(self) -> None:
        """Relay until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self.start()
        self._stop.wait()
        self.close()

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self._log.info("stopping", signal=signal.Signals(number).name)
        self._stop.ask()

    def start(self) -> None:
        """Begin to relay, in threads of its own."""
        relay = self._settings.relay
        try:
            self._web = Web(self.metrics, relay.http_host, relay.http_port)
        except OSError as error:
            raise ConfigError(
                "relay.http_port", f"{relay.http_host}:{relay.http_port} cannot be used: {error}"
            ) from error
        for source in self._sources:
            self._scheduler.add_job(
                source.run,
                "interval",
                seconds=relay.poll_interval,
                id=source.settings.name,
                next_run_time=datetime.now(UTC),
            )
        self._scheduler.start()
        names = [source.settings.name for source in self._sources]
        self._log.info("relay started", relay=relay.name, http=self._web.address, sources=names)

    def close(self) -> None:
        """Settle or purge what is under way, write the checkpoints, let go of the leases."""
        self._stop.ask()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)
        for source in self._sources:
            source.close()
        if self._web is not None:
            self._web.close()
            self._web = None
        self._log.info("relay stopped", relay=self._settings.relay.name)
