"""How many people have to agree to what, at each participant."""

from decimal import Decimal, InvalidOperation
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from onceward_relay.console.deciding import Call, Refused, Unanswered, decide
from onceward_relay.console.pages.forms import as_page, attempt_of, participant_of, typed_of
from onceward_relay.console.pages.settings import back, page
from onceward_relay.console.routes import Route
from onceward_relay.console.typed import Typed

WHICH = ("provider", "operation", "verb", "currency")


async def set_rule(request: Request) -> Response:
    """Set a rule; one for the same decisions is replaced."""
    typed = await typed_of(request)
    rule = _rule(typed)
    approvals = int(typed.choice("approvals", {"0": "", "1": ""}))
    return await _done(request, typed, ("set_rule", {**rule, "approvals": approvals}), "rule.set", "rule")


async def drop_rule(request: Request) -> Response:
    """Remove a rule."""
    typed = await typed_of(request)
    return await _done(request, typed, ("drop_rule", _rule(typed)), "rule.drop", "dropped")


async def set_solo(request: Request) -> Response:
    """Let one person decide alone, or not any more."""
    typed = await typed_of(request)
    solo = typed.choice("solo", {"yes": "", "no": ""}) == "yes"
    return await _done(request, typed, ("set_solo", {"solo": solo}), "solo.set", "solo")


def _rule(typed: Typed) -> dict[str, Any]:
    """Return which decisions a rule is about."""
    rule: dict[str, Any] = {name: typed.text(name) or "*" for name in WHICH}
    try:
        rule["above"] = Decimal(typed.text("above") or "0")
    except InvalidOperation:
        typed.mistakes["above"] = "give an amount like 500 or 500.00"
    return rule


async def _done(request: Request, typed: Typed, call: Call, action: str, done: str) -> Response:
    participant = participant_of(request)
    reason = typed.reason()
    form = f"{call[0]}-{participant.name}"
    if not typed.mistakes:
        actor = request.state.visit.person
        subject = "/".join(str(call[1].get(name, "solo")) for name in WHICH) if call[0] != "set_solo" else "solo"
        attempt = attempt_of(request, action, "rule" if call[0] != "set_solo" else "setting", subject, reason)
        try:
            await decide(participant, attempt, (call[0], {**call[1], "actor": actor, "reason": reason}))
            return back(done, f"at-{participant.name}")
        except Unanswered as error:
            raise as_page(error) from error
        except Refused as error:
            if call[0] == "drop_rule":
                raise HTTPException(error.status, f"{error.words}. Nothing was changed.") from error
            typed.mistakes["reason" if error.field is None else error.field] = error.words.removeprefix(
                f"{error.field}: "
            )
    field, why = next(iter(typed.mistakes.items()))
    return await page(request, status=400, form=form, typed=typed.texts, wrong=f"{field}: {why}")


ROUTES = (
    Route("POST", "/settings/{participant}/rules", set_rule, "manage"),
    Route("POST", "/settings/{participant}/rules/drop", drop_rule, "manage"),
    Route("POST", "/settings/{participant}/solo", set_solo, "manage"),
)
