"""The configuration is validated whole: everything that is wrong, each with its place, and no secret shown."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from confluent_kafka import KafkaException, Producer

from onceward.from_file import fingerprint
from onceward.kafka_options import CONNECTION, CONSUMING
from onceward_relay.cli import main
from onceward_relay.config import RelaySettings, Settings, SourceSettings, load
from onceward_relay.errors import InvalidConfig
from onceward_relay.kafka_options import LOCKED, PRODUCING

SECRET = "hunter2-never-shown"
GOOD = """\
[kafka]
"bootstrap.servers" = "127.0.0.1:9092"
[[source]]
name = "payer"
database = "postgresql://relay@127.0.0.1/payer"
"""


def loaded(folder: Path, text: str, **environment: str) -> Settings:
    file = folder / "relay.toml"
    file.write_text(text)
    return load(file, environment)


def problems(folder: Path, text: str, **environment: str) -> set[tuple[str, str]]:
    """Return (line or variable, field) of everything that is wrong."""
    with pytest.raises(InvalidConfig) as caught:
        loaded(folder, text, **environment)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value)
    return {
        (problem.where.removeprefix(f"{folder / 'relay.toml'}:"), problem.field) for problem in caught.value.problems
    }


def test_the_smallest_configuration(tmp_path: Path) -> None:
    settings = loaded(tmp_path, GOOD)
    assert settings.client_options == {"bootstrap.servers": "127.0.0.1:9092"}
    assert settings.source[0].name == settings.source[0].ce_source == "payer"
    assert (settings.relay.http_host, settings.relay.poll_interval) == ("127.0.0.1", 1)


def test_options_of_kafka_may_stand_bare(tmp_path: Path) -> None:
    text = '[kafka]\nbootstrap.servers = "b:1"\nlinger.ms = 7\n' + GOOD[GOOD.index("[[source]]") :]
    assert loaded(tmp_path, text).client_options == {"bootstrap.servers": "b:1", "linger.ms": 7}


def test_everything_that_is_wrong_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    text = f"""\
# a comment
[kafka]
"bootstrap.servers" = "127.0.0.1:9092"
acks = 1
"enable.idempotence" = false
"linger.ms" = [
  1,
]

[relay]
pol_interval = 3
http_port = "9464"
log_level = "loud"
poll_interval = 100

