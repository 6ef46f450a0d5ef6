"""The office's sidebar: the pages by job, with what waits as badges, for who may look at them."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse

from operations import report_page
from operations.home import waiting
from operations.home.waiting import list_url, view_permission

LEVELS = {each.key: each.level for each in waiting.ALL}


@dataclass(frozen=True)
class Page:
    """The list of a model under the name that staff use, and what waits in it."""

    page: str
    title: str
    icon: str
    waits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """A page of the office that is no list, for who has its permission."""

    name: str  # of its address
    title: str
    icon: str
    permission: str
    waits: tuple[str, ...] = ()


DECIDES = "grants.decide_grant"
PLACES: dict[str, tuple[Place, ...]] = {
    "": (Place("learners", "Find a learner", "search", "enrollments.view_enrollment"),),
    "Grants": (
        Place("grant_triage", "To answer", "rate_review", DECIDES, ("grants",)),
        Place("grant_triage_many", "Answer many", "checklist", DECIDES),
    ),
    "Platform": (Place("reports", "Reports", "assessment", report_page.PERMISSION),),
}
JOBS: dict[str, tuple[Page, ...]] = {
    "Learners": (
        Page("enrollments.enrollment", "Enrollments", "school", ("without_access",)),
        Page("accounts.user", "People", "person"),
        Page("account.emailaddress", "Addresses", "alternate_email"),
        Page("enrollments.enrollmentbatch", "Many at once", "group_add"),
        Page("enrollments.batchrow", "Rows of lists", "list"),
        Page("enrollments.enrollmentevent", "History of enrollments", "history"),
        Page("accounts.learnernote", "Notes", "sticky_note_2"),
        Page("notifications.email", "E-mails", "mail", ("dead_mails",)),
        Page(
            "notifications.undeliverableaddress",
            "Undeliverable addresses",
            "unsubscribe",
            ("addresses",),
        ),
    ),
    "Sales": (
        Page("payments.payment", "Payments", "payments", ("set_aside",)),
        Page("payments.refund", "Refunds", "undo", ("refunds",)),
        Page("payments.refundrequest", "Refund requests", "contact_support", ("refund_requests",)),
        Page("payments.dispute", "Disputes", "gavel", ("disputes",)),
        Page("payments.earlyfraudwarning", "Fraud warnings", "warning", ("warnings",)),
        Page("payments.stripeevent", "Stripe events", "bolt", ("dead_events",)),
        Page("payments.reconciliation", "Compared with Stripe", "balance"),
        Page("payments.webhookproblem", "Webhook problems", "link_off"),
    ),
    "Grants": (
        Page("grants.grant", "Applications", "redeem"),
        Page("grants.program", "Programs and budgets", "savings"),
        Page("grants.messagetemplate", "Messages to applicants", "edit_note"),
        Page("grants.refusal", "Refused codes", "block"),
    ),
    "Affiliates": (
        Page("affiliates.affiliate", "Affiliates", "handshake", ("affiliates",)),
        Page("affiliates.commission", "Commissions", "percent"),
        Page("affiliates.balance", "Balances", "account_balance_wallet"),
        Page("affiliates.ledgerentry", "Ledger", "menu_book"),
        Page("affiliates.payoutbatch", "Payout runs", "outbox", ("payouts", "released")),
        Page("affiliates.payout", "Payouts", "send_money"),
        Page("affiliates.fraudsignal", "Fraud signals", "flag", ("signals",)),
    ),
    "Courses": (
        Page("courses.course", "Courses", "menu_book"),
        Page("courses.instructorprofile", "Instructors", "co_present"),
    ),
    "Platform": (
        Page("lms_sync.deadletter", "Dead letters", "error", ("dead_letters",)),
        Page("lms_sync.platformstate", "Learning platforms", "dns"),
        Page("lms_sync.syncjob", "LMS jobs", "sync"),
        Page("lms_sync.syncattempt", "Attempts", "replay"),
        Page("enrollments.accessdifference", "Differences of access", "rule", ("differences",)),
        Page("enrollments.accesscomparison", "Compared with the LMS", "balance"),
        Page("notifications.mailstate", "Mail server", "outgoing_mail"),
        Page("notifications.alert", "Alerts", "notifications"),
        Page("notifications.alertnotice", "Notices of alerts", "campaign"),
    ),
    "Settings": (
        Page("accounts.auditentry", "Change log", "manage_search"),
        Page("auth.group", "Roles", "admin_panel_settings"),
        Page("accounts.apikey", "API keys", "key"),
        Page("legacy.importrun", "Imports", "move_to_inbox"),
        Page("legacy.importedrow", "Imported rows", "list"),
        Page("legacy.importproposal", "Proposals of imports", "rule"),
    ),
}
SETTINGS = "Settings"  # and whatever has no other place here
SETTINGS_ICON = "settings"
# What the templates ask of every group and item: a key that is missing is searched for long.
OF_A_GROUP = {"badge": None, "collapsible": False}
OF_AN_ITEM = {"badge": None, "link_callback": None}


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the groups of the sidebar with the pages that this user may look at."""
    found = waiting.counts_for(request)
    groups = {"": [_home(), *_places("", request, found)]}
    for job, pages in {**JOBS, SETTINGS: (*JOBS[SETTINGS], *_others())}.items():
        lists = [
            _item(each, list_url(each.page), found) for each in pages if _is_shown(each, request)
        ]
        groups[job] = [*_places(job, request, found), *lists]
    return [
        {**OF_A_GROUP, "title": job, "separator": bool(job), "items": items}
        for job, items in groups.items()
        if items
    ]


def _home() -> dict[str, Any]:
    return {**OF_AN_ITEM, "title": "Home", "icon": "home", "link": reverse("admin:index")}


def _places(job: str, request: HttpRequest, found: Counter[str]) -> list[dict[str, Any]]:
    return [
        _item(each, reverse(each.name), found)
        for each in PLACES.get(job, ())
        if request.user.has_perm(each.permission)
    ]


def _others() -> tuple[Page, ...]:
    """Return the pages of the office that have no other place."""
    placed = {each.page for pages in JOBS.values() for each in pages}
    options = [model._meta for model in admin.site._registry]
    return tuple(
        Page(each.label_lower, str(each.verbose_name_plural).capitalize(), SETTINGS_ICON)
        for each in sorted(options, key=lambda each: each.label_lower)
        if each.label_lower not in placed
    )


def _is_shown(page: Page, request: HttpRequest) -> bool:
    changes = view_permission(page.page).replace(".view_", ".change_")
    return request.user.has_perm(view_permission(page.page)) or request.user.has_perm(changes)


def _item(page: Page | Place, link: str, found: Counter[str]) -> dict[str, Any]:
    item = {**OF_AN_ITEM, "title": page.title, "icon": page.icon, "link": link}
    number = sum(found[key] for key in page.waits)
    if not number:
        return item
    level = min(LEVELS[key] for key in page.waits if found[key])
    return {**item, "badge": waiting.number_text(number), "badge_variant": level}
