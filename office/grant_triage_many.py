"""Staff approve many applications at once, each at a percentage of its own.

What they come to, and what the budget still covers, is shown before anything is approved; where it
does not cover all of them none is, and the page says which fit.
"""

from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from grants import plans
from grants.applications import Decision
from grants.figures import budget_text
from grants.models import Grant, MessageTemplate
from grants.plans import Plan
from maaledu.errors import AppError
from office import grant_queue
from office.decisions import carry_out_each
from office.grant_costs import cost_of
from office.grant_decisions import APPROVE
from office.grant_queue import Queue
from office.grant_triage_forms import CONFIRM, PERCENT, ManyForm, comes_to, percent_name
from office.searching import uuid_of

ROWS = 50  # on a page
MOST_DIGITS = 6


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def show(request: HttpRequest) -> HttpResponse:
    """Show fifty applications and what was chosen for them; on POST approve those.

    Raises PermissionDenied for who may not decide.
    """
    queue = grant_queue.read(request)
    start = _start(request, queue)
    form = _form(request, queue, start)
    if request.method == "POST":
        if queue.chosen.key != request.GET.get("program"):
            form.add_error(None, grant_queue.ANOTHER_PAYER)
        elif form.is_valid() and "decide" in request.POST and _decide(request, form):
            return redirect(_address(queue, 0))
    context = {**grant_queue.context(request, queue), **_page(queue, form, start)}
    return render(request, "admin/grants/triage_many.html", context)


def _form(request: HttpRequest, queue: Queue, start: int) -> ManyForm:
    """Return the form with what was sent; by the button "fit" without what does not."""
    templates = list(MessageTemplate.objects.all())
    data = request.POST.copy() if request.method == "POST" else None
    window = [row.pk for row in queue.rows[start : start + ROWS]]
    grants = list(_rows(_asked(data or {}) or window))
    form = ManyForm(data, grants, queue.program, templates)
    if data is None or "fit" not in data or not form.is_valid():
        return form
    for approval in form.plan.beyond:
        data[percent_name(approval.grant)] = ""
    return ManyForm(data, grants, queue.program, templates)


def _asked(data: Any) -> list[UUID]:
    """Return whose percentages were sent: the page as it was, whatever waits by now."""
    names = [name.removeprefix(PERCENT) for name in data if name.startswith(PERCENT)]
    return [pk for pk in map(uuid_of, names) if pk][:ROWS]


def _rows(pks: list[UUID]) -> QuerySet[Grant]:
    return Grant.objects.filter(pk__in=pks).select_related("course").order_by("created_at", "pk")


def _decide(request: HttpRequest, form: ManyForm) -> bool:
    """Approve what was chosen; return whether it was, and say in the form why not."""
    data = form.cleaned_data
    try:
        plans.refuse_beyond(form.plan)
    except AppError as error:
        form.add_error(None, f"{error.message} Nothing was approved.")
        return False
    if data["seen"] != comes_to(form.plan):
        form.add_error(None, CONFIRM)
        return False
    decision: Decision = data["decision"]
    asked = [
        (each.grant, {"decision": replace(decision, percent=each.percent)})
        for each in data["approvals"]
    ]
    carry_out_each(APPROVE, request, asked)
    return True


def _page(queue: Queue, form: ManyForm, start: int) -> dict[str, Any]:
    shown, number = form.plan, len(queue.rows)
    return {
        "form": form,
        "comes_to": comes_to(shown),
        "after": _after(shown),
        "beyond": plans.names(shown.beyond) if shown.beyond else "",
        "fitting": len(shown.fitting),
        "warnings": _warnings(shown, queue.rate),
        "here_url": _address(queue, start),
        "earlier_url": _address(queue, max(start - ROWS, 0)) if start else "",
        "later_url": _address(queue, start + ROWS) if start + ROWS < number else "",
        "shared": ("expires_on", "template", "note"),
        "first": start + 1,
        "last": min(start + ROWS, number),
    }


def _after(shown: Plan) -> str:
    """Return what the program has left after these approvals, in words."""
    program, number = shown.program, len(shown.approvals)
    if program is None or not number or not shown.is_covered:
        return ""
    amount, grants = program.amount_left, program.grants_left
    return budget_text(
        None if amount is None else amount - sum(each.cost for each in shown.approvals),
        None if grants is None else grants - number,
        program.currency,
    )


def _warnings(shown: Plan, rate: int) -> list[str]:
    return [
        f"{each.grant.name}, {each.percent} %: {warning}"
        for each in shown.approvals
        for warning in cost_of(each.grant.course, each.percent, rate).warnings
    ]


def _start(request: HttpRequest, queue: Queue) -> int:
    """Return where the page begins: a multiple of its rows, the first where there is none such."""
    typed = request.GET.get("start", "")
    start = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < MOST_DIGITS else 0
    return start - start % ROWS if start < len(queue.rows) else 0


def _address(queue: Queue, start: int) -> str:
    return reverse("grant_triage_many", query={"program": queue.chosen.key, "start": str(start)})
