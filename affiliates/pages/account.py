"""An affiliate's own pages, and the links that lead their visitors in."""

import functools
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from accounts.models import User
from affiliates import attribution, memberships, middleware
from affiliates.pages import chart, figures
from affiliates.pages import entries as entry_pages
from affiliates.pages import links as link_builder
from affiliates.pages import statements as monthly
from affiliates.pages.entry_rows import line
from affiliates.pages.figures import Account
from courses.models import Course
from maaledu.csv import csv_response
from maaledu.money import rate_text
from maaledu.paging import Page

View = Callable[..., HttpResponseBase]


@require_safe
def referral(request: HttpRequest, code: str, slug: str = "") -> HttpResponseBase:
    """A link of an affiliate: remembered, and on to the course or the catalogue, whatever is wrong
    with the code.

    Where it leads is ours alone; nothing in the address can name another place.
    """
    course = Course.objects.on_sale().filter(slug=slug).first() if slug else None
    followed = middleware.follow(request, code)
    return middleware.keep(
        request, redirect(course or "catalogue"), followed, course.slug if course else ""
    )


def partner_page(view: View) -> View:
    """Show the page to affiliates, whatever their standing, and lead everybody else to the program.

    The browser is marked as the affiliate's own, and their network remembered, for the review of
    sales made from there.
    """

    @require_safe
    @login_required
    @functools.wraps(view)
    def shown(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        account = figures.account_of(cast("User", request.user).pk)
        if account is None:
            return redirect("affiliates")
        memberships.remember_network(account.affiliate, attribution.network_key(request))
        response = view(request, account, **kwargs)
        middleware.set_cookie(
            response, settings.PARTNER_COOKIE_NAME, attribution.seal_partner(account.affiliate.code)
        )
        return response

    return shown


@partner_page
def dashboard(request: HttpRequest, account: Account) -> HttpResponse:
    shown = figures.dashboard_of(account)
    days = shown.funnel.days
    context = {
        "balances": [
            (balance, entry_pages.figures_of(balance), figures.payout_minimum(balance.currency))
            for balance in account.balances
        ],
        "is_empty": shown.is_empty,
        "funnel": shown.funnel,
        "best_courses": shown.funnel.courses[: figures.COURSES_AT_ONCE],
        "other_courses": shown.funnel.courses[figures.COURSES_AT_ONCE :],
        "charts": [
            chart.draw("Visits", [(day, steps.visits) for day, steps in days]),
            chart.draw("Purchases", [(day, steps.purchases) for day, steps in days]),
        ],
        "lively_days": [(day, steps) for day, steps in reversed(days) if steps != figures.Steps()],
        "lines": [line(entry, account) for entry in shown.latest],
        "today": days[-1][0],
        "attribution_days": settings.ATTRIBUTION_LIFETIME.days,
    }
    return render(request, "affiliates/dashboard.html", {**_common(account), **context})


@partner_page
def entries(request: HttpRequest, account: Account) -> HttpResponse:
    """The entries of one figure (`?figure=&currency=`), of one payout (`?payout=`), or all of them,
    as pages.
    """
    asked = {
        name: request.GET[name] for name in ("figure", "currency", "payout") if name in request.GET
    }
    page, context = _listing(account, asked, request.GET.get("cursor", ""))
    context |= {
        "lines": [line(entry, account) for entry in page.rows],
        "is_first_page": "cursor" not in request.GET,
        "first_url": f"?{urlencode(asked)}",
        "next_url": f"?{urlencode({**asked, 'cursor': page.next_cursor})}"
        if page.next_cursor
        else "",
        "names": list(entry_pages.NAMES.items()),
        "hold_days": settings.COMMISSION_HOLD.days,
    }
    return render(request, "affiliates/entries.html", {**_common(account), **context})


def _listing(account: Account, asked: dict[str, str], cursor: str) -> tuple[Page, dict[str, Any]]:
    if "payout" in asked:
        payout = entry_pages.payout_of(account, asked["payout"])
        return entry_pages.entries_of_payout(payout, cursor=cursor), {"payout": payout}
    if "figure" in asked:
        figure = entry_pages.figure_of(account, asked["figure"], asked.get("currency", ""))
        return entry_pages.entries_of(figure, cursor=cursor), {"figure": figure}
    return entry_pages.all_entries(account, cursor=cursor), {}


@partner_page
def entry(request: HttpRequest, account: Account, pk: UUID) -> HttpResponse:
    story = entry_pages.tell(account, pk)
    others = [line(other, account) for other in story.others]
    context = {"story": story, "line": line(story.entry, account), "others": others}
    return render(request, "affiliates/entry.html", {**_common(account), **context})


@partner_page
def links(request: HttpRequest, account: Account) -> HttpResponse:
    cursor = request.GET.get("cursor", "")
    shelf = link_builder.build(account.affiliate, query=request.GET.get("q", ""), cursor=cursor)
    searched = {"q": shelf.query} if shelf.query else {}
    context = {
        "shelf": shelf,
        "is_first_page": not cursor,
        "first_url": f"?{urlencode(searched)}",
        "next_url": f"?{urlencode({**searched, 'cursor': shelf.next_cursor})}",
    }
    return render(request, "affiliates/links.html", {**_common(account), **context})


@partner_page
def statements(request: HttpRequest, account: Account) -> HttpResponse:
    before = monthly.read_month(account, request.GET["before"]) if "before" in request.GET else None
    months, has_more = monthly.months_with_entries(account, before=before)
    context = {
        "months": months,
        "oldest": months[-1] if has_more else None,
        "is_first_page": before is None,
    }
    return render(request, "affiliates/statements.html", {**_common(account), **context})


@partner_page
def statement(request: HttpRequest, account: Account, month: str) -> HttpResponse:
    wanted = monthly.read_month(account, month)
    context = {
        "month": wanted,
        "sections": monthly.sections(account, wanted),
        "is_running": wanted.contains_now,
    }
    return render(request, "affiliates/statement.html", {**_common(account), **context})


@partner_page
def statement_csv(request: HttpRequest, account: Account, month: str) -> HttpResponseBase:
    wanted = monthly.read_month(account, month)
    return csv_response(
        f"statement-{account.affiliate.code}-{wanted}.csv", monthly.csv_rows(account, wanted)
    )


def _common(account: Account) -> dict[str, Any]:
    return {
        "affiliate": account.affiliate,
        "account": account,
        "rate": rate_text(account.affiliate.rate_basis_points),
    }
