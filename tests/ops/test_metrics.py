"""docs/metrics.md and the relay's registry agree, both ways; and the numbers that no other test looks at are right."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import psycopg
import pytest
import yaml
from prometheus_client import CollectorRegistry

from onceward_relay import rotation, unsettled
from onceward_relay.metrics import Metrics
from tests.conftest import Database
from tests.people.desk import Desk
from tests.relay.support import connect, publish_many, relaying, rows
from tests.servers.kafka import TestKafka
from tests.support import eventually

ROOT = Path(__file__).parents[2]
PAGE, DEPLOY = ROOT / "docs" / "metrics.md", ROOT / "deploy"
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([\w, ]*)\|", re.MULTILINE)

STATES = ("pending", "in_flight", "in_doubt", "accepted", "running", "waiting", "blocked")
"""Of calls that are not settled, and of flows that have not ended."""
FIGURES = (
    {f"{what}_{state}{unit}" for what, unit in (("calls", ""), ("oldest", "_seconds")) for state in STATES[:4]}
    | {f"flows_{state}" for state in STATES[4:]}
    | {"money_in_doubt", "stopped", "forgotten", "flows_undone", "messages_without_flow"}
)
"""Of the ledger."""

Metric = tuple[str, str, frozenset[str]]


def documented() -> set[Metric]:
    found = ROW.findall(PAGE.read_text())
    return {(name, kind, frozenset(re.findall(r"\w+", labels))) for name, kind, labels in found}


def alerted() -> set[str]:
    """Metrics for which the page names an alert."""
    rows = re.findall(r"^\| `(\w+)` .* \| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)
    return {name for name, alert in rows if alert.strip() != "\N{EN DASH}"}


def used(expression: str) -> set[tuple[str, frozenset[str]]]:
    """The metrics of an expression of PromQL, each with the labels that are asked of it."""
    found = re.findall(r"\b((?:onceward_relay|process)_\w+)(?:\{([^}]*)\})?", expression)
    grouped = frozenset(label for by in re.findall(r"\bby \(([^)]*)\)", expression) for label in re.findall(r"\w+", by))
    return {
        (re.sub(r"_(bucket|sum|count)$", "", name), grouped | frozenset(re.findall(r"(\w+)[!=]~?", matchers)))
        for name, matchers in found
    }


def unknown(expressions: Iterable[str]) -> list[str]:
    """Expressions that ask for a metric or a label that there is not."""
    known = {name: labels | {"instance", "job", "le"} for name, _, labels in documented()}
    return [text for text in expressions for name, labels in used(text) if not labels <= known.get(name, frozenset())]


def every_meter_touched() -> CollectorRegistry:
    metrics = Metrics()
    meter = metrics.meter("payer")
    meter.entered("owner")
    meter.waits(0, 1, 1)
    meter.window("page")
    meter.window_read(1)
    meter.sent(1)
    meter.held("poison")
    meter.released(1)
    meter.holds(1, 1)
    meter.rotated("in use")
    meter.blocked(Counter(["prepared transaction"]))
    meter.unsettled("incidents", 1)
    meter.ledger({("money_in_doubt", "bank", "EUR"): 5})
    meter.outbox(1)
    meter.growth(1, 1)
    meter.checkpoint()
    meter.error("fault")
    metrics.reloaded("taken")
    return metrics.registry


def registered() -> set[Metric]:
    found = set()
    for family in every_meter_touched().collect():
        assert family.samples, f"{family.name} is not touched by this test"
        kind, suffix = {"counter": ("counter", "_total"), "info": ("gauge", "_info")}.get(
            family.type, (family.type, "")
        )
        labels = frozenset(label for sample in family.samples for label in sample.labels) - {"le"}
        found.add((family.name + suffix, kind, labels))
    return found


def test_the_page_and_the_registry_agree() -> None:
    assert documented() == registered()


def test_the_alerts_are_those_of_the_page() -> None:
    [group] = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"]
    expressions = [rule["expr"] for rule in group["rules"]]
    assert unknown(expressions) == []
    assert {name for text in expressions for name, _ in used(text)} == alerted()
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
        assert rule["annotations"].keys() == {"summary", "action"}, rule["alert"]


@pytest.mark.parametrize("name", sorted(path.name for path in (DEPLOY / "dashboards").iterdir()))
def test_a_dashboard_asks_for_what_there_is(name: str) -> None:
    dashboard = json.loads((DEPLOY / "dashboards" / name).read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(expressions) == len(dashboard["panels"])
    assert unknown(expressions) == []
    assert unknown(['onceward_relay_lag_rows{kind="x"}', "sum by (scope) (onceward_relay_lag_rows)", "process_nothing"])


def test_dashboards_and_alerts_ask_for_figures_that_there_are() -> None:
    files = [DEPLOY / "alerts.yaml", *(DEPLOY / "dashboards").iterdir()]
    asked = {figure for file in files for figure in re.findall(r'figure=~?\\?"([^"\\]+)', file.read_text())}
    assert {figure for figure in asked if not any(re.fullmatch(figure, known) for known in FIGURES)} == set()
    page = PAGE.read_text()
    of_states = re.compile(rf"^(calls|oldest|flows)_({'|'.join(STATES)})(?=_seconds|$)")
    names = {of_states.sub(r"\1_STATE", figure) for figure in FIGURES}
    assert {name for name in names if f"`{name}`" not in page} == set()


def test_the_figures_are_those_that_the_database_gives(database: Database) -> None:
    desk = Desk(database)
    for state in STATES[:4]:
        desk.call(state)
    for state in STATES[4:]:
        desk.flow(state)
    desk.flow("undone", undoing=True, undo_reason="no funds")
    with psycopg.connect(database.relay_url) as relay:
        found = {figure for (figure,) in relay.execute("SELECT figure FROM onceward.ledger_figures()")}
    desk.close()
    assert found == FIGURES


def test_names_have_one_style() -> None:
    for name, kind, _ in registered():
        assert name.startswith(("onceward_relay_", "process_"))
        assert name.endswith("_total") == (kind == "counter"), name
        assert not re.search(r"_(ms|milliseconds|kb|mb|percent)\b", name), "base units"


def test_what_only_an_owner_knows_is_told_by_no_other() -> None:
    metrics = Metrics()
    meter = metrics.meter("payer")
    meter.entered("owner")
    meter.outbox(1)
    meter.unsettled("incidents", 1)
    meter.entered("stand_by", "another relay")
    names = {
        sample.name for family in metrics.registry.collect() for sample in family.samples if "source" in sample.labels
    }
    assert "onceward_relay_outbox_bytes" not in names
    assert "onceward_relay_unsettled" not in names
    assert "onceward_relay_lag_bytes" not in names
    assert "onceward_relay_lease_changes_total" in names


def told(registry: CollectorRegistry, **labels: str) -> float | None:
    return registry.get_sample_value("onceward_relay_ledger", labels)


def test_a_figure_that_is_no_more_is_told_no_more() -> None:
    metrics = Metrics()
    meter = metrics.meter("payer")
    doubt = {"figure": "money_in_doubt", "provider": "bank", "currency": "EUR"}
    for figures, expected in (({("money_in_doubt", "bank", "EUR"): 5.0}, 5.0), ({}, None)):
        meter.ledger(figures)
        assert told(metrics.registry, source="payer", **doubt) == expected


def test_lag_in_bytes_and_the_size_of_windows(
    database: Database, kafka: TestKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = kafka.create_topic()
    with connect(database.url) as owner:
        publish_many(owner, topic, 12_000, size=100)
    with relaying(database, kafka) as relay:
        eventually(lambda: relay.state.waiting_bytes > 0)
        mean = relay.state.waiting_bytes / relay.state.waiting_rows
        assert 100 <= mean <= 110, "payload, a short key and no headers"
        relay.wait_settled(12_000)
        eventually(lambda: relay.count("window_rows_sum") == 12_000)
        assert relay.count("window_rows_count") == 1
        eventually(lambda: (relay.state.waiting_bytes, relay.state.waiting_rows) == (0, 0))


def test_blockers_and_what_waits_for_people(
    database: Database, kafka: TestKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "ROTATE_EVERY", 0.1)
    monkeypatch.setattr(unsettled, "COUNT_EVERY", 0.1)
    topic = kafka.create_topic()
    with connect(database.url) as owner, psycopg.connect(database.url) as writer, relaying(database, kafka) as relay:
        publish_many(owner, topic, 1)
        relay.wait_settled(1)
        writer.execute(
            "LOCK TABLE ONLY onceward.outbox_0, ONLY onceward.outbox_1, ONLY onceward.outbox_2 IN ACCESS SHARE MODE"
        )
        slot = rows(database, "SELECT onceward.slot()")[0][0]
        owner.execute(
            f"CREATE OR REPLACE FUNCTION onceward.slot() RETURNS smallint LANGUAGE sql STABLE PARALLEL SAFE RETURN {(slot + 1) % 3}::smallint"
        )
        owner.execute(
            "INSERT INTO onceward.incident (kind, message_id, grp, severity, title) VALUES ('parked_in', gen_random_uuid(), 'g', 2, 't')"
        )
        eventually(lambda: relay.count("rotation_blockers", kind="transaction") == 1)
        eventually(lambda: relay.count("unsettled", what="incidents") == 1)
        assert relay.count("unsettled", what="in_doubt") == 0
        forgotten = {"figure": "forgotten", "provider": "", "currency": ""}
        eventually(lambda: told(relay.daemon.metrics.registry, **forgotten, source=relay.name) == 0)
        writer.rollback()
        eventually(lambda: relay.count("rotations_total", result="emptied") == 1)
        eventually(lambda: relay.count("rotation_blockers", kind="transaction") == 0)


def test_a_relay_that_may_not_count_sends_all_the_same(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic()
    with connect(database.url) as owner:
        owner.execute("REVOKE SELECT ON onceward.incident, onceward.call, onceward.inbox_parked FROM onceward_relay")
        publish_many(owner, topic, 1)
    with relaying(database, kafka) as relay:
        relay.wait_settled(1)
        assert relay.state.state == "owner"
