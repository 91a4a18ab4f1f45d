"""Where the demo's participants find everything, from the environment of their processes."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache

_PREFIX = "ONCEWARD_DEMO_"


@dataclass(frozen=True, slots=True)
class Settings:
    """The same for all processes of one run of the demo."""

    run: str
    """Name of the run; topics, participants and databases begin with it."""
    payer_database: str
    payee_database: str
    home_database: str
    """The console's own."""
    kafka: str
    """Options of the Kafka client, as JSON."""
    bank_a: str
    bank_b: str
    release: str = "1"
    """Of the participants' programs: 1, or 2, in which a bug is mended."""

    @property
    def kafka_options(self) -> dict[str, str | int]:
        """Options of the Kafka client."""
        options: dict[str, str | int] = json.loads(self.kafka)
        return options

    def environment(self) -> Mapping[str, str]:
        """Return the variables from which `settings` reads this again."""
        return {f"{_PREFIX}{name.upper()}": value for name, value in asdict(self).items()}


@cache
def settings() -> Settings:
    """Return what the environment says.

    Raises:
        KeyError: a variable is missing: this is no process of the demo.
    """
    return Settings(**{name: os.environ[f"{_PREFIX}{name.upper()}"] for name in Settings.__dataclass_fields__})


def run_name() -> str:
    """Return the run's name; a plain one where there is none, so that the participants can be imported anywhere."""
    return os.environ.get(f"{_PREFIX}RUN", "onceward-demo")