[[source]]
name = "a b"
database = "postgresql://relay:{SECRET}@h/x"
[[source]]
database = "mysql://u:{SECRET}@h/x"
colour = \"\"\"
red
\"\"\"
"""
    assert problems(tmp_path, text) == {
        ("4", "kafka.acks"),
        ("5", "kafka.enable.idempotence"),
        ("6", "kafka.linger.ms"),
        ("11", "relay.pol_interval"),
        ("12", "relay.http_port"),
        ("13", "relay.log_level"),
        ("14", "relay.poll_interval"),
        ("17", "source.0.name"),
        ("19", "source.1.name"),
        ("20", "source.1.database"),
        ("21", "source.1.colour"),
    }


def test_a_misspelt_setting_is_told_what_it_could_be(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidConfig, match=r"relay.toml:2: relay.pol_interval: is no setting; did you mean 'poll_interval'"
    ):
        loaded(tmp_path, "[relay]\npol_interval = 1\n" + GOOD)


@pytest.mark.parametrize("option", sorted(LOCKED))
def test_options_that_a_promise_needs_are_refused_with_the_reason(tmp_path: Path, option: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        loaded(tmp_path, GOOD.replace("[kafka]", f'[kafka]\n"{option}" = 1'))
    assert f"relay.toml:2: kafka.{option}: is set by the relay and may not be changed: {LOCKED[option]}" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("change", "place", "field"),
    [
        ("[kafka]\nnonsense.option = 1", "2", "kafka.nonsense.option"),
        ('[kafka]\n"linger.ms" = "soon"', "2", "kafka.linger.ms"),
        ('[kafka]\n"security.protocol" = "ssl"\n"ssl.ca.location" = "/no/such/file"', "1", "kafka"),
    ],
)
def test_options_that_the_client_refuses(tmp_path: Path, change: str, place: str, field: str) -> None:
    assert problems(tmp_path, GOOD.replace("[kafka]", change)) == {(place, field)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {("kafka",), ("source",)}),
        ("[kafka]\n", {("kafka",), ("source",)}),
        ("kafka = 1\nsource = 2\nrelay = 3\n", {("kafka",), ("source",), ("relay",)}),
        ("[kafka]\n'bootstrap.servers' = 'b'\n[source]\nname = 'x'\n", {("source",)}),
    ],
)
def test_parts_that_are_missing_or_of_another_shape(tmp_path: Path, text: str, expected: set[tuple[str]]) -> None:
    assert {(field,) for _, field in problems(tmp_path, text)} == expected


@pytest.mark.parametrize(
    ("line", "field", "text"),
    [
        ('topic_prefix = "a b"', "topic_prefix", "must match"),
        ('routes = { orders = "a b" }', "routes.orders", "needs legal topic names"),
        ('routes = { orders = ".." }', "routes.orders", "needs legal topic names"),
        ("routes = { orders = 1 }", "routes.orders", "must be a valid string"),
        ('routes = { "a b" = "orders" }', "routes.a b", "needs legal topic names"),
        ('routes = { orders.v1 = "x" }', "routes.orders", "must be a valid string"),
        ('routes = { a = "x", b = "x" }', "routes", "sends a and b to x: a held key of one would not hold"),
    ],
)
def test_routes_that_lead_nowhere(tmp_path: Path, line: str, field: str, text: str) -> None:
    with pytest.raises(InvalidConfig, match=rf"relay.toml:6: source.0.{field}.*: {text}"):
        loaded(tmp_path, f"{GOOD}{line}\n")


def test_names_that_would_share_their_variables(tmp_path: Path) -> None:
    text = GOOD + '[[source]]\nname = "PAYER"\ndatabase = "postgresql://relay@127.0.0.1/other"\n'
    assert problems(tmp_path, text) == {("7", "source.1.name")}


def test_one_database_is_one_source(tmp_path: Path) -> None:
    text = GOOD + '[[source]]\nname = "other"\ndatabase = "postgresql://someone:else@127.0.0.1:5432/payer"\n'
    assert problems(tmp_path, text) == {("8", "source.1.database")}


@pytest.mark.parametrize(
    "database",
    [
        "nonsense",
        f"mysql://u:{SECRET}@h/x",
        f"postgresql://u:{SECRET}@h:port/x",
        f"postgresql://u:{SECRET}@h/x?colour=red",
        f"postgresql://u:p@{SECRET}@h/x",
        "",
    ],
)
def test_a_database_that_is_none(tmp_path: Path, database: str) -> None:
    assert problems(tmp_path, GOOD.replace("postgresql://relay@127.0.0.1/payer", database)) == {
        ("5", "source.0.database")
    }


def test_a_delivery_that_is_none(tmp_path: Path) -> None:
    text = GOOD + 'delivery = "once"\npages_topic = "two words"\n'
    with pytest.raises(InvalidConfig, match="delivery: must be 'at_least_once' or 'exactly_once'"):
        loaded(tmp_path, text)
    assert {field for _, field in problems(tmp_path, text)} == {"source.0.delivery", "source.0.pages_topic"}


def test_a_file_that_is_no_toml_or_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"is not TOML: .*line 2"):
        loaded(tmp_path, "[kafka]\nx = = 1\n")
    with pytest.raises(InvalidConfig, match="cannot be read"):
        load(tmp_path / "missing.toml", {})


def test_the_environment_goes_over_the_file(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        GOOD.replace('name = "payer"', 'name = "payer-eu"'),
        ONCEWARD_KAFKA__BOOTSTRAP_SERVERS="other:1",
        ONCEWARD_KAFKA__SASL_PASSWORD=SECRET,
        ONCEWARD_RELAY__HTTP_PORT="0",
        ONCEWARD_RELAY__POLL_INTERVAL="0.5",
        ONCEWARD_RELAY__NAME="123",
        ONCEWARD_SOURCE__PAYER_EU__EVENT_SOURCE="/eu",
        ONCEWARD_SOURCE__NEW__DATABASE="postgresql://n/n",
        ONCEWARD_FAILPOINT="no setting of ours",
        UNRELATED__THING="x",
    )
    assert settings.client_options == {"bootstrap.servers": "other:1", "sasl.password": SECRET}
    assert (settings.relay.http_port, settings.relay.poll_interval, settings.relay.name) == (0, 0.5, "123")
    assert [(s.name, s.ce_source) for s in settings.source] == [("payer-eu", "/eu"), ("new", "new")]


def test_every_setting_can_come_from_the_environment(tmp_path: Path) -> None:
    """Without a file's help: the file is empty."""
    values = {
        "name": "n", "poll_interval": "0.1", "stall_timeout": "9", "stop_timeout": "3", "http_host": "127.0.0.2",
        "http_port": "1", "log_level": "debug", "log_format": "json", "instances": "m,n",
    }  # fmt: skip
    assert values.keys() == RelaySettings.model_fields.keys()
    source = {
        "database": "postgresql://h/x", "password": "p", "event_source": "s", "name": "payer",
        "topic_prefix": "eu.", "routes": "orders=orders.v2, payments=pay", "delivery": "exactly_once", "pages_topic": "p",
        "outbox_limit": "2000000",
    }  # fmt: skip
    assert source.keys() == SourceSettings.model_fields.keys()
    settings = loaded(
        tmp_path,
        "",
        ONCEWARD_KAFKA__BOOTSTRAP_SERVERS="b:1",
        **{f"ONCEWARD_RELAY__{name.upper()}": value for name, value in values.items()},
        **{f"ONCEWARD_SOURCE__PAYER__{name.upper()}": value for name, value in source.items()},
    )
    assert {name: str(value) for name, value in settings.relay.model_dump().items()} == {
        **values,
        "stall_timeout": "9.0",
        "stop_timeout": "3.0",
        "instances": "('m', 'n')",
    }
    assert settings.source[0].model_dump(exclude={"database", "password"}) == {
        "name": "payer",
        "event_source": "s",
        "topic_prefix": "eu.",
        "routes": {"orders": "orders.v2", "payments": "pay"},
        "delivery": "exactly_once",
        "pages_topic": "p",
        "outbox_limit": 2000000,
    }
    assert settings.source[0].conninfo == "dbname=x host=h password=p"


