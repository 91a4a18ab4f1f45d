"""`onceward relay reconcile`: take a source out of its halt after a restore, by a person's decision."""

import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
from psycopg.errors import LockNotAvailable, ObjectInUse

from onceward.database import address
from onceward.sqlfiles import statement
from onceward_relay.cli.options import connected, database_option, decide, json_option, print_json, print_table
from onceward_relay.people.words import ago, inert
from onceward_relay.session import FOREIGN


@click.command()
@database_option
@click.option("--actor", required=True, metavar="NAME", help="Who decides, for the audit.")
@click.option("--reason", required=True, metavar="TEXT", help="Why, for the audit.")
@click.option("--apply", "apply_", is_flag=True, help="Do it. Without this nothing is changed.")
@click.option("--anyway", is_flag=True, help="Also where the source is not halted by its database.")
@click.option(
    "--skip-topic", "skip", multiple=True, metavar="TOPIC",
    help="Do not send this topic's messages again: you know that Kafka has them. Can be given more than once.",
)  # fmt: skip
@json_option
def reconcile(
    database: str, actor: str, reason: str, *, apply_: bool, anyway: bool, skip: tuple[str, ...], as_json: bool
) -> None:
    """Show what a halted source would send again; with --apply, let it.

    Every message that is present in the outbox goes again with its own id, in order of its key; inboxes absorb those
    they know. What is held stays held. Where readers rely on exactly-once delivery instead, compare each topic with
    the outbox and skip those that have all of their messages; these are kept as skipped. The role needs
    onceward_console.
    """
    for option, text in (("--actor", actor), ("--reason", reason)):
        if not text.strip():
            raise click.BadParameter("must not be empty", param_hint=option)
    if apply_:
        decision = {"actor": actor, "reason": reason, "anyway": anyway, "skip": list(skip)}
        done = decide(database, "reconcile", decision, LockNotAvailable, ObjectInUse)
        if as_json:
            print_json({"applied": True, **done})
            return
        for line in _done(done):
            click.echo(inert(line))
        return
    with connected(database) as connection:
        row = connection.execute(statement("onceward_relay", "reconcile_preview")).fetchone()
    assert row is not None
    found = _skipping(row["found"], skip)
    if as_json:
        print_json({"applied": False, **found})
        return
    _show(address(database), found, row["now"])
    click.echo(inert(_advice(found, actor, reason, anyway=anyway)))


def _skipping(found: dict[str, Any], skip: Sequence[str]) -> dict[str, Any]:
    """Return what was found with the decision about each topic.

    Raises:
        click.BadParameter: nothing waits for one of the topics to skip.

    """
    known = {topic["topic"] for topic in found["topics"]}
    if unknown := sorted(set(skip) - known):
        there = f"there are {', '.join(sorted(known))}" if known else "the outbox is empty"
        raise click.BadParameter(f"the outbox has no message to {unknown[0]}; {there}", param_hint="--skip-topic")
    topics = [{**topic, "skip": topic["topic"] in skip} for topic in found["topics"]]
    skipped = sum(topic["messages"] for topic in topics if topic["skip"])
    return {**found, "topics": topics, "skipped": skipped, "messages": found["messages"] - skipped}


def _show(where: str, found: dict[str, Any], now: datetime) -> None:
    halted = found["halted"]
    click.echo(inert(f"{where}: {f'HALTED: {FOREIGN[halted]}' if halted else 'not halted'}"))
    for line in _checkpoint(found, now):
        click.echo(inert(line))
    click.echo()
    print_table(
        ("topic", "messages", "decision", "oldest", "newest", "held keys", "set aside"),
        [_topic(topic) for topic in found["topics"]],
        "the outbox is empty",
    )
    click.echo()


def _checkpoint(found: dict[str, Any], now: datetime) -> list[str]:
    owner = f"  lease       {'held by a relay' if found['owned'] else 'free'}; last owner: {found['relay'] or 'none'}"
    checkpoint = found["checkpoint"]
    if checkpoint is None:
        return ["  checkpoint  none", owner]
    window = f", then up to {checkpoint['s2']} as far as id {checkpoint['last_id']}" if checkpoint["s2"] else ""
    written = datetime.fromisoformat(checkpoint["written_at"])
    when = f"{ago(written, now)} ago ({written.isoformat(timespec='seconds')})"
    return [
        f"  checkpoint  {checkpoint['epoch']}/{checkpoint['seq']}, written {when}",
        f"  settled     all that snapshot {checkpoint['s1']} shows{window}",
        *_page(checkpoint),
        f"  written on  server {checkpoint['system_id']}, timeline {checkpoint['timeline']}",
        f"  this is     server {found['system_id']}, timeline {found['timeline']}",
        owner,
    ]


def _page(checkpoint: dict[str, Any]) -> list[str]:
    if checkpoint["page"] is None:
        return []
    known = "known to be committed in Kafka" if checkpoint["confirmed"] else "planned; only Kafka knows if it is there"
    return [f"  page        {checkpoint['page']}, {known}"]


def _topic(topic: dict[str, Any]) -> tuple[object, ...]:
    held = "the topic" if topic["topic_held"] else topic["held_keys"]
    moments = (topic[name][:19] if topic[name] else "" for name in ("oldest", "newest"))
    decision = "skip" if topic["skip"] else "send again"
    return topic["topic"], topic["messages"], decision, *moments, held, topic["set_aside"]


def _advice(found: dict[str, Any], actor: str, reason: str, *, anyway: bool) -> str:
    if found["halted"] is None and not anyway:
        return (
            "Nothing has to be done: a relay goes on from this checkpoint by itself."
            " To send every message that is present again all the same, add --anyway."
        )
    if found["owned"] and found["halted"] is None:
        return "A relay owns this source. Stop it first."
    command = ["onceward", "relay", "reconcile", "--actor", actor, "--reason", reason]
    command += [part for topic in found["topics"] if topic["skip"] for part in ("--skip-topic", topic["topic"])]
    command += ["--anyway", "--apply"] if anyway else ["--apply"]
    skipped = f" {_messages(found['skipped'])} will not be sent again and kept as skipped;" if found["skipped"] else ""
    return (
        f"Nothing was changed. With --apply {_messages(found['messages'])} will be sent again under the same ids;"
        f"{skipped} {_messages(found['set_aside'])} set aside stay where they are. Publishing waits while it is done.\n"
        f"If that is right:  {shlex.join(command)}  (with the same --database)"
    )


def _done(done: dict[str, Any]) -> list[str]:
    return [
        f"Reconciled: {_messages(done['sent_again'])} will be sent again under the same ids, by the relay's next look.",
        *([f"Skipped: {_messages(done['skipped'])}, kept in held_message."] if done["skipped"] else []),
        f"Audit entry {done['audit']}, epoch {done['epoch']}. Now watch the relay: its source must become `owner`.",
    ]


def _messages(count: int) -> str:
    return f"{count:,} message{'' if count == 1 else 's'}"
