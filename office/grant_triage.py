"""Staff answer applications one after the other: read, decide, next.

What each percentage costs is on the page before anything is pressed. Decisions are those of the
page of grants, and are carried out as there.
"""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from grants.errors import AlreadyDecided, InvalidDecision
from grants.messages import filled
from grants.models import Grant, MessageTemplate
from maaledu.errors import AppError
from office import grant_queue
from office.decisions import carry_out
from office.grant_costs import cost_of
from office.grant_forms import RejectionForm
from office.grant_queue import Queue
from office.grant_triage_forms import OFFERED, TriageForm
from office.learner_search import PERMISSION as SEES_LEARNERS
from office.learner_search import learner_url

GONE = "That application does not wait any more: this is the next one."
MOST_EARLIER = 20


@dataclass(frozen=True)
class Desk:
    """What one page is about: the application that is read, and the forms to answer it."""

    queue: Queue
    place: int
    grant: Grant
    earlier: list[Grant]
    approval: TriageForm
    rejection: RejectionForm


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def show(request: HttpRequest) -> HttpResponse:
    """Show an application and what it would cost; on POST decide, and go on to the next one.

    Raises PermissionDenied for who may not decide.
    """
    queue = grant_queue.read(request)
    place = queue.place_of(request.GET.get("grant", ""))
    if place is None and "grant" in request.GET:
        messages.warning(request, GONE)
        return redirect(queue.address_of(None))
    if not queue.rows:
        return render(request, "admin/grants/triage.html", grant_queue.context(request, queue))
    if request.method == "POST" and queue.chosen.key != request.GET.get("program"):
        messages.error(request, grant_queue.ANOTHER_PAYER)
        return redirect(queue.address_of(place))
    desk = _open(request, queue, place or 0)
    answer = _decide(request, desk) if "decide" in request.POST else None
    if answer:
        return answer
    context = {**grant_queue.context(request, queue), **_page(request, desk)}
    return render(request, "admin/grants/triage.html", context)


def _open(request: HttpRequest, queue: Queue, place: int) -> Desk:
    waiting = queue.rows[place]
    of_address = Grant.objects.filter(email=waiting.email).select_related("course", "program")
    found = list(of_address.order_by("-created_at", "-pk")[:MOST_EARLIER])
    grant = next((each for each in found if each.pk == waiting.pk), None)
    grant = grant or of_address.get(pk=waiting.pk)
    templates = list(MessageTemplate.objects.all())
    data = request.POST if request.method == "POST" else None
    is_rejection = request.POST.get("decide") == "reject"
    rejection = RejectionForm(data if is_rejection else None, prefix="reject")
    grant_queue.offer(rejection.fields["template"], templates, MessageTemplate.REJECTION)
    rejection.fields["reason"].widget.attrs["data-key"] = "r"
    return Desk(
        queue=queue,
        place=place,
        grant=grant,
        earlier=[each for each in found if each.pk != grant.pk],
        approval=TriageForm(None if is_rejection else data, grant, queue, templates),
        rejection=rejection,
    )


def _decide(request: HttpRequest, desk: Desk) -> HttpResponse | None:
    """Carry the decision out and go on to the next; None where the page is shown once more."""
    name = request.POST["decide"]
    form: Any = {"approve": desk.approval, "reject": desk.rejection}.get(name)
    if form is None or not form.is_valid():
        return None
    decision, data = grant_queue.grants_page().decisions[name], form.cleaned_data
    try:
        carry_out(decision, request, [desk.grant], data)
    except AlreadyDecided as error:
        messages.warning(request, f"{desk.grant.name}: {error.message}")
    except AppError as error:
        decision.add_refusal(form, error)
        return None
    else:
        percent = f" at {data['decision'].percent} %" if name == "approve" else ""
        messages.success(request, f"{desk.grant.name}: {decision.done}{percent}.")
    following = desk.place + 1 if desk.place + 1 < len(desk.queue.rows) else 0
    is_last = len(desk.queue.rows) == 1
    return redirect(desk.queue.address_of(None if is_last else following))


def _page(request: HttpRequest, desk: Desk) -> dict[str, Any]:
    grant, queue, form = desk.grant, desk.queue, desk.approval
    is_checked = form.is_bound and form.is_valid()
    message, problem = _message(form, grant) if is_checked else ("", "")
    sees_learners = request.user.has_perm(SEES_LEARNERS)
    return {
        "desk": desk,
        "position": f"{desk.place + 1} of {len(queue.rows)}",
        "due": grant_queue.grants_page().days_left(grant),
        "costs": [cost_of(grant.course, percent, queue.rate, queue.program) for percent in OFFERED],
        "chosen": form.cost,
        "message": message,
        "problem": problem,
        "learner_url": learner_url(grant.email) if sees_learners else "",
        "here_url": queue.address_of(desk.place),
        "previous_url": queue.address_of(desk.place - 1) if desk.place else "",
        "next_url": _after(desk),
        "grant_url": reverse("admin:grants_grant_change", args=[grant.pk]),
    }


def _after(desk: Desk) -> str:
    place = desk.place + 1
    return desk.queue.address_of(place) if place < len(desk.queue.rows) else ""


def _message(form: TriageForm, grant: Grant) -> tuple[str, str]:
    """Return what the applicant would read, or why it cannot be sent."""
    decision = form.cleaned_data["decision"]
    try:
        text = filled(
            decision.note,
            grant,
            course=grant.course.title,
            percent=decision.percent,
            expires_at=decision.expires_at,
        )
    except InvalidDecision as error:
        return "", error.message
    return text, ""
