"""The daemon: start-up, reload, shutdown. Signals are handled here and nowhere else."""

import resource
import signal
from collections.abc import Callable

import structlog

from onceward.errors import ConfigError
from onceward_relay.config import RelaySettings, Settings
from onceward_relay.errors import InvalidConfig
from onceward_relay.fleet import Fleet
from onceward_relay.metrics import Metrics
from onceward_relay.web import Web

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Daemon:
    """Relays all sources of a configuration until it is asked to stop.

    Args:
        settings: the configuration to begin with.
        reread: returns the configuration as it is by now, for SIGHUP; raises InvalidConfig.
    """

    def __init__(self, settings: Settings, reread: Callable[[], Settings] | None = None) -> None:
        self._settings = settings
        self._reread = reread or (lambda: settings)
        self._log = structlog.get_logger("onceward.relay")
        self.metrics = Metrics()
        self._fleet = Fleet(settings, self.metrics)
        self._web: Web | None = None

    @property
    def address(self) -> str:
        """Where /metrics and /health are served, once started."""
        assert self._web is not None
        return self._web.address

    def run(self) -> None:
        """Relay until SIGTERM or SIGINT; at SIGHUP read the configuration again."""
        _allow_descriptors()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # in the threads to come too: only this one takes them
        self.start()
        while (asked := signal.sigwait(SIGNALS)) == signal.SIGHUP:
            self.reload()
        self._log.info("stopping", signal=signal.Signals(asked).name)
        self.close()

    def start(self) -> None:
        """Begin to relay, in threads of its own."""
        relay = self._settings.relay
        try:
            self._web = Web(self.metrics, relay.http_host, relay.http_port)
        except OSError as error:
            raise ConfigError(
                "relay.http_port", f"{relay.http_host}:{relay.http_port} cannot be used: {error}"
            ) from error
        self._fleet.start()
        self._log.info("relay started", relay=relay.name, http=self._web.address, sources=self._fleet.names)

    def reload(self) -> None:
        """Go over to the configuration as it is by now; one that cannot work is refused whole."""
        try:
            settings = self._reread()
        except InvalidConfig as error:
            problems = [str(problem) for problem in error.problems]
            self._log.error("configuration refused; the old one goes on", problems=problems)
            self.metrics.reloaded("refused")
            return
        relay = self._settings.relay.model_copy(update={"instances": settings.relay.instances})
        self._settings = settings.model_copy(update={"relay": relay})
        changes = self._fleet.apply(self._settings)
        self.metrics.reloaded("taken")
        self._log.info(
            "configuration reloaded",
            added=changes.added,
            removed=changes.removed,
            changed=changes.changed,
            after_a_restart=_differing(self._settings.relay, settings.relay),
        )
        if relay.instances and relay.name not in relay.instances:
            self._log.warning(
                "this relay is not among `instances`: it leaves its sources to those that are", relay=relay.name
            )

    def close(self) -> None:
        """Settle or purge what is under way, write the checkpoints, let go of the leases."""
        self._fleet.close()
        if self._web is not None:
            self._web.close()
            self._web = None
        self._log.info("relay stopped", relay=self._settings.relay.name)


def _allow_descriptors() -> None:
    """Use all the file descriptors that the system grants: 1,024 are too few for two hundred sources with producers."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _differing(old: RelaySettings, new: RelaySettings) -> list[str]:
    """Return the settings of this process that were changed and stay as they are until it is started again."""
    return [f"relay.{name}" for name in RelaySettings.model_fields if getattr(old, name) != getattr(new, name)]
