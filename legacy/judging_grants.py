"""The outcome of each grant: what its coupon is good for now, and which sale used it."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from grants.models import Grant
from legacy.answers import LONGEST_CODE, Answers
from legacy.facts import NO_CREATED, REFUSED, GrantFact, SaleFact
from legacy.judged import INVALID_EMAIL, UNKNOWN_COURSE, UNKNOWN_STATUS, Judged
from legacy.vocabulary import GRANTS, SALES

GRANT_STATUSES = (Grant.PENDING, Grant.APPROVED, Grant.REJECTED)
EXPIRED_BY_JOB = "Automatically expired"
CODE_COLLISION = "code_collision"
UNUSED_FOR_EVER = timedelta(days=730)


@dataclass
class Coupons:
    """Which sales used which code, and for whom a grant is open already."""

    used: dict[str, list[SaleFact]] = field(default_factory=lambda: defaultdict(list))
    unpaid: set[str] = field(default_factory=set)
    held: set[tuple[str, str]] = field(default_factory=set)


def judge_grants(found: Judged, answers: Answers) -> None:
    """Judge all grants, the earliest first; sales are judged before."""
    coupons = _coupons_of_sales(found)
    for grant in sorted(found.book.of(GRANTS).values(), key=lambda g: g.order):
        if grant.expires_at is None and grant.old_status == Grant.APPROVED:
            grant.expires_at = grant.created + UNUSED_FOR_EVER
            grant.notes |= {"no_expiry"} if grant.code else set()
        if _is_grant_whole(grant, found, answers):
            _judge_use(grant, found, answers, coupons)


def _coupons_of_sales(found: Judged) -> Coupons:
    coupons = Coupons()
    for sale in sorted(found.book.of(SALES).values(), key=lambda s: s.order):
        if sale.coupon and sale.is_imported and sale.old_status == "paid":
            coupons.used[sale.coupon].append(sale)
        elif sale.coupon:
            coupons.unpaid.add(sale.coupon)
    owners = {(grant.code, grant.email) for grant in found.book.of(GRANTS).values()}
    for sales in coupons.used.values():
        holder = _holder(sales, owners)
        sales.remove(holder)
        sales.insert(0, holder)
        for second in sales[1:]:
            second.notes.add("coupon_used_twice")
    return coupons


def _holder(sales: list[SaleFact], owners: set[tuple[str, str | None]]) -> SaleFact:
    """Return the earliest; among those of its second, if no more is known of it, the owner's."""
    first = sales[0]
    if NO_CREATED not in first.notes:
        return first
    as_early = [sale for sale in sales if sale.created.replace(microsecond=0) == first.created]
    owned = [sale for sale in as_early if (sale.coupon, sale.email) in owners]
    return (owned or as_early or [first])[0]


def _judge_use(grant: GrantFact, found: Judged, answers: Answers, coupons: Coupons) -> None:
    users = coupons.used.get(grant.code, []) if grant.code else []
    if grant.is_used and not users:
        reason = "used_by_unpaid" if grant.code in coupons.unpaid else "used_without_enrollment"
        if not answers.coupon_end(grant, reason):
            answers.leave_open(grant, reason)
            return
    becomes = grant.becomes or (Grant.REDEEMED if users else _unused(grant, found))
    place = (found.courses[grant.course_id].slug, grant.email or "")
    if becomes in Grant.OPEN and place in coupons.held:
        if not answers.take(grant, "two_open_grants", "close"):
            answers.leave_open(grant, "two_open_grants")
            return
        becomes = Grant.EXPIRED
    coupons.held |= {place} if becomes in Grant.OPEN else set()
    grant.becomes = becomes
    if grant.code:
        found.grants[grant.code] = grant
    if becomes == Grant.REDEEMED:
        grant.holder = users[0].key
        users[0].grant = grant.key


def _is_grant_whole(grant: GrantFact, found: Judged, answers: Answers) -> bool:
    """Judge a grant by itself; the first reason counts."""
    if grant.email is None:
        grant.end(REFUSED, INVALID_EMAIL)
        return False
    reason = next(_open_questions(grant, found, answers), "")
    if reason:
        answers.leave_open(grant, reason)
    return not reason


def _open_questions(grant: GrantFact, found: Judged, answers: Answers) -> Iterator[str]:
    """Yield what the operator has not answered; an answer is put in as its question comes up."""
    if grant.course_id not in found.courses and not answers.course(grant, found.courses):
        yield UNKNOWN_COURSE
    if _has_bad_percent(grant) and not answers.percent(grant):
        yield "percent_out_of_range"
    reason = _trouble_of_code(grant, found)
    if reason and not answers.code(grant, found):
        # Its spelling is why it collides, and no note of its own.
        grant.notes -= {"code_spelling"} if reason == CODE_COLLISION else set()
        yield reason
    if grant.old_status not in GRANT_STATUSES and not answers.status(grant, GRANT_STATUSES):
        yield UNKNOWN_STATUS


def _trouble_of_code(grant: GrantFact, found: Judged) -> str:
    if grant.old_status == Grant.APPROVED and not grant.code:
        return "approved_without_code"
    if len(grant.code) > LONGEST_CODE:
        return "code_too_long"
    return CODE_COLLISION if grant.code in found.grants else ""


def _has_bad_percent(grant: GrantFact) -> bool:
    is_stated = grant.percent is not None or grant.old_status == Grant.APPROVED
    return is_stated and not grant.has_good_percent


def _unused(grant: GrantFact, found: Judged) -> str:
    by_job = grant.old_status == Grant.REJECTED and grant.admin_notes == EXPIRED_BY_JOB
    is_over = grant.expires_at is not None and grant.expires_at <= found.book.exported_at
    is_expired = by_job or (grant.old_status == Grant.APPROVED and is_over)
    return Grant.EXPIRED if is_expired else grant.old_status
