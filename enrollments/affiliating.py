"""Affiliates and their e-mails, together: what happens is written in `affiliates`, and its message staged in one transaction."""

import logging
from typing import Any

from django.conf import settings
from django.urls import reverse

from accounts.models import User
from affiliates import joining
from affiliates.joining import Joining
from affiliates.lines import rate_text
from affiliates.models import Affiliate, Balance
from affiliates.payout_details import PayoutDetails
from maaledu.db import atomic, new_id
from maaledu.money import format_money
from notifications import outgoing

logger = logging.getLogger(__name__)

WELCOME, APPLIED, DETAILS_CHANGED = "affiliate_welcome", "affiliate_applied", "affiliate_details_changed"
MINIMUM_SHOWN_IN = "usd"


@atomic
def join(user: User, asked: Joining, *, network_key: str = "") -> Affiliate:
    """Make an affiliate of an account and say by e-mail where that stands. Raises AddressNotVerified, AlreadyAffiliate."""
    affiliate = joining.join(user, asked, network_key=network_key)
    _mail(WELCOME if affiliate.is_active else APPLIED, affiliate)
    return affiliate


def approve(affiliate: Affiliate, *, by: str) -> bool:
    """Approve or reinstate, and welcome whoever was never active before; return whether this call did."""
    done = _approve(affiliate, is_first_time=affiliate.activated_at is None)
    return _record("approved", affiliate, by=by, done=done)


@atomic
def _approve(affiliate: Affiliate, *, is_first_time: bool) -> bool:
    done = joining.activate(affiliate)
    if done and is_first_time:
        _mail(WELCOME, affiliate)
    return done


def suspend(affiliate: Affiliate, *, by: str, reason: str) -> bool:
    """Stop attribution and hold whatever is unpaid; return whether this call did."""
    return _record("suspended", affiliate, by=by, done=joining.suspend(affiliate, reason=reason))


def close(affiliate: Affiliate, *, by: str, reason: str) -> bool:
    """End the partnership; return whether this call did."""
    return _record("closed", affiliate, by=by, done=joining.close(affiliate, reason=reason))


def _record(what: str, affiliate: Affiliate, *, by: str, done: bool) -> bool:
    if done:
        logger.info("affiliate %s", what, extra={"affiliate": str(affiliate.pk), "by": by})
    return done


def change_details(affiliate: Affiliate, details: PayoutDetails) -> bool:
    """Have later payouts go to this account and tell its owner by e-mail; return whether it is another one."""
    fields = details.fields()
    if all(getattr(affiliate, name) == fields[name] for name in ("payout_method", "payee_name", "payout_key")):
        return False
    _change_details(affiliate, details, key=str(new_id()))
    return True


@atomic
def _change_details(affiliate: Affiliate, details: PayoutDetails, *, key: str) -> None:
    joining.change_details(affiliate, details)
    _mail(DETAILS_CHANGED, affiliate, key=key)


# --- what they are told ----------------------------------------------------------------------------------------------
def _mail(kind: str, affiliate: Affiliate, *, key: str = "") -> bool:
    """Stage a message to where the account is reached now. No account number is ever in it, only its hint."""
    to, dedupe_key = affiliate.user.email, f"{kind}:{affiliate.pk}:{key}"
    return outgoing.stage(kind=kind, to=to, dedupe_key=dedupe_key[:120], context=mail_context(affiliate))


def mail_context(affiliate: Affiliate) -> dict[str, Any]:
    return {
        "customer_name": affiliate.name,
        "code": affiliate.code,
        "link": affiliate.link,
        "rate": rate_text(affiliate.rate_basis_points),
        "method": affiliate.get_payout_method_display(),
        "hint": affiliate.payout_hint,
        "is_undecided": affiliate.payout_method == Affiliate.LATER,
        "dashboard_link": settings.SITE_URL + reverse("affiliate_dashboard"),
        "details_link": settings.SITE_URL + reverse("affiliate_details"),
        **terms(),
    }


def terms() -> dict[str, Any]:
    """Return the program's figures as they are set, in words."""
    return {
        "attribution_days": settings.ATTRIBUTION_LIFETIME.days,
        "hold_days": settings.COMMISSION_HOLD.days,
        "minimum": format_money(settings.PAYOUT_MINIMUM, MINIMUM_SHOWN_IN),
    }


def figures_of(affiliate: Affiliate) -> dict[str, Any]:
    """Return an affiliate's own figures for programs: amounts in minor units, and as a reader expects them."""
    balances = Balance.objects.filter(affiliate_id=affiliate.pk).order_by("currency")
    return {
        "code": affiliate.code,
        "link": affiliate.link,
        "name": affiliate.name,
        "status": affiliate.status,
        "rateBasisPoints": affiliate.rate_basis_points,
        "rate": rate_text(affiliate.rate_basis_points),
        "payoutMethod": affiliate.payout_method,
        "payoutAccount": affiliate.payout_hint,
        "balances": [_balance(balance) for balance in balances],
    }


def _balance(balance: Balance) -> dict[str, Any]:
    sums = ("pending", "payable", "paid", "held")
    return {"currency": balance.currency, **{name: _money(getattr(balance, name), balance.currency) for name in sums}}


def _money(amount: int, currency: str) -> dict[str, Any]:
    return {"amount": amount, "display": format_money(amount, currency)}
