"""The end of the demo: what was found, for people and for programs."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy import make_url

from onceward_relay.demo.reckoning import EXAMPLES, Doubt, Finding, Sum, doubts, sums
from onceward_relay.demo.run import Outcome
from onceward_relay.demo.settings import Settings

DOUBTS = 10
"""How many calls in doubt are shown in full."""


def document(outcome: Outcome) -> dict[str, Any]:
    """Return the outcome for programs."""
    facts = outcome.facts
    return {
        "kept": outcome.kept,
        "complete": outcome.facts.complete,
        "seed": outcome.plan.seed,
        "seconds": round(outcome.seconds, 1),
        "transfers": Counter(transfer.state for transfer in facts.transfers),
        "promises": [
            {"promise": each.promise, "kept": each.kept, "counted": each.counted, "broken": list(each.broken)}
            for each in outcome.findings
        ],
        "kills": [{"victim": death.victim, "how": death.how} for death in outcome.deaths],
        "calls": Counter(call.state for call in facts.calls),
        "lost_answers": _lost_answers(outcome),
        "in_doubt": [_doubt(each, outcome.settings) for each in doubts(facts)],
        "money": [_sum(each) for each in sums(facts)],
    }


def _lost_answers(outcome: Outcome) -> dict[str, int]:
    """Return what became of the calls of which at least one attempt had no answer."""
    calls = [call for call in outcome.facts.calls if call.sends_without_answer]
    return {
        "calls": len(calls),
        "sent_again": sum(call.settled_by == "answer" for call in calls),
        "looked_up": sum(call.settled_by == "lookup" for call in calls),
        "in_doubt": sum(call.state == "in_doubt" for call in calls),
    }


def _doubt(doubt: Doubt, settings: Settings) -> dict[str, Any]:
    call = doubt.call
    return {
        "call": str(call.id),
        "operation": f"{call.provider}/{call.operation}",
        "transfer": call.ref,
        "amount": f"{call.amount:.2f}",
        "currency": call.currency,
        "what_happened": call.error_text,
        "incident": call.incident,
        "effects_in_the_books": doubt.effects,
        "command": f"onceward calls show {call.id} --database '{_database(call.participant, settings)}'",
    }


def _sum(each: Sum) -> dict[str, str]:
    return {
        "currency": each.currency,
        "debited": f"{each.debited:.2f}",
        "credited": f"{each.credited:.2f}",
        "refunded": f"{each.refunded:.2f}",
        "in_doubt": f"{each.in_doubt:.2f}",
        "difference": f"{each.difference:.2f}",
    }


def _database(participant: str, settings: Settings) -> str:
    url = settings.payer_database if participant == "payer" else settings.payee_database
    return make_url(url).render_as_string(hide_password=True)


def print_report(outcome: Outcome, console: Console, *, keeps: bool) -> None:
    """Show the outcome to a person."""
    console.print()
    console.rule(f"[b]The reckoning[/] · {outcome.seconds:.0f} s · {len(outcome.deaths)} kills", align="left")
    console.print("What people wrote down is compared with Kafka, the databases and the banks' own books.")
    console.print(_promises(outcome.findings))
    if outcome.facts.complete:
        console.print(_money(sums(outcome.facts)))
    console.print(_about_lost_answers(outcome), highlight=False)
    _print_doubts(outcome, console, keeps=keeps)
    console.print()
    console.print(_verdict(outcome), highlight=False)


def _verdict(outcome: Outcome) -> str:
    if outcome.kept:
        return "[b green]Every promise was kept.[/]"
    if outcome.broken:
        return "[b red]A promise was broken.[/]"
    return (
        "[b yellow]The time was up before everything had come to its end.[/] No promise was found broken, but not all"
        " could be judged. Try fewer --transfers, or a machine that has less to do."
    )


def _promises(findings: Sequence[Finding]) -> Table:
    table = Table("", "promise", "what was counted", box=box.SIMPLE, pad_edge=False)
    for each in findings:
        table.add_row("[green]✓[/]" if each.kept else "[red]✗[/]", each.promise, escape(each.counted))
        for broken in each.broken[:EXAMPLES]:
            table.add_row("", "", f"[red]{escape(broken)}[/]")
        if len(each.broken) > EXAMPLES:
            table.add_row("", "", f"[red]and {len(each.broken) - EXAMPLES:,} more[/]")
    return table


def _money(found: Sequence[Sum]) -> Table:
    columns = ("money", "debited at A", "= credited at B", "+ refunded at A", "+ in doubt", "lost or made")
    table = Table(*columns, box=box.SIMPLE, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for each in found:
        cells = (each.debited, each.credited, each.refunded, each.in_doubt, each.difference)
        table.add_row(each.currency, *(f"{cell:,.2f}" for cell in cells))
    return table


def _about_lost_answers(outcome: Outcome) -> str:
    lost = _lost_answers(outcome)
    return (
        f"[b]{lost['calls']:,} calls[/] were left without an answer: {lost['sent_again']:,} were sent again under the"
        f" same key, {lost['looked_up']:,} were looked up at the bank, and [b]{lost['in_doubt']:,} are in doubt[/]."
    )


def _print_doubts(outcome: Outcome, console: Console, *, keeps: bool) -> None:
    found = doubts(outcome.facts)
    for each in found[:DOUBTS]:
        call = each.call
        books = {0: "it took no effect", 1: "it took effect"}.get(each.effects, f"it took effect {each.effects} times")
        console.print(
            f"\n  [yellow]in doubt[/] {call.currency} {call.amount:,.2f} by {call.provider}/{call.operation}"
            f" for transfer {call.ref}\n"
            f"  [dim]what happened  [/] {escape(call.error_text or '')}\n"
            f"  [dim]why it waits   [/] {escape(_reason(call.incident or ''))}\n"
            f"  [dim]the truth      [/] {books}: the bank's books say so, which no code of yours can read\n"
            f"  [dim]look at it     [/] {escape(_doubt(each, outcome.settings)['command'])}",
            highlight=False,
            soft_wrap=True,
        )
    if len(found) > DOUBTS:
        console.print(f"\n  and {len(found) - DOUBTS:,} more: onceward calls list --state in_doubt", highlight=False)
    if found and not keeps:
        console.print("\n  [dim]The databases are removed now; with --keep they stay, and these commands work.[/]")


def _reason(incident: str) -> str:
    """Return what an incident's title says after what happened."""
    return incident.rpartition("); ")[2] or "code goes on to find out"


def print_connections(settings: Settings, console: Console) -> None:
    """Show how to look around in a demo that stays up."""
    payer, payee = (_database(name, settings) for name in ("payer", "payee"))
    console.print(
        f"\n[b]Everything stays up until Ctrl-C.[/] Look around in another terminal:\n"
        f"  psql '{payer}'\n"
        f"  psql '{payee}'\n"
        f"  onceward incidents list --database '{payee}'\n"
        f"  onceward calls list --state in_doubt --database '{payee}'\n"
        f"  Kafka: {settings.kafka_options['bootstrap.servers']}, bank A: {settings.bank_a}, bank B: {settings.bank_b}",
        highlight=False,
        soft_wrap=True,
    )
