"""What waits for staff: each line is one declaration of what is counted, for whom, and its list.

Counted to fifty at most, all in one statement, so that it costs the same however much there is.
"""

import functools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.core.cache import cache
from django.db.models import CharField, QuerySet, Value
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from affiliates.models import Affiliate, FraudSignal, PayoutBatch
from enrollments.models import AccessDifference, Enrollment
from grants.models import Grant
from lms_sync.models import DeadLetter
from maaledu.work.items import DEAD
from notifications.models import Email, UndeliverableAddress
from operations.home.parts import first_rows, joined
from payments.models import (
    Dispute,
    EarlyFraudWarning,
    Payment,
    Refund,
    RefundRequest,
    StripeEvent,
)

MOST = 50
KEPT = timedelta(seconds=30)  # for the sidebar, which is on every page
CACHE_KEY = "office-waiting"
URGENT, USUAL = "danger", "warning"


@dataclass(frozen=True)
class Work:
    """A page that was made for working through what waits, and the permission that it takes."""

    name: str
    permission: str


@dataclass(frozen=True)
class Waiting:
    """Something that waits for staff; its list is the page of a model, filtered by `query`."""

    key: str
    words: tuple[str, str]  # of one of them, and of more
    page: str  # "payments.dispute"
    query: dict[str, str]
    rows: Callable[[datetime], QuerySet[Any]]
    level: str = USUAL
    work: Work | None = None

    @property
    def permission(self) -> str:
        return view_permission(self.page)

    def url_for(self, request: HttpRequest) -> str:
        """Return where this user works on it: a page of its own, or the list."""
        if self.work and request.user.has_perm(self.work.permission):
            return reverse(self.work.name)
        return list_url(self.page, self.query)


def view_permission(page: str) -> str:
    """Return who may look at a page such as "payments.dispute"."""
    app, _, model = page.partition(".")
    return f"{app}.view_{model}"


def list_url(page: str, query: dict[str, str] | None = None) -> str:
    """Return the address of a model's list, filtered."""
    path = _list_path(page)
    return f"{path}?{urlencode(query)}" if query else path


@functools.cache
def _list_path(page: str) -> str:
    """Looked up once: the sidebar names every list on every page."""
    return reverse(f"admin:{page.replace('.', '_')}_changelist")


