"""A learner's page: who they are, their courses, what can be done, and all that happened."""

from collections.abc import Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.emails import normalize_email
from accounts.models import LearnerNote
from enrollments.models import Enrollment
from maaledu.logs import without_tokens
from maaledu.money import Money
from notifications import outgoing
from notifications.errors import BrokenTemplate
from notifications.models import Email
from office import refund_decision, timeline
from office.cells import access_words, url_of
from office.decisions import LIST, decide_many
from office.learner_search import PERMISSION, learner_url
from office.timeline import Learner, Row
from office.timeline_sources import SOURCES
from office.timeline_words import COLORS, MODELS, describe, plain
from payments.models import Payment

WITH_ACTIONS = {"mail", "job", "letter", "event", "payment", "request", "grant", "difference"}
ABOUT_LEARNER = ((LearnerNote, "note"), (Enrollment, "comp"))
NOT_SHOWN = "It holds a code for its owner alone, so that it is not shown."
ACCESS_COLORS = {
    Enrollment.LMS_SUCCESS: "success",
    Enrollment.LMS_FAILED: "danger",
    Enrollment.LMS_LOST: "danger",
    Enrollment.LMS_RETRYING: "warning",
}


@dataclass(frozen=True)
class Action:
    """A decision that this user may take about a row: a page to go to, or a button at once."""

    label: str
    url: str = ""
    page: str = ""
    name: str = ""
    row: str = ""


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def show(request: HttpRequest, email: str) -> HttpResponse:
    """Show what is known of an address; on POST carry out a decision that asks for nothing.

    Raises PermissionDenied without the permission to look at enrollments, BadCursor.
    """
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    address = _normal(email)
    if address != email:
        return redirect(learner_url(address))
    if request.method == "POST":
        _decide(request)
        return redirect(learner_url(address))
    sources = [each for each in SOURCES if request.user.has_perm(each.permission)]
    learner = timeline.find(address, sources)
    page = timeline.read(learner, sources, request.GET.get("cursor", ""))
    context = {
        **admin.site.each_context(request),
        **_about(request, learner),
        "title": "Learner",
        "learner": learner,
        "entries": _entries(request, learner, page.rows),
        "next_cursor": page.next_cursor,
        "is_first": "cursor" not in request.GET,
    }
    return render(request, "admin/learner.html", context, status=200 if learner.is_known else 404)


def _normal(email: str) -> str:
    try:
        return normalize_email(email)
    except ValidationError as error:
        raise Http404 from error


def _about(request: HttpRequest, learner: Learner) -> dict[str, Any]:
    names = [each.name for each in learner.enrollments if each.name]
    names += [row.title for row in learner.of_kind("account") if row.title]
    back = learner_url(learner.email)
    return {
        "name": names[0] if names else "",
        "courses": [_course(request, each, back) for each in learner.enrollments],
        "account": _one(learner, "account"),
        "affiliate": _one(learner, "affiliate"),
        "undeliverable": _one(learner, "undeliverable"),
        "actions": list(_actions_about(request, learner)),
    }


def _one(learner: Learner, kind: str) -> Any:
    rows = learner.of_kind(kind)
    return describe(rows[0], {}, {}) if rows else None


def _course(request: HttpRequest, enrollment: Enrollment, back: str) -> dict[str, Any]:
    actions = list(_actions(request, Enrollment, enrollment, back))
    is_bought = enrollment.kind not in Enrollment.UNPAID_KINDS
    may_refund = is_bought and request.user.has_perm(refund_decision.PERMISSION)
    if may_refund and enrollment.status == Enrollment.PAID:
        url = reverse("admin:enrollments_enrollment_refund", args=[enrollment.pk])
        actions.append(Action("Refund", url=url))
    return {
        "enrollment": enrollment,
        "url": url_of(enrollment),
        "price": Money(enrollment.amount, enrollment.currency),
        "color": COLORS.get(enrollment.status, ""),
        "access_text": access_words(enrollment),
        "access_color": ACCESS_COLORS.get(enrollment.lms_status, "info"),
        "actions": actions,
    }


