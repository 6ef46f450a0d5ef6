"""What staff decide about an application or its coupon, with what an approval would cost."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest

from affiliates import commissions
from courses.discounts import MAX_PERCENT, MIN_PERCENT
from grants import applications, moving, plans
from grants.figures import budget_left
from grants.models import Grant, Program
from grants.plans import Approval, Plan
from maaledu.errors import AppError
from office.decisions import ONE_ROW, Decision, Outcome
from office.fields import ReasonForm
from office.grant_costs import NO_BUDGET, cost_of
from office.grant_forms import DecisionForm, ExtensionForm, RejectionForm
from office.learner_decisions import MoveForm

TEMPLATE = "admin/grants/decision.html"


class ApprovalDecision(Decision):
    """Shows what each grant would cost and whose budget pays, also where it is nobody's.

    Where the budget does not cover all of many approvals, none of them is made.
    """

    def make_form(self, rows: list[Grant], data: Any) -> DecisionForm:
        return DecisionForm(data, initial={"program": payer_of(rows)})

    def context(self, request: HttpRequest, rows: list[Grant], form: Any) -> dict[str, Any]:
        rate, program = commissions.highest_rate(), form.program_chosen()
        percent = percent_in(form)
        return {
            "previews": [
                {"course": grant.course.title, "cost": cost_of(grant.course, percent, rate)}
                for grant in rows
            ],
            "percent": percent,
            "pays": f"{program.name} pays; it has left: {budget_left(program)}." if program else "",
            "beyond": _refusal_in(planned(rows, percent, program)),
            "no_budget": NO_BUDGET,
        }

    def refuse_together(self, rows: list[Grant], data: dict[str, Any]) -> None:
        decision: applications.Decision = data["decision"]
        plans.refuse_beyond(planned(rows, decision.percent, decision.program))


def payer_of(rows: list[Grant]) -> Program | None:
    """Return the first active program with room that can pay for all of these; None for none."""
    currencies = {grant.course.currency for grant in rows}
    active = Program.objects.filter(is_active=True, currency__in=currencies).order_by("name")
    with_room = (program for program in active if not program.is_used_up)
    return next(with_room, None) if len(currencies) == 1 else None


def planned(rows: list[Grant], percent: int, program: Any) -> Plan:
    """Return the plan of those rows that may still be approved, all at one percentage."""
    waiting = [grant for grant in rows if grant.status == Grant.PENDING]
    return plans.plan([Approval(grant, percent) for grant in waiting], program)


def _refusal_in(plan: Plan) -> str:
    try:
        plans.refuse_beyond(plan)
    except AppError as error:
        return error.message
    return ""


def percent_in(form: DecisionForm) -> int:
    """Return the percentage in the form, 100 while there is none that would be accepted."""
    typed = str(form["percent"].value())
    # isdigit alone takes "²", which int refuses.
    percent = int(typed) if typed.isascii() and typed.isdigit() else MAX_PERCENT
    return percent if MIN_PERCENT <= percent <= MAX_PERCENT else MAX_PERCENT


def _revoke(grant: Grant, *, by: str, reason: str) -> Grant:
    return applications.revoke(grant, by=by, note=reason)


def _extend(grant: Grant, *, by: str, until: datetime) -> Outcome:
    before = f"{grant.expires_at:%Y-%m-%d}" if grant.expires_at else "no end"
    applications.extend(grant, by=by, until=until)
    return Outcome(f"extended from {before} to {until:%Y-%m-%d}")


def _move(grant: Grant, *, by: str, to: str, reason: str) -> Outcome:
    moved = moving.move(grant, by=by, to=to, reason=reason)
    return Outcome(f"moved from {grant.email} to {moved.email}: {reason}")


APPROVE = ApprovalDecision(
    "Approve",
    run=applications.approve,
    permission="decide",
    done="approved",
    form=DecisionForm,
    consequence="Who applied gets an e-mail with the coupon.",
    statuses=(Grant.PENDING,),
    template=TEMPLATE,
    preview_fields=("percent", "program"),
    preview_label="Show what it costs",
)
REJECT = Decision(
    "Reject",
    run=applications.reject,
    permission="decide",
    done="rejected",
    form=RejectionForm,
    consequence="Who applied gets an e-mail with the reason. It cannot be taken back.",
    statuses=(Grant.PENDING,),
    template=TEMPLATE,
)
REISSUE = Decision(
    "Reissue code",
    run=applications.reissue,
    permission="decide",
    done="reissued",
    consequence=(
        "The code ends at once, and its holder gets an e-mail with a new one. Percentage and last"
        " day stay."
    ),
    statuses=(Grant.APPROVED,),
    template=TEMPLATE,
    scope=ONE_ROW,
)
EXTEND = Decision(
    "Extend",
    run=_extend,
    permission="decide",
    done="extended",
    form=ExtensionForm,
    consequence="The coupon is good until the end of that day (UTC). No e-mail is sent.",
    statuses=(Grant.APPROVED,),
    template=TEMPLATE,
    scope=ONE_ROW,
)
REVOKE = Decision(
    "Revoke",
    run=_revoke,
    permission="decide",
    done="revoked",
    form=ReasonForm,
    entry_field="reason",
    consequence=(
        "The code ends at once, and its share of the budget is free again. No e-mail is sent, and"
        " it cannot be taken back."
    ),
    statuses=(Grant.APPROVED,),
    template=TEMPLATE,
    scope=ONE_ROW,
)
MOVE = Decision(
    "Move to another address",
    run=_move,
    permission="decide",
    done="moved",
    button="Move",
    form=MoveForm,
    consequence=(
        "For an address that was mistyped: the confirmation, or the coupon with a new code, is sent"
        " to the new one. The old one's link and code end at once."
    ),
    statuses=(Grant.PENDING, Grant.APPROVED),
    template=TEMPLATE,
    scope=ONE_ROW,
)
