"""An affiliate's own pages, and the links that their visitors follow."""

import functools
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from accounts.models import User
from affiliates import attribution, labels, memberships, middleware
from affiliates import sale_mails as wishes
from affiliates.models import Affiliate
from affiliates.pages import by_label, chart, figures, next_payout
from affiliates.pages import entries as entry_pages
from affiliates.pages import links as link_builder
from affiliates.pages import statements as monthly
from affiliates.pages.figures import Account
from affiliates.pages.period_form import PeriodForm
from courses.models import Course
from courses.searching import clean_query
from courses.slugs import slug_of
from maaledu.csv import csv_response
from maaledu.errors import BadRequest
from maaledu.money import Money, rate_text
from maaledu.paging import Page
from maaledu.prefetching import is_prefetch
from notifications import bounces

COURSES_AT_ONCE = 12
View = Callable[..., HttpResponseBase]


@require_safe
def referral(request: HttpRequest, code: str, slug: str = "") -> HttpResponseBase:
    """Record an affiliate's link and redirect to the course or the catalogue, for any code.

    The target is always a page of ours; nothing in the address can name another one.
    """
    course = Course.objects.on_sale().filter(slug=slug_of(slug)).first() if slug else None
    label = request.GET.get(middleware.LABEL_PARAMETER, "")
    followed = middleware.follow(request, middleware.Link(code, label))
    response = redirect(course or "catalogue")
    return middleware.keep(request, response, followed, course.slug if course else "")