def test_what_is_wrong_in_the_environment_is_told_by_its_variable(tmp_path: Path) -> None:
    assert problems(
        tmp_path,
        GOOD,
        ONCEWARD_RELAY__POL_INTERVAL="1",
        ONCEWARD_RELAY__HTTP_PORT="many",
        ONCEWARD_KAFKA__ACKS="1",
        ONCEWARD_KAFKAA__ACKS="1",
        ONCEWARD_SOURCE__PAYER__DATABASE=f"mysql://u:{SECRET}@h/x",
        ONCEWARD_SOURCE__TYPO__EVENT_SOURCE="x",
    ) == {
        ("ONCEWARD_RELAY__POL_INTERVAL", "relay.pol_interval"),
        ("ONCEWARD_RELAY__HTTP_PORT", "relay.http_port"),
        ("ONCEWARD_KAFKA__ACKS", "kafka.acks"),
        ("ONCEWARD_KAFKAA__ACKS", "environment"),
        ("ONCEWARD_SOURCE__PAYER__DATABASE", "source.0.database"),
        ("ONCEWARD_SOURCE__TYPO__EVENT_SOURCE", "source.1.database"),
    }


def test_secrets_are_masked_wherever_settings_are_shown(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        GOOD.replace("relay@", f"relay:{SECRET}@"),
        ONCEWARD_KAFKA__SASL_PASSWORD=SECRET,
        ONCEWARD_KAFKA__SSL_KEY_PASSWORD=SECRET,
        ONCEWARD_KAFKA__SASL_OAUTHBEARER_CLIENT_SECRET=SECRET,
    )
    shown = (repr(settings), str(settings), repr(settings.source), settings.model_dump_json(), settings.source[0].place)
    assert all(SECRET not in text for text in shown)
    assert settings.client_options["sasl.password"] == SECRET
    assert SECRET in settings.source[0].conninfo
    assert SECRET not in repr(settings.client_options)


def test_secrets_stand_in_files_and_are_read_when_they_are_needed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("first\n")
    text = f'''
[kafka]
"bootstrap.servers" = "b:1"
"sasl.password" = {{ file = "{secret}" }}
ssl.key.password.file = "{secret}"
[[source]]
name = "payer"
database = "postgresql://relay@h/payer"
password = {{ file = "{secret}" }}
[[source]]
name = "other"
database = {{ file = "{tmp_path / "url"}" }}
'''
    settings = loaded(
        tmp_path, text, ONCEWARD_KAFKA__SSL_KEYSTORE_PASSWORD_FILE=str(secret), ONCEWARD_SOURCE__NEW__DATABASE_FILE="/x"
    )
    options, (payer, other, new) = settings.client_options, settings.source
    names = ("sasl.password", "ssl.key.password", "ssl.keystore.password")
    assert [options[name] for name in names] == ["first"] * 3
    assert payer.conninfo == "user=relay dbname=payer host=h password=first"
    before = fingerprint(options)
    secret.write_text(SECRET)
    (tmp_path / "url").write_text(f"postgresql://relay:{SECRET}@h/other\n")
    assert [options[name] for name in names] == [SECRET] * 3
    assert fingerprint(options) != before
    assert SECRET in payer.conninfo
    assert (other.place, new.place) == ("h:5432/other", "file /x")
    assert SECRET not in repr(settings) + repr(options) + settings.model_dump_json() + payer.place + other.place


