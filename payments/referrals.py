"""Whose link a purchase came through: resolved at checkout, and written on the enrollment.

The ledger gets it from there when the enrollment is paid. Trouble with it never stops a purchase
(requirement R041): it is logged, and nobody is credited.
"""

import logging
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest

from affiliates import attribution, fraud, ledger, visits
from affiliates.attribution import Click, Referral
from affiliates.codes import normalize_code
from affiliates.models import Affiliate, FraudSignal
from enrollments.models import Enrollment

logger = logging.getLogger(__name__)

DATABASE_ERRORS = (DatabaseError, InterfaceError)


def referral_of(click: Click | None, *, email: str) -> Referral | None:
    """Return who is credited with a purchase of this buyer.

    None without a link, and when the database fails to say whose it is.
    """
    if click is None:
        return None
    try:
        return attribution.resolve(click, email=email)
    except DATABASE_ERRORS:
        logger.exception("a referral could not be resolved")
        return None


def is_kept(enrollment: Enrollment, referral: Referral | None) -> bool:
    """Whether a running checkout is credited to whom the visitor's link says.

    Without a link, or with one that is nobody's, the buyer's last click is the one of before.
    """
    if referral is None or referral.outcome == attribution.UNKNOWN:
        return True
    credited = referral.affiliate.pk if referral.affiliate and referral.is_credited else None
    return (enrollment.referral_outcome, enrollment.affiliate_id) == (referral.outcome, credited)


def last_of(referral: Referral | None, replaced: Enrollment) -> Referral | None:
    """Return the referral of a checkout that replaces this one: the last link the buyer followed.

    That is the link of the replaced checkout when they come without one, and the affiliate is
    still active.
    """
    is_newer = referral is not None and referral.outcome != attribution.UNKNOWN
    if is_newer or not replaced.referral_code:
        return referral
    click = Click(
        replaced.referral_code, network_key=replaced.network_key, label=replaced.referral_label
    )
    return referral_of(click, email=replaced.email)


def click_named(request: HttpRequest, code: Any) -> Click | None:
    """Return the click that a program names by a referral code, else the cookie's."""
    return attribution.click_of(request, code=normalize_code(code) if isinstance(code, str) else "")


def shown_to(request: HttpRequest, *, email: str | None = "") -> Referral | None:
    """Return what the checkout page says about the link its visitor came through.

    That is by whom they were referred, or that the link is their own. `email` is what they have
    entered so far. For an old link, which names an address, the page names nobody: whoever tries
    addresses would learn whose they are. Only a signed-in account learns that it is its own.
    """
    click = attribution.click_of(request)
    account = click.user.email if click and click.user else ""
    if not attribution.is_hidden(request.COOKIES.get(settings.REFERRAL_COOKIE_NAME, "")):
        return referral_of(click, email=email or account)
    referral = referral_of(click, email=account)
    return (
        referral
        if referral and referral.outcome == attribution.SELF
        else Referral(attribution.UNNAMED)
    )


def facts_of(referral: Referral | None, *, list_price: int) -> dict[str, Any]:
    """Return the enrollment's columns that keep the referral as a fact (R040, R076)."""
    if referral is None:
        return {}
    facts: dict[str, Any] = {
        "referral_outcome": referral.outcome,
        "network_key": referral.network_key,
    }
    if referral.affiliate is None or not referral.is_credited:
        return facts
    affiliate = referral.affiliate
    return {
        **facts,
        "affiliate_id": affiliate.pk,
        "referral_code": affiliate.code,
        "referral_label": referral.label,
        "commission_base": list_price,
        "commission_rate": affiliate.rate_basis_points,
        "mails_affiliate": affiliate.sale_mails == Affiliate.EACH,
    }


def note_rebuilt(enrollment: Enrollment) -> None:
    """Do as `note_checkout` for a checkout whose rows are made again."""
    affiliate = Affiliate.objects.filter(pk=cast("UUID", enrollment.affiliate_id)).first()
    note_checkout(enrollment, Referral(attribution.CREDITED, affiliate))


def note_checkout(enrollment: Enrollment, referral: Referral | None) -> None:
    """Count a referred checkout that is written, and note what a person should look at.

    Whatever fails here has no effect on the checkout.
    """
    if referral is None or referral.affiliate is None:
        return
    try:
        if referral.is_credited:
            _count_checkout(referral.affiliate.pk, enrollment)
        for kind in [*referral.signals, *_alias_signal(enrollment, referral)]:
            detail = f"{enrollment.course_title}, {enrollment.email}"
            fraud.note(
                referral.affiliate,
                kind,
                key=str(enrollment.pk),
                detail=detail,
                enrollment_id=enrollment.pk,
            )
    except DATABASE_ERRORS:
        logger.exception("a referred checkout was not counted")


def _count_checkout(affiliate_id: UUID, enrollment: Enrollment) -> None:
    """Count a checkout, and on the first of a day ensure the balance for its commission.

    The payment, which comes later, then has one write less to make.
    """
    slug, currency = enrollment.course_slug, enrollment.currency
    is_first = visits.count_checkout(affiliate_id, slug, currency, enrollment.referral_label)
    if is_first and enrollment.amount:
        ledger.ensure_balance(affiliate_id, enrollment.currency)


def _alias_signal(enrollment: Enrollment, referral: Referral) -> list[str]:
    affiliate = referral.affiliate
    is_variant = (
        affiliate is not None
        and enrollment.email != affiliate.email
        and attribution.alias_key(enrollment.email) == affiliate.alias_key
    )
    return [FraudSignal.ALIAS_EMAIL] if is_variant else []