def partner_page(view: View) -> View:
    """Show the page to affiliates of any status, and redirect everybody else to the program.

    The browser is marked as the affiliate's own, and their network stored, for the review of sales
    made from there.
    """

    @require_safe
    @login_required
    @functools.wraps(view)
    def shown(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        account = figures.account_of(cast("User", request.user).pk)
        if account is None:
            return redirect("affiliates")
        if not is_prefetch(request):
            memberships.remember_network(account.affiliate, attribution.network_key(request))
        response = view(request, account, **kwargs)
        middleware.mark_browser(response, account.affiliate)
        return response

    return shown


@partner_page
def dashboard(request: HttpRequest, account: Account) -> HttpResponse:
    form = PeriodForm(request.GET or None)
    context = figures.dashboard_of(account, form.period() if form.is_valid() else None)
    days, courses = context["funnel"]["days"], context["funnel"]["courses"]
    context |= {
        "minimum": settings.PAYOUT_MINIMUM,
        "mail_problem": bounces.why_undeliverable(cast("User", request.user).email),
        "labels": by_label.figures_of(account.affiliate.pk, context["funnel"]["period"]),
        "best_courses": courses[:COURSES_AT_ONCE],
        "other_courses": courses[COURSES_AT_ONCE:],
        "charts": [
            chart.draw(gettext("Visits"), [(day, steps.visits) for day, steps in days]),
            chart.draw(gettext("Purchases"), [(day, steps.purchases) for day, steps in days]),
        ],
        "busy_days": [(day, steps) for day, steps in reversed(days) if steps != figures.Steps()],
        "period_form": form,
        "next_payouts": next_payout.of(account),
        "attribution_days": settings.ATTRIBUTION_LIFETIME.days,
    }
    page = _page(request, "dashboard", account, context)
    if form.is_bound and form.errors:
        page.status_code = 400
    return page


@login_required
def sale_mails(request: HttpRequest) -> HttpResponse:
    """Keep which messages about sales the affiliate wants.

    Who has to sign in first comes back by a GET, and chooses again.
    """
    if request.method != "POST":
        return redirect("affiliate_dashboard")
    account = figures.account_of(cast("User", request.user).pk)
    wanted = request.POST.get("sale_mails", "")
    if account is None:
        return redirect("affiliates")
    if wanted not in dict(Affiliate.SALE_MAILS):
        raise BadRequest(gettext("Choose which messages about sales you want."))
    if wishes.choose(account.affiliate, wanted):
        messages.success(request, gettext("Your choice is kept."))
    return redirect("affiliate_dashboard")


@partner_page
def entries(request: HttpRequest, account: Account) -> HttpResponse:
    """The entries of one figure (`?figure=&currency=`), of one payout (`?payout=`), or all."""
    params = {
        name: request.GET[name] for name in ("figure", "currency", "payout") if name in request.GET
    }
    cursor = request.GET.get("cursor", "")
    page, context = _list(account, params, cursor)
    context |= {
        "entries": account.mark_pending(page.rows),
        "names": list(entry_pages.NAMES.items()),
        "hold_days": settings.COMMISSION_HOLD.days,
        **_pager(page, params, cursor),
    }
    return _page(request, "entries", account, context)


def _list(account: Account, params: dict[str, str], cursor: str) -> tuple[Page, dict[str, Any]]:
    if "payout" in params:
        payout = entry_pages.payout_of(account, params["payout"])
        return entry_pages.entries_of_payout(payout, cursor=cursor), {"payout": payout}
    if "figure" not in params:
        return entry_pages.all_entries(account, cursor=cursor), {}
    figure = params["figure"]
    balance = entry_pages.balance_of(account, figure, params.get("currency", ""))
    context = {
        "figure": figure,
        "name": entry_pages.NAMES[figure],
        "amount": Money(getattr(balance, figure), balance.currency),
        "balance": balance,
    }
    return entry_pages.entries_of(balance, figure, cursor=cursor), context


@partner_page
def entry(request: HttpRequest, account: Account, pk: UUID) -> HttpResponse:
    return _page(request, "entry", account, entry_pages.detail_of(account, pk))


@partner_page
def links(request: HttpRequest, account: Account) -> HttpResponse:
    query, cursor = clean_query(request.GET.get("q", "")), request.GET.get("cursor", "")
    typed = request.GET.get("via", "")
    label = labels.clean(typed)
    page = link_builder.build(account.affiliate, query=query, cursor=cursor, label=label)
    asked = {name: text for name, text in (("q", query), ("via", label)) if text}
    context = {
        "query": query,
        "links": page.rows,
        "label": label,
        "is_no_label": bool(typed.strip()) and not label,
        "link_to_all": link_builder.labelled(account.affiliate.link, label),
        **_pager(page, asked, cursor),
    }
    return _page(request, "links", account, context)


@partner_page
def statements(request: HttpRequest, account: Account) -> HttpResponse:
    before = monthly.read_month(account, request.GET["before"]) if "before" in request.GET else None
    months, has_more = monthly.months_with_entries(account, before=before)
    context = {
        "months": months,
        "oldest": months[-1] if has_more else None,
        "is_first_page": before is None,
    }
    return _page(request, "statements", account, context)


@partner_page
def statement(request: HttpRequest, account: Account, month: str) -> HttpResponse:
    wanted = monthly.read_month(account, month)
    context = {
        "month": wanted,
        "sections": monthly.sections(account, wanted),
        "is_running": wanted.contains_now,
        "now": timezone.now(),
    }
    return _page(request, "statement", account, context)


@partner_page
def statement_csv(request: HttpRequest, account: Account, month: str) -> HttpResponseBase:
    wanted = monthly.read_month(account, month)
    name = f"statement-{account.affiliate.code}-{wanted}.csv"
    return csv_response(name, monthly.csv_rows(account, wanted), for_people=True)


def _pager(page: Page, params: dict[str, str], cursor: str) -> dict[str, Any]:
    following = urlencode({**params, "cursor": page.next_cursor})
    return {
        "is_first_page": not cursor,
        "first_url": f"?{urlencode(params)}",
        "next_url": f"?{following}" if page.has_more else "",
    }


def _page(
    request: HttpRequest, name: str, account: Account, context: dict[str, Any]
) -> HttpResponse:
    common = {
        "affiliate": account.affiliate,
        "account": account,
        "rate": rate_text(account.affiliate.rate_basis_points),
    }
    return render(request, f"affiliates/{name}.html", {**common, **context})
