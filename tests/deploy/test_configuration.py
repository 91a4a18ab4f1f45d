"""What stands in deploy/ is right: the configurations load, and every setting of the sample exists."""

import re
import tomllib
from pathlib import Path

import pytest

from onceward_relay.config import RelaySettings, SourceSettings, load
from onceward_relay.config_types import Named
from onceward_relay.console.config import ConsoleSettings, GroupRole, OidcSettings
from onceward_relay.console.config import load as load_console

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.mark.parametrize("name", ["relay.toml", "compose-relay.toml"])
def test_a_configuration_loads(name: str) -> None:
    assert load(DEPLOY / name, {}).source


def test_the_sample_shows_every_setting_as_it_is(tmp_path: Path) -> None:
    sample = (DEPLOY / "relay.toml").read_text()
    active = re.sub(r"^# (?=\"?[a-z_.]+\"? = )", "", sample, flags=re.MULTILINE)
    (tmp_path / "relay.toml").write_text(active)
    load(tmp_path / "relay.toml", {"ONCEWARD_KAFKA__SASL_PASSWORD": "secret"})
    shown = tomllib.loads(active)
    assert shown["relay"].keys() == RelaySettings.model_fields.keys()
    assert shown["source"][0].keys() == SourceSettings.model_fields.keys()
    for name, field in RelaySettings.model_fields.items():
        if name not in {"name", "instances"}:  # which have no default that could be written there
            assert shown["relay"][name] == field.default, name


def test_the_consoles_configuration_of_compose_loads() -> None:
    assert load_console(DEPLOY / "compose-console.toml", {}).address == "http://127.0.0.1:8780"


def test_the_consoles_sample_loads_and_shows_every_setting(tmp_path: Path) -> None:
    assert load_console(DEPLOY / "console.toml", {}).console.login == "local"
    sample = (DEPLOY / "console.toml").read_text().replace('login = "local"', 'login = "oidc"')
    active = re.sub(r"^# (?=[a-z_]+ = |\[)", "", sample, flags=re.MULTILINE)
    (tmp_path / "console.toml").write_text(active)
    load_console(tmp_path / "console.toml", {})
    shown = tomllib.loads(active)
    assert shown["console"].keys() == ConsoleSettings.model_fields.keys()
    assert shown["oidc"].keys() == OidcSettings.model_fields.keys()
    assert shown["oidc"]["role"][0].keys() == GroupRole.model_fields.keys()
    assert shown["participant"][0].keys() == Named.model_fields.keys()
    assert shown["console"]["deadline"] == ConsoleSettings.model_fields["deadline"].default
