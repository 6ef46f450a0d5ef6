"""Search by what staff have in hand: an address, a name, an id of Stripe's or ours, a code.

One statement, each branch of it by an index of its own table. Nothing is looked for inside a text.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import F, Q, TextField, Value
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from unfold.dataclasses import SearchResult

from maaledu.unions import branch
from office.search_keys import EVENT, EXACT, SESSION, LookUp, look_ups

PERMISSION = "enrollments.view_enrollment"
MOST = 20
MaySee = Callable[[str], bool]


@dataclass(frozen=True)
class Found:
    """What was found: whose it is, what it is, and how it reads."""

    rank: int
    what: str
    email: str
    shown: str

    @property
    def url(self) -> str:
        return learner_url(self.email)


def learner_url(email: str) -> str:
    return reverse("learner", args=[email])


def search(typed: str, may_see: MaySee) -> list[Found]:
    """Return what a term finds, one row for each address and table, what is exact first."""
    found = _read(look_ups(typed), may_see)
    events = [row.email for row in found if row.what == EVENT.what]
    if events:  # an event of Stripe's names its session, and that its payment
        found = _read([LookUp(SESSION, Q(stripe_session_id__in=events))], may_see)
    once = {(row.email, row.what): row for row in reversed(found) if row.email}
    return sorted(once.values(), key=lambda row: (row.rank, row.email, row.what))[:MOST]


def _read(asked: Iterable[LookUp], may_see: MaySee) -> list[Found]:
    allowed = [each for each in asked if may_see(each.key.permission)]
    branches = [
        branch(
            each.key.model._default_manager.filter(each.rows).order_by(),
            {
                "s_rank": Value(each.rank),
                "s_what": Value(each.key.what, output_field=TextField()),
                "s_email": Cast(F(each.key.owner), TextField()),
                "s_shown": Cast(F(each.key.shown), TextField()),
            },
            MOST,
        )
        for each in allowed
    ]
    if not branches:
        return []
    rows = branches[0].union(*branches[1:], all=True) if len(branches) > 1 else branches[0]
    return [Found(rank, what, email or "", shown or "") for rank, what, email, shown in rows]


def results(request: HttpRequest, term: str) -> list[SearchResult]:
    """Answer the office's search box; its own `term` has lost its capitals, which ids have."""
    if not request.user.has_perm(PERMISSION):
        return []
    found = search(request.GET.get("s", term), request.user.has_perm)
    return [
        SearchResult(
            title=row.email,
            description=f"{row.what}: {row.shown}" if row.shown else row.what,
            link=row.url,
            icon="person",
        )
        for row in found
    ]


@never_cache
@require_safe
def show(request: HttpRequest) -> HttpResponse:
    """Find a learner; where a whole key names one only, go to their page.

    Raises PermissionDenied without the permission to look at enrollments.
    """
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    term = request.GET.get("q", "").strip()
    found = search(term, request.user.has_perm) if term else []
    exact = {row.email for row in found if row.rank == EXACT}
    if len(exact) == 1:
        return redirect(learner_url(exact.pop()))
    context = {
        **admin.site.each_context(request),
        "title": "Find a learner",
        "term": term,
        "found": found,
        "is_cut": len(found) >= MOST,
    }
    return render(request, "admin/learners.html", context)