def _actions(request: HttpRequest, model: type[Model], row: Any, back: str) -> Iterable[Action]:
    """Return the decisions about a row that this user may take now."""
    page: Any = admin.site.get_model_admin(model)
    opts = model._meta
    for name, decision in page.decisions.items():
        if decision.scope == LIST or not page.may_decide(request, decision):
            continue
        if not page.is_offered(decision, row):
            continue
        if decision.needs_confirmation:
            url = reverse(f"admin:{opts.app_label}_{opts.model_name}_{name}", args=[row.pk])
            yield Action(decision.label, url=f"{url}?{urlencode({'back': back})}")
        else:
            yield Action(decision.label, page=opts.label, name=name, row=str(row.pk))


def _actions_about(request: HttpRequest, learner: Learner) -> Iterable[Action]:
    """Return the decisions about the learner as such, filled in with the address."""
    filled = urlencode({"email": learner.email, "back": learner_url(learner.email)})
    for model, name in ABOUT_LEARNER:
        page: Any = admin.site.get_model_admin(model)
        decision = page.decisions.get(name)
        if decision and page.may_decide(request, decision):
            url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}")
            yield Action(decision.label, url=f"{url}?{filled}")


def _entries(request: HttpRequest, learner: Learner, rows: list[Row]) -> list[dict[str, Any]]:
    courses = {each.pk.hex: each.course_title for each in learner.enrollments}
    for row in learner.of_kind("payment"):
        courses[plain(row.key)] = courses.get(plain(row.of), "")
    bodies, back = _texts(rows), learner_url(learner.email)
    return [
        {
            "entry": describe(row, courses, bodies),
            "actions": list(_actions_of(request, row, back)),
        }
        for row in rows
    ]


def _actions_of(request: HttpRequest, row: Row, back: str) -> Iterable[Action]:
    if row.kind not in WITH_ACTIONS:
        return ()
    # As much of the row as its page asks about; the decision itself reads the row anew.
    known = SimpleNamespace(pk=row.pk, status=row.state, kind=row.title, rows=[], refundable=0)
    if row.kind == "payment" and row.state == Payment.PAID:
        known.refundable = (row.amount or 0) - int(row.title)
    return _actions(request, MODELS[row.kind], known, back)


def _texts(rows: list[Row]) -> dict[str, str]:
    """Return the text of each e-mail of the page, without the addresses of learners' own pages."""
    keys = [row.key for row in rows if row.kind == "mail"]
    return {mail.pk.hex: _text(mail) for mail in Email.objects.filter(pk__in=keys)} if keys else {}


def _text(mail: Email) -> str:
    if mail.kind == outgoing.ACCOUNT:
        return NOT_SHOWN
    try:
        return without_tokens(str(outgoing.compose(mail).body)).strip()
    except BrokenTemplate as error:
        return str(error)


def _decide(request: HttpRequest) -> None:
    """Carry out a decision that needs no confirmation, by the page that declares it.

    Raises PermissionDenied, and Http404 for what no page declares.
    """
    label, name = request.POST.get("page", ""), request.POST.get("name", "")
    model = next((each for each in MODELS.values() if each._meta.label == label), None)
    page: Any = admin.site.get_model_admin(model) if model else None
    decision = page.decisions.get(name) if page else None
    if decision is None or decision.needs_confirmation or decision.scope == LIST:
        raise Http404
    if not page.may_decide(request, decision):
        raise PermissionDenied
    row = page.get_object(request, request.POST.get("row", ""))
    if row is None:
        raise Http404
    if not page.is_offered(decision, row):
        messages.warning(request, "That is not possible as it stands now.")
        return
    decide_many(decision, page, request, type(row)._default_manager.filter(pk=row.pk))
