"""Commands of the verbs that need more than a reason: a result with its evidence, what is sent for a refund."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4, uuid5

import click

from onceward_relay.cli.asked import Asked, decision_options
from onceward_relay.cli.deciding import actor_option, deciding, do
from onceward_relay.cli.documents import file_bytes, json_object
from onceward_relay.cli.options import Once, database_option, json_option, print_json
from onceward_relay.cli.verbs import decided
from onceward_relay.people.deciding import Attempt

BY_PEOPLE = click.Choice(("statement", "provider_screen", "provider_support"))
"""Where a person knows it from."""
FILE = click.Path(path_type=Path)


@click.command()
@click.argument("subject", type=click.UUID, metavar="CALL")
@decision_options
@click.option(
    "--result", required=True, metavar="JSON|@FILE", callback=json_object, help="What the provider would have answered."
)
@click.option(
    "--evidence-kind", type=BY_PEOPLE, default="provider_screen", show_default=True, help="Where you know it from."
)
@click.option("--evidence-reference", cls=Once, metavar="TEXT", help="The provider's reference of the effect.")
@click.option(
    "--evidence-file", cls=Once, type=FILE, callback=file_bytes, help="A statement, a letter, a picture: at most 1 MiB."
)
def applied(
    asked: Asked,
    subject: UUID,
    result: dict[str, Any],
    evidence_kind: str,
    evidence_reference: str | None,
    evidence_file: bytes | None,
) -> None:
    """Settle CALL as succeeded: it took effect, and this is the result.

    It needs evidence: --evidence-reference, --evidence-file, or --evidence with the id of what is there already.
    """
    item = asked.item("call", subject)
    proposal = asked.proposal("applied", item, body={"result": result})
    attempt = asked.tries("applied", "call", subject)
    with deciding(asked.database) as desk, desk.attempting(attempt) as functions:
        if asked.evidence is None and (evidence_reference or evidence_file):
            proposal["evidence"] = uuid5(item.decision, "evidence")
            brought = {"kind": evidence_kind, "says": "applied", "reference": evidence_reference, "body": evidence_file}
            functions.call("add_evidence", id=proposal["evidence"], call=subject, **brought, actor=asked.actor)
        row = functions.call("propose", **proposal)
    asked.show(row)


refund = decided(
    "call",
    "refund",
    "Reverse CALL, which succeeded, or with --amount and --request a part of it. Its flow may have completed.",
    click.option(
        "--request",
        metavar="JSON|@FILE",
        callback=json_object,
        help="What is sent for it; needed for a part of the amount.",
    ),
    more=lambda request: {} if request is None else {"body": {"request": request}},
)


@click.command()
@click.argument("subject", type=click.UUID, metavar="CALL")
@database_option
@actor_option
@click.option("--id", "evidence", cls=Once, type=click.UUID, help="Of the evidence: given twice, it is one.")
@click.option("--kind", type=BY_PEOPLE, required=True, help="Where you know it from.")
@click.option("--says", type=click.Choice(("applied", "not_applied", "unclear")), required=True, help="What it says.")
@click.option("--reference", cls=Once, metavar="TEXT", help="The provider's reference, or what else one finds it by.")
@click.option(
    "--file",
    "body",
    cls=Once,
    type=FILE,
    callback=file_bytes,
    help="The report itself: at most 1 MiB, in any encoding.",
)
@json_option
def evidence(
    database: str, subject: UUID, actor: str, evidence: UUID | None, kind: str, says: str, reference: str | None,
    body: bytes | None, *, as_json: bool,
) -> None:  # fmt: skip
    """Add what you found out about CALL. It settles nothing by itself; a decision may rest on it."""
    brought = {"id": evidence or uuid4(), "kind": kind, "says": says, "reference": reference, "body": body}
    attempt = Attempt(actor, "evidence", "call", str(subject))
    row = do(database, attempt, "add_evidence", call=subject, **brought, actor=actor)
    print_json({"evidence": row["id"]}) if as_json else click.echo(f"evidence {row['id']}")