def test_a_file_that_an_option_names_itself_is_none_that_holds_its_value(tmp_path: Path) -> None:
    for form in ("sasl.oauthbearer.assertion.file", '"sasl.oauthbearer.assertion.file"'):
        settings = loaded(tmp_path, GOOD.replace("[kafka]", f'[kafka]\n{form} = "/x"'))
        assert settings.client_options["sasl.oauthbearer.assertion.file"] == "/x"
    settings = loaded(tmp_path, GOOD, ONCEWARD_KAFKA__SASL_OAUTHBEARER_ASSERTION_FILE="/y")
    assert settings.client_options["sasl.oauthbearer.assertion.file"] == "/y"


def test_a_secret_of_kafka_that_cannot_be_read(tmp_path: Path) -> None:
    text = GOOD.replace("[kafka]", '[kafka]\n"sasl.password" = { file = "/no/such/file" }')
    assert problems(tmp_path, text) == {("2", "kafka.sasl.password")}
    assert problems(tmp_path, GOOD, ONCEWARD_KAFKA__SASL_PASSWORD_FILE="/no/such/file") == {
        ("ONCEWARD_KAFKA__SASL_PASSWORD_FILE", "kafka.sasl.password")
    }


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ('"ssl.endpoint.identification.algorithm" = "none"', "must be https: without it any certificate"),
        ('"enable.ssl.certificate.verification" = false', "must be true: without it anybody passes for a broker"),
        ('"sasl.oauthbearer.token.endpoint.url" = "http://idp/token"', "must be an https:// URL"),
        ('"enable.sasl.oauthbearer.unsecure.jwt" = true', "may not be set: anybody can make a token"),
        ('"plugin.library.paths" = "x"', "may not be set: it loads foreign code"),
        ('"group.id" = "x"', "is not among the options that may be set"),
        ('"sasl.pasword" = "x"', "is not among the options that may be set; did you mean sasl.password"),
    ],
)
def test_options_that_are_not_known_to_be_harmless_are_refused(tmp_path: Path, option: str, text: str) -> None:
    with pytest.raises(InvalidConfig, match=f"relay.toml:2: kafka.*: {text}"):
        loaded(tmp_path, GOOD.replace("[kafka]", f"[kafka]\n{option}"))
    if "must be https" in text or "must be true" in text:
        loaded(
            tmp_path, GOOD.replace("[kafka]", f"[kafka]\n{option}".replace("none", "https").replace("false", "true"))
        )


def test_the_client_knows_every_option_that_may_be_set(tmp_path: Path) -> None:
    """A name that was misspelt in the list would be of no use to anybody."""
    unknown = [
        name
        for name in CONNECTION | PRODUCING | CONSUMING
        if (error := refused_by_client(name)) and "No such configuration property" in error
    ]
    assert unknown == []


def refused_by_client(name: str) -> str:
    try:
        Producer({name: "1", "log_level": 0}).flush()
    except KafkaException as error:
        return str(error)
    return ""


def test_the_command_ends_with_status_2(tmp_path: Path) -> None:
    file = tmp_path / "relay.toml"
    file.write_text("[kafka]\nacks = 1\n")
    for command in ("run", "check"):
        done = CliRunner().invoke(main, ["relay", command, "--config", str(file)])
        assert done.exit_code == 2
        assert f"{file}:2: kafka.acks: is set by the relay" in done.stderr


def test_instances_come_from_file_and_environment(tmp_path: Path) -> None:
    text = GOOD + '[relay]\nname = "a"\ninstances = ["a", "b"]\n'
    assert loaded(tmp_path, text).relay.instances == ("a", "b")
    assert loaded(tmp_path, text, ONCEWARD_RELAY__INSTANCES="a, c").relay.instances == ("a", "c")
    assert loaded(tmp_path, GOOD).relay.instances == ()


def test_an_instance_is_one_of_them_and_each_is_named_once(tmp_path: Path) -> None:
    for names in ('["a", "b"]', '["z", "b", "z"]', '["z", "b c"]'):
        found = problems(tmp_path, f'{GOOD}[relay]\nname = "z"\ninstances = {names}\n')
        assert [field.rpartition(".")[0] or field for _, field in found] in (["relay.instances"], ["relay"]), names


def test_one_that_runs_may_be_left_out(tmp_path: Path) -> None:
    file = tmp_path / "relay.toml"
    file.write_text(f'{GOOD}[relay]\nname = "z"\ninstances = ["a", "b"]\n')
    assert load(file, {}, may_leave=True).relay.instances == ("a", "b")
