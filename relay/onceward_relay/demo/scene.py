"""The demo's processes and what happens to them: two banks, the relay, and a worker of each participant."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from urllib.request import Request, urlopen

from onceward_relay.demo.guide import Guide
from onceward_relay.demo.processes import Child, end_all
from onceward_relay.demo.reckoning import Finding
from onceward_relay.demo.servers import Servers
from onceward_relay.demo.settings import Settings, run_name
from onceward_relay.demo.supervisor import Supervisor, kill_plan
from onceward_relay.demo.workload import CLOSED, SURPRISED, TURNED_DOWN, UNLUCKY, opening

MANNERS = "lose_reply=0.02,lose_request=0.01,error_after=0.01,slow=0.02,slow_reply:2.5=0.003,throttle=0.01"
"""Of both banks, besides being down."""
DOWNS = 2
"""How often each bank is down, about."""
START_PATIENCE = 20.0
GUIDES = "ONCEWARD_DEMO_GUIDES"
"""Variable from which the console has what is left to people, as JSON."""
SAYS = "console: "
"""What the line begins with in which the console tells its address."""
STAGED_MANNERS: Sequence[Sequence[Mapping[str, object]]] = (
    [{"next": ["refuse"], "operation": "captures", "account": TURNED_DOWN}],
    [
        {"next": ["lose_reply"], "operation": "gateway-credits", "account": UNLUCKY},
        {"next": ["keep_a_fee"], "operation": "credits", "account": SURPRISED},
    ],
)
"""Of each bank, for the transfers that are staged."""

RELAY, PAYER, PAYEE = "relay", "payer's worker", "payee's worker"
VICTIMS = (RELAY, PAYER, PAYEE)


@dataclass(frozen=True, slots=True)
class Scene:
    """What runs, and where it keeps what it does."""

    settings: Settings
    supervisor: Supervisor
    banks: Sequence[Child]
    books: Sequence[Path]
    console: Child
    """Started when it is asked for."""

    def deploy(self, release: str) -> None:
        """Run another release of the participants' programs from now on."""
        environment = replace(self.settings, release=release).environment()
        self.supervisor.replace({PAYER: environment, PAYEE: environment})

    def open_console(self, guides: Sequence[Guide]) -> str:
        """Start the console with a guide line for each of these, and return its address.

        Raises:
            OncewardError: it does not start.

        """
        self.console.environment |= {GUIDES: json.dumps([asdict(guide) for guide in guides], default=str)}
        self.console.environment |= self.settings.environment()
        self.console.start()
        return self.console.line(SAYS, START_PATIENCE).removeprefix(SAYS)

    def finding(self) -> Finding:
        """Return whether any process ended that nobody killed."""
        dead = [f"{bank.name} ended by itself:\n{bank.tail()}" for bank in self.banks if bank.ended_with is not None]
        deaths = Counter(death.victim for death in self.supervisor.deaths)
        counted = "killed: " + (", ".join(f"{victim} {n} times" for victim, n in deaths.items()) or "nobody")
        return Finding("every process comes back", counted, [*self.supervisor.faults, *dead])


@contextmanager
def scene(
    folder: Path,
    servers: Servers,
    transfers: int,
    random: Random,
    tell: Callable[[str], None],
) -> Iterator[Scene]:
    """Start all processes; end them at the end of the block.

    Args:
        folder: for their files.
        servers: PostgreSQL and Kafka.
        transfers: how many there will be.
        random: chooses who is killed when.
        tell: is told of each death.

    Raises:
        OncewardError: a bank did not start.
    """
    banks = [_bank(folder, name, transfers, random.getrandbits(32)) for name in ("bank-a", "bank-b")]
    children = list(banks)
    try:
        for bank in banks:
            bank.start()
        addresses = [bank.line("http://", START_PATIENCE) for bank in banks]
        for address, manners in zip(addresses, STAGED_MANNERS, strict=True):
            _stage(address, manners)
        databases = (servers.payer, servers.payee, servers.home)
        settings = Settings(run_name(), *databases, json.dumps(servers.kafka), *addresses)
        screens = Child("console", ["-m", "onceward_relay.demo.console"], {}, folder / "console.log")
        children.append(screens)
        victims = [_relay(folder, settings), _worker(folder, settings, "payer"), _worker(folder, settings, "payee")]
        children += victims
        supervisor = Supervisor(victims, _failpoints(transfers, random), kill_plan(VICTIMS, random), random, tell)
        try:
            supervisor.start()
            yield Scene(settings, supervisor, banks, [_books(folder, bank.name) for bank in banks], screens)
        finally:
            supervisor.stop()
    finally:
        end_all(children)


def _bank(folder: Path, name: str, transfers: int, seed: int) -> Child:
    arguments = ["-m", "onceward_relay.demo.bank", "--books", str(_books(folder, name)), "--seed", str(seed)]
    arguments += ["--manners", f"{MANNERS},down:1.5={DOWNS / max(transfers, 100):f}"]
    arguments += ["--opening", str(opening(transfers)), "--closed", CLOSED]
    return Child(name, arguments, {}, folder / f"{name}.log")


def _books(folder: Path, name: str) -> Path:
    return folder / f"{name}.sqlite"


def _stage(bank: str, manners: Sequence[Mapping[str, object]]) -> None:
    """Have a bank treat the transfers that are staged as they need it."""
    for told in manners:
        request = Request(f"{bank}/control/manners", json.dumps(told).encode(), method="POST")  # noqa: S310 -- our own bank
        with urlopen(request, timeout=START_PATIENCE):  # noqa: S310 -- the same
            pass


def _relay(folder: Path, settings: Settings) -> Child:
    config = folder / "relay.toml"
    config.write_text(
        f"""\
[kafka]
"bootstrap.servers" = {json.dumps(settings.kafka_options["bootstrap.servers"])}
[relay]
name = "demo"
http_port = 0
log_format = "json"
[[source]]
name = "payer"
database = {json.dumps(settings.payer_database)}
[[source]]
name = "payee"
database = {json.dumps(settings.payee_database)}
""",
        encoding="utf-8",
    )
    arguments = ["-m", "onceward_relay", "relay", "run", "--config", str(config)]
    return Child(RELAY, arguments, {}, folder / "relay.log")


def _worker(folder: Path, settings: Settings, participant: str) -> Child:
    arguments = ["-m", "onceward_relay.demo.worker", participant]
    return Child(f"{participant}'s worker", arguments, settings.environment(), folder / f"{participant}.log")


def _failpoints(transfers: int, random: Random) -> dict[str, list[str]]:
    """Return where each victim kills itself in its first lives: at the worst moments, which chance might miss."""

    def at(point: str, share: float) -> str:
        return f"{point}:{random.randint(1, max(1, int(transfers * share)))}"

    return {
        RELAY: [f"relay.acknowledged:{random.randint(5, 40)}", f"relay.window_opened:{random.randint(5, 40)}"],
        PAYER: ["flow.undoing:1", at("call.answered", 0.2)],
        PAYEE: [at("call.recorded", 0.2), at("flow.step_recorded", 0.2)],
    }
