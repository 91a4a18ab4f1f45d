"""`onceward relay check` finds what would keep a relay from running, and takes nothing over."""

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from onceward_relay.cli import main
from tests.conftest import Database, available
from tests.relay.support import connect, publish, relaying
from tests.servers.kafka import KafkaServer, TestKafka


def checked(
    folder: Path,
    kafka: str,
    *databases: str,
    options: tuple[str, ...] = (),
    source: str = "",
    command: str = "relay check",
) -> Result:
    file = folder / "relay.toml"
    sources = "".join(f'[[source]]\nname = "s{i}"\ndatabase = "{url}"\n{source}' for i, url in enumerate(databases))
    file.write_text(f'[kafka]\n"bootstrap.servers" = "{kafka}"\n{sources}')
    return CliRunner().invoke(main, [*command.split(), "--config", str(file), *options])


def findings(result: Result) -> dict[str, Any]:
    return {finding["subject"]: (finding["ok"], finding["text"]) for finding in json.loads(result.output)["findings"]}


def test_all_is_well(database: Database, kafka: TestKafka, tmp_path: Path) -> None:
    topic = kafka.create_topic()
    with connect(database.url) as connection:
        publish(connection, topic, "k", "x")
        result = checked(tmp_path, kafka.bootstrap, database.relay_url, options=("--json",))
        assert result.exit_code == 0
        assert {ok for ok, _ in findings(result).values()} == {True}
        assert findings(result)["source s0"][1].endswith("no relay owns it")
        assert connection.execute("SELECT count(*) FROM onceward.ownership").fetchone() == (0,), "nothing is taken over"


def test_an_owner_is_named(database: Database, kafka: TestKafka, tmp_path: Path) -> None:
    with relaying(database, kafka) as relay:
        relay.wait_owner()
        assert "relay test owns it since" in checked(tmp_path, kafka.bootstrap, database.relay_url).output


def test_each_trouble_is_named_with_what_to_do(
    database: Database, empty_database: Database, kafka: TestKafka, tmp_path: Path
) -> None:
    with connect(database.url) as connection:
        publish(connection, "missing", "k", "x")
    gone = "postgresql://relay:secret@127.0.0.1:1/x"
    result = checked(tmp_path, kafka.bootstrap, database.relay_url, empty_database.url, gone, options=("--json",))
    assert result.exit_code == 1
    found = findings(result)
    assert found["source s0"][0]
    assert "onceward schema install" in found["source s1"][1]
    assert "Connection refused" in found["source s2"][1]
    assert "held until it is there" in found["topic missing"][1]
    assert "secret" not in result.output


def test_missing_rights_are_named(database: Database, kafka: TestKafka, tmp_path: Path) -> None:
    result = checked(tmp_path, kafka.bootstrap, database.participant_url, options=("--json",))
    assert result.exit_code == 1
    assert "SELECT on outbox" in findings(result)["source s0"][1]
    assert "grant onceward_relay to the relay's role" in findings(result)["source s0"][1]


def test_kafka_that_does_not_answer(database: Database, tmp_path: Path) -> None:
    result = checked(tmp_path, "127.0.0.1:1", database.relay_url)
    assert result.exit_code == 1
    assert "see bootstrap.servers" in result.output


def test_a_configuration_that_cannot_work(tmp_path: Path) -> None:
    result = checked(tmp_path, "127.0.0.1:1", "mysql://u:secret@h/x")
    assert result.exit_code == 2
    assert "source.0.database" in result.output
    assert "secret" not in result.output


ONCE = 'delivery = "exactly_once"\n'


def test_the_exactly_once_mode(database: Database, kafka: TestKafka, tmp_path: Path) -> None:
    """Beside a relay that is at work in it and does not notice."""
    topic, once = kafka.create_topic(partitions=1), {"delivery": "exactly_once"}
    with relaying(database, kafka, name="s0", source=once) as relay, connect(database.url) as owner:
        for number in range(3):
            publish(owner, topic, "k", str(number))
            relay.wait_settled(number + 1)
            result = checked(tmp_path, kafka.bootstrap, database.relay_url, options=("--json",), source=ONCE)
            assert findings(result)["exactly once s0"] == (True, "the relay may do what the mode needs")
        assert owner.execute("SELECT count(*) FROM onceward.ownership").fetchone() == (1,), "nobody fenced it off"


def test_a_source_of_another_mode_is_not_asked_about_it(database: Database, kafka: TestKafka, tmp_path: Path) -> None:
    result = checked(tmp_path, kafka.bootstrap, database.relay_url, options=("--json",))
    assert not [subject for subject in findings(result) if subject.startswith("exactly once")]


def test_brokers_that_do_not_bear_the_exactly_once_mode(database: Database, tmp_path: Path) -> None:
    """Too short a limit on transactions, offsets that are forgotten at once, and too few brokers for transactions."""
    limits = {"transaction.max.timeout.ms": "30000", "offsets.retention.minutes": "60"}
    with available(KafkaServer({**limits, "transaction.state.log.replication.factor": "3"})) as broker:
        options = ("--json",)
        result = checked(tmp_path, broker.bootstrap, database.relay_url, options=options, source=ONCE)
        assert result.exit_code == 1
        ok, text = findings(result)["exactly once s0"]
        assert (ok, "no answer within 10 s" in text) == (False, True)
        assert "transaction.state.log.replication.factor" in text
        assert "set transaction.max.timeout.ms of broker 1 to 60000 or more" in text
        result = checked(tmp_path, broker.bootstrap, database.relay_url, options=options, source=ONCE, command="doctor")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    found = {each["check"]: each for each in json.loads(result.output)["findings"]}
    assert found["transactions"]["level"] == "problem"
    assert "set transaction.max.timeout.ms of broker 1 to 60000 or more" in found["transactions"]["remedy"]
    assert found["page numbers"]["level"] == "problem"
    assert "a crash in the middle of a page halts the source" in found["page numbers"]["found"]
