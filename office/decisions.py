"""Decisions of staff, each declared once: label, form, permission and the function that runs it.

    APPROVE = Decision("Approve", form=DecisionForm, run=applications.approve, permission="decide")

A page of the office lists its decisions under the names in their addresses:
`decisions = {"approve": APPROVE}` (see `office.base.DecidingAdmin`). Each is offered on the page of
a row and for many rows of the list, asks for confirmation on a page of its own unless it says
otherwise, leaves one history entry for each row and one message, and works without JavaScript.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse

from accounts import audit
from accounts.models import AuditEntry
from maaledu.addresses import is_own_path
from maaledu.errors import AppError
from office.cells import url_of
from office.fields import FormWithFile

# What `run` is given as `by`: the user's name, the User, or nothing.
USERNAME, USER, NOBODY = "username", "user", "nobody"
# What a decision is about: one row only, one row or many, or the list as a whole.
ONE_ROW, ROWS, LIST = "one row", "rows", "list"
# The fields of forms that say why; what was chosen there is kept in its words.
WHY = ("reason", "note")
# Of one request for many rows: what waits longer is cut off by a proxy, and its end is seen by
# nobody.
LONGEST = timedelta(seconds=20)
LEFT = "{number} not decided: the others took too long. Choose them again in a moment."
# Of a list whose rows are all chosen, which may be a million.
MOST_ROWS = 500
TOO_MANY = "{most} are taken at once. Choose the rest of them again afterwards."


class DecidedAlready(AppError):
    code = "DECIDED_ALREADY"
    message = "That is not possible as it stands now: somebody else may have decided already."
    http_status = 409


@dataclass(frozen=True)
class Outcome:
    """The result of a decision, where there is more to say than that it was carried out."""

    entry: str  # the history entry; none is left where it is empty
    message: str = ""  # shown to the user; the history entry is where it is empty
    level: int = messages.SUCCESS
    row: models.Model | None = None  # the row that was made, where it is not the one decided about
    response: HttpResponseBase | None = None  # instead of the redirect


@dataclass(frozen=True)
class Decision:
    """Something that staff may decide about a row, or about a list as a whole.

    `run(row, by=…, **form.cleaned_data)` carries it out. It raises an AppError to refuse, returns
    False where there was nothing to decide, and an Outcome where there is more to say.
    """

    label: str
    _: KW_ONLY
    run: Callable[..., Any]
    permission: str  # "review" of the page's own model, or in full: "payments.refund_payment"
    button: str = ""  # what the button of its page says, where that is not the label
    done: str  # the past participle of the message "3 suspended, 1 skipped" and of the history
    form: type[forms.Form] = forms.Form
    entry_field: str = ""  # the field of the form whose text is added to the history entry
    is_run_told_why: bool = True  # False: the reason is kept in the history entry alone
    consequence: str = ""  # the sentence above the form: what will follow
    statuses: tuple[str, ...] = ()  # the statuses of a row that offer it; empty: all
    kind: str = AuditEntry.DECIDED  # what the change log files it under
    run_by: str = USERNAME
    needs_confirmation: bool = True
    scope: str = ROWS
    template: str = "admin/decision.html"
    preview_fields: tuple[str, ...] = ()  # a change of these fetches the page's preview again
    preview_label: str = ""  # of the button that does the same without JavaScript

    def make_form(self, rows: list[Any], data: Any) -> forms.Form:
        return self.form(data)

    def context(self, request: HttpRequest, rows: list[Any], form: Any) -> dict[str, Any]:
        """Return what the template needs besides; `refusal` is shown instead of the form."""
        return {}

    def refuse_together(self, rows: list[Any], data: dict[str, Any]) -> None:
        """Raise an AppError where these rows cannot be decided together; then none of them is."""

    def add_refusal(self, form: Any, error: AppError) -> None:
        form.add_error(None, error.message)
        if isinstance(form, FormWithFile):
            form.ask_for_files_again()

    def return_url(self, page: Any, request: HttpRequest, rows: list[Any]) -> str:
        if rows:
            return url_of(rows[0])
        return reverse(f"admin:{page.opts.app_label}_{page.opts.model_name}_changelist")


def decide_one(
    page: Any, name: str, request: HttpRequest, object_id: str | None = None
) -> HttpResponseBase:
    """Show a decision with what it is about; carry it out on POST, or show why it was refused.

    Raises PermissionDenied without the decision's permission, Http404 where the row is gone.
    """
    decision = page.decisions[name]
    if not page.may_decide(request, decision):
        raise PermissionDenied
    rows = [] if decision.scope == LIST else [_row(page, request, object_id)]
    decision = page.variant(decision, rows[0]) if rows else decision
    is_sent = request.method == "POST"
    form = decision.make_form(rows, request.POST if is_sent else None)
    form.files = request.FILES
    if is_sent and "preview" not in request.POST and form.is_valid():
        try:
            outcome = carry_out(decision, request, rows, form.cleaned_data)
        except AppError as error:
            decision.add_refusal(form, error)
        else:
            back = decision.return_url(page, request, rows)
            return outcome.response or _redirect(outcome, request, back)
    return _page(page, request, decision, rows, form)


def decide_many(
    decision: Decision, page: Any, request: HttpRequest, queryset: models.QuerySet
) -> HttpResponse | None:
    """Ask for confirmation, carry the decision out for each row, report "3 suspended, 1 skipped".

    The admin has asked for the permission before, as it offers an action only to whoever may use
    it.
    """
    rows = list(queryset[: MOST_ROWS + 1])
    if len(rows) > MOST_ROWS:
        messages.warning(request, TOO_MANY.format(most=MOST_ROWS))
        rows = rows[:MOST_ROWS]
    is_confirmed = "decide" in request.POST or not decision.needs_confirmation
    data = request.POST if is_confirmed or "preview" in request.POST else None
    form = decision.make_form(rows, data)
    if not (is_confirmed and form.is_valid()):
        return _page(page, request, decision, rows, form)
    try:
        decision.refuse_together(rows, form.cleaned_data)
    except AppError as error:
        decision.add_refusal(form, error)
        return _page(page, request, decision, rows, form)
    carry_out_each(decision, request, [(row, form.cleaned_data) for row in rows])
    back = request.POST.get("back", "")
    return redirect(back) if is_own_path(back) else None


def carry_out_each(
    decision: Decision,
    request: HttpRequest,
    asked: Sequence[tuple[Any, dict[str, Any]]],
    *,
    within: timedelta = LONGEST,
) -> None:
    """Carry a decision out for each row with what was asked for it, and report the outcome.

    Each row is decided by itself: a refusal of one does not undo the others. Rows that were not
    come to within the time are left: where Stripe hangs, each of many refunds waits for it.
    """
    outcomes: list[Outcome] = []
    refusals: list[AppError] = []
    until = time.monotonic() + within.total_seconds()
    for number, (row, data) in enumerate(asked):
        if number and time.monotonic() >= until:
            messages.warning(request, LEFT.format(number=len(asked) - number))
            break
        try:
            outcomes.append(carry_out(decision, request, [row], data))
        except AppError as error:
            refusals.append(error)
    _report(decision, request, outcomes, refusals)


def add_history(
    request: HttpRequest,
    row: models.Model,
    text: str,
    *,
    why: str = "",
    kind: str = AuditEntry.DECIDED,
) -> None:
    """Leave an entry in the row's history and in the change log: who did what, when and why."""
    if text:
        LogEntry.objects.log_actions(
            str(request.user.pk), cast("Any", [row]), CHANGE, text, single_object=True
        )
        audit.record(kind, text, by=request.user.get_username(), about=row, why=why)


