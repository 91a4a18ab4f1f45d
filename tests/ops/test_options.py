"""An option that says what a command works on is never taken from the last of two in silence."""

from collections.abc import Iterator, Sequence

import click
import pytest
from click.testing import CliRunner

from onceward_relay.cli import main

SUBJECTS = {"--database", "--config", "--kafka", "--source", "--topic", "--key", "--state", "--ref"}
VALUES = {"calls": "in_doubt", "flows": "blocked", "approvals": "proposed"}
"""A state for each command that is asked for one."""


def commands(group: click.Group, path: Sequence[str] = ()) -> Iterator[tuple[list[str], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, [*path, name])
        else:
            yield [*path, name], command


ONCE = [
    (*path, option.opts[0])
    for path, command in commands(main)
    for option in command.params
    if isinstance(option, click.Option) and not option.multiple and option.opts[0] in SUBJECTS
]


def test_every_group_of_commands_has_some() -> None:
    assert {path[0] for path in ONCE} == {
        "approvals", "audit", "bench", "calls", "console", "demo", "doctor", "flows", "held", "incidents", "providers", "purge", "recover", "relay", "rules",
        "schema", "status",
    }  # fmt: skip


@pytest.mark.parametrize("path", ONCE, ids=" ".join)
def test_a_second_one_is_refused(path: tuple[str, ...]) -> None:
    *command, option = path
    value = VALUES[command[0]] if option == "--state" else "postgresql://127.0.0.1:1/x"
    result = CliRunner().invoke(main, [*command, option, value, f"{option}={value}"], env={"ONCEWARD_DATABASE": ""})
    assert result.exit_code == 2
    assert f"Error: {option} can be given only once here" in result.output
