"""One source as the scheduler sees it: a run that opens a stream if there is none, lets it run, and survives it."""

import math
import time
from threading import Lock
from typing import Any

import structlog

from onceward_relay.candidate import OWNED_AGAIN, Candidate
from onceward_relay.config import RelaySettings, SourceSettings
from onceward_relay.errors import KafkaTrouble, SourceTrouble, StandBy, Stopping
from onceward_relay.exactly_once import ExactlyOnceStream
from onceward_relay.kafka import ClientError
from onceward_relay.metrics import Meter
from onceward_relay.sender import Link
from onceward_relay.session import Session, explained
from onceward_relay.shares import Share, Tenure
from onceward_relay.stop import Stop
from onceward_relay.stream import Stream

FIRST_RETRY, LAST_RETRY = 1.0, 8.0
"""Seconds before a broken source is tried again; doubled with each failure."""
NO_CLAIM = 60.0
"""Seconds after a failure for which a source is not claimed from an owner that may do better."""


class Source:
    """A source and its state. `run` is the scheduler's job; one source's trouble is never another's."""

    def __init__(self, settings: SourceSettings, link: Link, meter: Meter, relay: RelaySettings) -> None:
        self._settings = settings
        self._link = link
        self._meter = meter
        self.stop = Stop(relay.stop_timeout)
        """Asks this source to let go, for good."""
        self._stop_timeout = relay.stop_timeout
        self.share = Share(settings.name, relay.name, relay.instances)
        """The place of this instance among those that share the source."""
        self._candidate: Candidate | None = None
        self._tenure: Tenure | None = None
        self._failed_at = -math.inf
        self._running = Lock()
        self._relay = relay.name
        self._idle_wait = relay.poll_interval
        self._log = structlog.get_logger("onceward.relay").bind(source=settings.name)
        self._session: Session | None = None
        self._stream: Stream | ExactlyOnceStream | None = None
        self._pause = 0.0
        """Seconds to rest before the next run."""
        self._retry = FIRST_RETRY
        self._began = math.inf
        """When the stream began."""

    def run(self) -> float:
        """Do one polling run: all that there is to send, or one try to get back to work.

        Returns:
            Seconds until the next run is due.

        """
        with self._running:
            self._meter.beat()
            if not self.stop.asked:
                self._pause = 0.0
                self._survive()
            return self._pause

    def _survive(self) -> None:
        try:
            with explained():
                self._work()
        except StandBy as error:
            self._rest("stand_by", str(error), error.again)
        except SourceTrouble as error:
            self._fail("halted" if error.kind == "halted" else "broken", error.kind, str(error))
        except KafkaTrouble as error:
            self._fail("broken", f"kafka_{error.kind}", str(error))
        except ClientError as error:  # no client can be made: a certificate's file is not there, or half written
            self._fail("broken", "kafka_client", str(error.args[0]))
        except Stopping as error:
            self._log.warning("stopped in the middle", reason=str(error))
            self._forget()
        except Exception:  # noqa: BLE001 -- a fault in one source must not stop the others; it is logged and counted
            self._log.exception("a fault of the relay itself; starting again from the checkpoint")
            self._fail("broken", "fault", "a fault of the relay itself; its log has the traceback")

    def _work(self) -> None:
        if self._stream is None:
            self._session = self._win()
            self._tenure = Tenure(self.stop, self._session, self.share, self._stop_timeout)
            self._stream = self._open_stream(self._session, self._tenure)
            self._began = time.monotonic()
            self._entered("owner", epoch=self._session.epoch)
            if self._session.travelled:
                self._log.warning(
                    "the checkpoint comes from another server or timeline: a failover, or a copied cluster"
                )
        self._stream.run()
        if self._tenure is not None and self._tenure.claimed:
            raise StandBy("let go for a relay that comes before this one", OWNED_AGAIN)

    def _win(self) -> Session:
        """Try to take the source over, with the session of the last try if there is one."""
        if self._candidate is None:
            self._candidate = Candidate(self._settings, self.share)
            if self._candidate.newer_schema is not None:
                self._log.warning(
                    "the schema is newer than this relay and lets it go on", revision=self._candidate.newer_schema
                )
        try:
            session = self._candidate.win(self._relay, may_claim=time.monotonic() - self._failed_at > NO_CLAIM)
        except StandBy:
            raise
        except BaseException:
            self._give_up()
            raise
        self._candidate = None
        return session

    def _give_up(self) -> None:
        candidate, self._candidate = self._candidate, None
        if candidate is not None:
            candidate.close()

    def _open_stream(self, session: Session, tenure: Tenure) -> Stream | ExactlyOnceStream:
        parts = session, self._link, self._meter, tenure, self._relay
        if self._settings.delivery == "exactly_once":
            return ExactlyOnceStream(*parts, idle_wait=self._idle_wait)
        if session.page is not None:
            leaving = ExactlyOnceStream(*parts, idle_wait=self._idle_wait)
            try:
                leaving.leave()
            finally:
                leaving.close()
        return Stream(*parts, idle_wait=self._idle_wait)

    def _fail(self, state: str, kind: str, reason: str) -> None:
        self._meter.error(kind)
        self._failed_at = time.monotonic()
        if time.monotonic() - self._began > self._retry:
            self._retry = FIRST_RETRY  # it worked for a while: this is another trouble than the last
        self._rest(state, reason, self._retry)
        self._retry = min(self._retry * 2, LAST_RETRY)

    def _rest(self, state: str, reason: str, seconds: float) -> None:
        """Forget everything, so that the next run begins from the checkpoint, and wait before it."""
        left = "handed_over" if self._tenure is not None and self._tenure.claimed else "lost"
        self._forget()
        self._entered(state, reason, left)
        self._pause = seconds

    def _entered(self, state: str, reason: str = "", left: str = "lost", **more: Any) -> None:
        if not self._meter.entered(state, reason, left):
            return
        say = self._log.info if state in ("owner", "stand_by") else self._log.error
        say(_STORY[state], **({"reason": reason} if reason else {}), **more)

    def _forget(self) -> None:
        """Drop the producer with what is under way, and the session with its lease."""
        stream, session, self._stream, self._session, self._tenure = self._stream, self._session, None, None, None
        self._began = math.inf
        try:
            if stream is not None:
                stream.close()
        finally:
            if session is not None:
                session.close()

    def close(self) -> None:
        """Let go of the source for good, once a run that is under way has ended."""
        self.stop.ask()
        with self._running:
            self._forget()
            self._give_up()
            self._meter.entered("stopped")


_STORY = {
    "owner": "source taken over; relaying",
    "stand_by": "standing by",
    "broken": "source cannot be relayed; trying again",
    "halted": "source halted",
}
