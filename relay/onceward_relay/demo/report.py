"""The end of the demo: what was found, for people and for programs."""

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from onceward_relay.demo.guide import address, command, guides
from onceward_relay.demo.reckoning import EXAMPLES, Doubt, Finding, Sum, doubts, sums
from onceward_relay.demo.run import Outcome
from onceward_relay.demo.settings import Settings


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
        "guide": [asdict(each) for each in guides(facts, outcome.settings)],
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
        "command": command("calls", "show", call.id, address(call.participant, settings)),
    }


def _sum(each: Sum) -> dict[str, str]:
    return {
        "currency": each.currency,
        "captured": f"{each.captured:.2f}",
        "credited": f"{each.credited:.2f}",
        "refunded": f"{each.refunded:.2f}",
        "fees": f"{each.fees:.2f}",
        "in_doubt": f"{each.in_doubt:.2f}",
        "difference": f"{each.difference:.2f}",
    }


def print_report(outcome: Outcome, console: Console) -> None:
    """Show the outcome to a person."""
    console.print()
    console.rule(f"[b]The reckoning[/] · {outcome.seconds:.0f} s · {len(outcome.deaths)} kills", align="left")
    console.print("What people wrote down is compared with Kafka, the databases and the banks' own books.")
    console.print(_promises(outcome.findings))
    if outcome.facts.complete:
        console.print(_money(sums(outcome.facts)))
    console.print(_about_lost_answers(outcome), highlight=False)
    console.print()
    console.print(_verdict(outcome), highlight=False)
    _print_guides(outcome, console)


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
    columns = ("money", "captured", "= credited", "+ refunded", "+ fees", "+ in doubt", "lost or made")
    table = Table(*columns, box=box.SIMPLE, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for each in found:
        cells = (each.captured, each.credited, each.refunded, each.fees, each.in_doubt, each.difference)
        table.add_row(each.currency, *(f"{cell:,.2f}" for cell in cells))
    return table


def _about_lost_answers(outcome: Outcome) -> str:
    lost = _lost_answers(outcome)
    return (
        f"[b]{lost['calls']:,} calls[/] were left without an answer: {lost['sent_again']:,} were sent again under the"
        f" same key, {lost['looked_up']:,} were looked up at the bank, and [b]{lost['in_doubt']:,} are in doubt[/]."
    )


def _print_guides(outcome: Outcome, console: Console) -> None:
    """Show what is left to people, and how each is settled."""
    found = guides(outcome.facts, outcome.settings)
    if not found:
        return
    console.print(f"\n[b]What code cannot settle waits for you:[/] {_left_to_people(outcome)}.", highlight=False)
    for each in found:
        console.print(
            f"\n  [yellow]{each.kind.replace('_', ' ')}[/] {escape(each.what)}\n"
            f"  [dim]look at it[/] {escape(each.look)}\n"
            f"  [dim]settle it [/] {escape(each.settle)}",
            highlight=False,
            soft_wrap=True,
        )
    if not outcome.plan.stays:
        again = f"onceward demo --keep --seed {outcome.plan.seed} --transfers {outcome.plan.transfers}"
        console.print(
            f"\n  The databases are removed now. These commands work while the demo stays up: {again}",
            highlight=False,
            soft_wrap=True,
        )


def _left_to_people(outcome: Outcome) -> str:
    facts = outcome.facts
    numbers = {
        "in doubt": len(doubts(facts)),
        "with a mismatch": sum(call.difference is not None for call in facts.calls),
        "stopped by an error of the code": len(facts.blocked),
    }
    return ", ".join(f"{number:,} {what}" for what, number in numbers.items() if number)


def print_connections(outcome: Outcome, console: Console) -> None:
    """Show how to look around in a demo that stays up."""
    settings = outcome.settings
    payer, payee = (shlex.quote(address(name, settings)) for name in ("payer", "payee"))
    console.print(
        f"\n[b]Everything stays up until Ctrl-C.[/] Look around in another terminal:\n"
        f"  psql {payer}\n"
        f"  psql {payee}\n"
        f"  onceward incidents list --database {payee}\n"
        f"  Kafka: {settings.kafka_options['bootstrap.servers']}, bank A: {settings.bank_a}, bank B: {settings.bank_b}",
        highlight=False,
        soft_wrap=True,
    )
    if outcome.console is not None:
        text = f"\n[b]Open the console and settle what is left:[/] {outcome.console}"
        console.print(text, highlight=False, soft_wrap=True)