def _row(page: Any, request: HttpRequest, object_id: str | None) -> Any:
    row = page.get_object(request, cast("str", object_id))
    if row is None:
        raise Http404
    return row


def carry_out(
    decision: Decision, request: HttpRequest, rows: list[Any], data: dict[str, Any]
) -> Outcome:
    """Run a decision with what its form has read, and leave its entry in each row's history.

    Whoever calls has asked for the permission. Raises what the decision does, DecidedAlready.
    """
    user = cast("Any", request.user)
    by = {USERNAME: {"by": user.get_username()}, USER: {"by": user}, NOBODY: {}}[decision.run_by]
    told = {name: data[name] for name in data if decision.is_run_told_why or name not in WHY}
    result = decision.run(*rows, **by, **told)
    if result is False:
        raise DecidedAlready
    text = data.get(decision.entry_field)
    entry = f"{decision.done}: {text}" if text else decision.done
    outcome = result if isinstance(result, Outcome) else Outcome(entry)
    # After the run, so that a decision that was refused leaves no entry.
    for row in [outcome.row] if outcome.row else rows:
        add_history(request, row, outcome.entry, why=_why(decision, data), kind=decision.kind)
    return outcome


def _why(decision: Decision, data: dict[str, Any]) -> str:
    texts = []
    for name in WHY:
        choices = getattr(decision.form.base_fields.get(name), "choices", ())
        texts.append(str(dict(choices).get(data.get(name)) or data.get(name) or ""))
    return ": ".join(filter(None, texts))


def _asked_back(request: HttpRequest) -> str:
    """Return the page of ours that led to a decision, such as a learner's; "" where none did."""
    asked = request.GET.get("back", "")
    return asked if is_own_path(asked) else ""


def _redirect(outcome: Outcome, request: HttpRequest, back: str) -> HttpResponse:
    entry = f"{outcome.entry[:1].upper()}{outcome.entry[1:]}."
    messages.add_message(request, outcome.level, outcome.message or entry)
    made = url_of(outcome.row) if outcome.row else back
    return redirect(_asked_back(request) or made)


def _report(
    decision: Decision, request: HttpRequest, outcomes: list[Outcome], refusals: list[AppError]
) -> None:
    """Report how many rows were decided, each outcome's own message, and each reason once."""
    with_message = [outcome for outcome in outcomes if outcome.message]
    for outcome in with_message:
        messages.add_message(request, outcome.level, outcome.message)
    if refusals or len(with_message) < len(outcomes) or not outcomes:
        level = messages.SUCCESS if outcomes else messages.WARNING
        count = f"{len(outcomes)} {decision.done}, {len(refusals)} skipped."
        messages.add_message(request, level, count)
    # "Decided already" is what "skipped" says.
    reasons = {error.message for error in refusals if not isinstance(error, DecidedAlready)}
    for reason in sorted(reasons):
        messages.warning(request, reason)


def _page(
    page: Any, request: HttpRequest, decision: Decision, rows: list[Any], form: forms.Form
) -> HttpResponse:
    action_name = request.POST.get("action", "")
    back = request.get_full_path() if action_name else decision.return_url(page, request, rows)
    back = _asked_back(request) or back
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "title": decision.label,
        "decision": decision,
        "form": form,
        "rows": [(row, page.facts(row)) for row in rows],
        "action_name": action_name,
        "back": back,
        **decision.context(request, rows, form),
    }
    return render(request, decision.template, context)