TRIAGE = Work("grant_triage", "grants.decide_grant")
ALL = (
    Waiting(
        "without_access",
        ("paid without access", "paid without access"),
        "enrollments.enrollment",
        {"access": "missing"},
        Enrollment.objects.without_access,
        URGENT,
    ),
    Waiting(
        "dead_letters",
        ("dead letter", "dead letters"),
        "lms_sync.deadletter",
        {"status__exact": DeadLetter.Status.OPEN},
        lambda now: DeadLetter.objects.open(),
        URGENT,
    ),
    Waiting(
        "dead_events",
        ("Stripe event that failed for good", "Stripe events that failed for good"),
        "payments.stripeevent",
        {"status__exact": DEAD},
        lambda now: StripeEvent.objects.filter(status=DEAD),
        URGENT,
    ),
    Waiting(
        "set_aside",
        (
            "payment received twice or in another amount",
            "payments received twice or in another amount",
        ),
        "payments.payment",
        {"money": "set_aside"},
        lambda now: Payment.objects.set_aside(),
        URGENT,
    ),
    Waiting(
        "disputes",
        ("dispute that waits for our answer", "disputes that wait for our answer"),
        "payments.dispute",
        {"due": "any"},
        lambda now: Dispute.objects.waiting_for_answer(),
        URGENT,
    ),
    Waiting(
        "warnings",
        ("fraud warning to decide", "fraud warnings to decide"),
        "payments.earlyfraudwarning",
        {"is_actionable__exact": "1", "closed_at__isempty": "1"},
        lambda now: EarlyFraudWarning.objects.open(),
        URGENT,
    ),
    Waiting(
        "refunds",
        ("refund that was refused", "refunds that were refused"),
        "payments.refund",
        {"money": "not_made_good"},
        lambda now: Refund.objects.not_made_good(),
        URGENT,
    ),
    Waiting(
        "differences",
        ("difference of access with an LMS", "differences of access with an LMS"),
        "enrollments.accessdifference",
        {"status__exact": AccessDifference.OPEN},
        lambda now: AccessDifference.objects.open(),
    ),
    Waiting(
        "late_grants",
        ("grant application past its date", "grant applications past their date"),
        "grants.grant",
        {"answer": "late"},
        lambda now: Grant.objects.unanswered(now.date()),
        URGENT,
        TRIAGE,
    ),
    Waiting(
        "grants",
        ("grant application to answer", "grant applications to answer"),
        "grants.grant",
        {"status__exact": Grant.PENDING},
        lambda now: Grant.objects.undecided(),
        work=TRIAGE,
    ),
    Waiting(
        "refund_requests",
        ("refund request of a learner", "refund requests of learners"),
        "payments.refundrequest",
        {"status__exact": RefundRequest.OPEN},
        lambda now: RefundRequest.objects.undecided(),
    ),
    Waiting(
        "affiliates",
        ("affiliate to approve", "affiliates to approve"),
        "affiliates.affiliate",
        {"status__exact": Affiliate.APPLIED},
        lambda now: Affiliate.objects.filter(status=Affiliate.APPLIED),
    ),
    Waiting(
        "payouts",
        ("payout to release", "payouts to release"),
        "affiliates.payoutbatch",
        {"status__exact": PayoutBatch.DRAFT},
        lambda now: PayoutBatch.objects.filter(status=PayoutBatch.DRAFT),
    ),
    Waiting(
        "released",
        ("payout to pay and mark as paid", "payouts to pay and mark as paid"),
        "affiliates.payoutbatch",
        {"status__exact": PayoutBatch.RELEASED},
        lambda now: PayoutBatch.objects.filter(status=PayoutBatch.RELEASED),
    ),
    Waiting(
        "signals",
        ("fraud signal to review", "fraud signals to review"),
        "affiliates.fraudsignal",
        {"status__exact": FraudSignal.OPEN},
        lambda now: FraudSignal.objects.filter(status=FraudSignal.OPEN),
    ),
    Waiting(
        "dead_mails",
        ("e-mail that could not be sent", "e-mails that could not be sent"),
        "notifications.email",
        {"status__exact": DEAD},
        lambda now: Email.objects.filter(status=DEAD),
    ),
    Waiting(
        "addresses",
        ("address whose mails come back", "addresses whose mails come back"),
        "notifications.undeliverableaddress",
        {},
        lambda now: UndeliverableAddress.objects.all(),
    ),
)


def counts(now: datetime | None = None) -> Counter[str]:
    """Return how much waits, by key, each counted to one more than MOST."""
    at = now or timezone.now()
    parts = [
        first_rows(each.rows(at).order_by(), MOST + 1).values_list(
            Value(each.key, output_field=CharField()), flat=True
        )
        for each in ALL
    ]
    found = Counter(joined(parts))
    cache.set(CACHE_KEY, found, KEPT.total_seconds())
    return found


def counts_for(request: HttpRequest) -> Counter[str]:
    """Return what waits now for the first page, and as of half a minute ago for the others.

    Once for a request: the sidebar and the page itself show the same.
    """
    if not hasattr(request, "counts_of_waiting"):
        is_home = request.path == reverse("admin:index")
        kept: Counter[str] | None = None if is_home else cache.get(CACHE_KEY)
        request.counts_of_waiting = counts() if kept is None else kept  # type: ignore[attr-defined]
    return request.counts_of_waiting  # type: ignore[attr-defined]


def number_text(number: int) -> str:
    return f"{MOST}+" if number > MOST else str(number)


def lines_for(request: HttpRequest, found: Counter[str]) -> list[dict[str, Any]]:
    """Return what waits and this user may look at: the urgent first, each with its list."""
    waiting = [each for each in ALL if found[each.key] and request.user.has_perm(each.permission)]
    return [
        {
            "number": number_text(found[each.key]),
            "words": each.words[found[each.key] > 1],
            "url": each.url_for(request),
            "level": each.level,
        }
        for each in sorted(waiting, key=lambda each: each.level != URGENT)
    ]
