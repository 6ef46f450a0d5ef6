"""What staff decide about an application or its coupon, with what an approval would cost."""

from typing import Any

from django.http import HttpRequest

from affiliates import commissions
from courses.discounts import MAX_PERCENT, MIN_PERCENT, discounted
from courses.models import Course
from grants import applications
from grants.figures import budget_left
from grants.models import Grant
from maaledu.money import Money
from office.decisions import ONE_ROW, Decision
from office.grant_forms import DecisionForm, ExtensionForm, RejectionForm

TEMPLATE = "admin/grants/decision.html"


class ApprovalDecision(Decision):
    """Shows what each grant would cost and whose budget pays, also where it is nobody's."""

    def context(self, request: HttpRequest, rows: list[Grant], form: Any) -> dict[str, Any]:
        rate, program = commissions.highest_rate(), form.program_chosen()
        pays = f"{program.name} pays; it has left: {budget_left(program)}." if program else ""
        percent = percent_in(form)
        return {
            "previews": [preview(grant.course, percent, rate) for grant in rows],
            "percent": percent,
            "pays": pays,
        }


def percent_in(form: DecisionForm) -> int:
    """Return the percentage in the form, 100 while there is none that would be accepted."""
    typed = str(form["percent"].value())
    # isdigit alone takes "²", which int refuses.
    percent = int(typed) if typed.isascii() and typed.isdigit() else MAX_PERCENT
    return percent if MIN_PERCENT <= percent <= MAX_PERCENT else MAX_PERCENT


def preview(course: Course, percent: int, rate: int) -> dict[str, Any]:
    """Return a grant's cost and the warnings about it, for a commission of at most this rate."""
    price = discounted(course.price, percent, course.currency)
    commission = commissions.earned(price.list_price, rate, paid=price.to_pay)
    return {
        "course": course.title,
        "list_price": Money(price.list_price, price.currency),
        "cost": Money(price.discount, price.currency),
        "to_pay": Money(price.to_pay, price.currency),
        "warnings": applications.warnings_about(price, percent, commission=commission),
    }


APPROVE = ApprovalDecision(
    "Approve",
    run=applications.approve,
    permission="decide",
    done="approved",
    form=DecisionForm,
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
    statuses=(Grant.PENDING,),
    template=TEMPLATE,
)
REISSUE = Decision(
    "Reissue code",
    run=applications.reissue,
    permission="decide",
    done="reissued",
    statuses=(Grant.APPROVED,),
    template=TEMPLATE,
    scope=ONE_ROW,
)
EXTEND = Decision(
    "Extend",
    run=applications.extend,
    permission="decide",
    done="extended",
    form=ExtensionForm,
    statuses=(Grant.APPROVED,),
    template=TEMPLATE,
    scope=ONE_ROW,
)
REVOKE = Decision(
    "Revoke",
    run=applications.revoke,
    permission="decide",
    done="revoked",
    statuses=(Grant.APPROVED,),
    template=TEMPLATE,
    scope=ONE_ROW,
)
