"""Becoming an affiliate, and what staff decide about one.

Each decision is one guarded UPDATE, with its message in the same transaction.
"""

import logging
from dataclasses import dataclass
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.utils import timezone

from accounts.models import User
from affiliates import fraud, mails
from affiliates.attribution import alias_key
from affiliates.errors import AccountIsClosed, AddressNotVerified, AlreadyAffiliate
from affiliates.models import Affiliate
from affiliates.own_account import refuse_own
from affiliates.payout_details import PayoutDetails, account_keys
from maaledu.db import atomic, duplicate_means, new_id, transition

logger = logging.getLogger(__name__)

ACCOUNT_CLOSED = "The account was closed."


@dataclass(frozen=True)
class Joining:
    """What somebody enters to join; whoever constructs one has accepted the terms."""

    name: str
    tax_country: str
    details: PayoutDetails


def has_verified_address(user: User) -> bool:
    return EmailAddress.objects.filter(user=user, email=user.email, verified=True).exists()


def join(user: User, joining: Joining, *, network_key: str = "") -> Affiliate:
    """Make an affiliate of an account and send them a message.

    They are active at once or have applied, as AFFILIATE_AUTO_APPROVE says. Raises
    AddressNotVerified, and AlreadyAffiliate for a second time.
    """
    if not has_verified_address(user):
        raise AddressNotVerified
    affiliate = Affiliate(
        user=user,
        email=user.email,
        alias_key=alias_key(user.email),
        name=joining.name,
        tax_country=joining.tax_country,
        rate_basis_points=settings.AFFILIATE_RATE_BASIS_POINTS,
        terms_accepted_at=timezone.now(),
        network_key=network_key,
        **joining.details.fields(),
    )
    # No look before: of two forms sent at once both would find no affiliate, and one would fail all
    # the same.
    with duplicate_means(AlreadyAffiliate):
        _insert(affiliate)
    facts = {"affiliate": str(affiliate.pk), "status": affiliate.status}
    logger.info("affiliate joined", extra=facts)
    return affiliate


@atomic
def _insert(affiliate: Affiliate) -> None:
    affiliate.save(force_insert=True)
    if settings.AFFILIATE_AUTO_APPROVE:
        transition(affiliate, Affiliate.ACTIVE, activated_at=timezone.now())
    fraud.note_shared_account(affiliate)
    mails.stage(mails.WELCOME if affiliate.is_active else mails.APPLIED, affiliate)


def approve(affiliate: Affiliate, *, by: str) -> bool:
    """Approve or reinstate; return whether this call did.

    Whoever was never active before gets the welcome message. Raises AccountIsClosed.
    """
    if not affiliate.user.is_active:
        raise AccountIsClosed
    # Read before the transaction, which may run twice: the first run sets it on this object, and
    # the second one would send no welcome.
    done = _approve(affiliate, is_first_time=affiliate.activated_at is None)
    return _log("approved", affiliate, by=by, done=done)


@atomic
def _approve(affiliate: Affiliate, *, is_first_time: bool) -> bool:
    done = transition(affiliate, Affiliate.ACTIVE, status_reason="", activated_at=timezone.now())
    if done and is_first_time:
        mails.stage(mails.WELCOME, affiliate)
    return done


def suspend(affiliate: Affiliate, *, by: str, reason: str) -> bool:
    """Stop attribution and hold what is unpaid; return whether this call did."""
    done = transition(affiliate, Affiliate.SUSPENDED, status_reason=reason[:300])
    return _log("suspended", affiliate, by=by, done=done)


def suspend_closed(user: User, *, by: str) -> bool:
    """Suspend the affiliate whose account is closed; return whether this call did."""
    affiliate = Affiliate.objects.filter(user_id=user.pk, status=Affiliate.ACTIVE).first()
    return affiliate is not None and suspend(affiliate, by=by, reason=ACCOUNT_CLOSED)


def close(affiliate: Affiliate, *, by: str, reason: str) -> bool:
    """End the partnership; return whether this call did."""
    done = transition(affiliate, Affiliate.CLOSED, status_reason=reason[:300])
    return _log("closed", affiliate, by=by, done=done)


def _log(what: str, affiliate: Affiliate, *, by: str, done: bool) -> bool:
    if done:
        logger.info("affiliate %s", what, extra={"affiliate": str(affiliate.pk), "by": by})
    return done


def change_details(affiliate: Affiliate, details: PayoutDetails) -> bool:
    """Set the account of later drafts and send a message; return whether it is another one.

    Payouts that are drafted already keep their account.
    """
    if _has(affiliate, details):
        return False
    fields = details.fields()
    _change_details(affiliate, fields, key=str(new_id()))
    return True


def _has(affiliate: Affiliate, details: PayoutDetails) -> bool:
    """The keyed hash stands for the account, whose encrypted text is another one each time."""
    if (affiliate.payout_method, affiliate.payee_name) != (details.method, details.payee_name):
        return False
    if not details.account:
        return not affiliate.payout_key
    return affiliate.payout_key in account_keys(details.method, details.account)


@atomic
def _change_details(affiliate: Affiliate, fields: dict[str, Any], *, key: str) -> None:
    Affiliate.objects.filter(pk=affiliate.pk).update(**fields, updated_at=timezone.now())
    for name, value in fields.items():
        setattr(affiliate, name, value)
    fraud.note_shared_account(affiliate)
    mails.stage(mails.DETAILS_CHANGED, affiliate, key=key)


def change_rate(affiliate: Affiliate, basis_points: int, *, by: str) -> bool:
    """Set the rate of later attributions, in basis points; return whether it is another one.

    Raises OwnAccount.
    """
    refuse_own([affiliate], by=by)
    rows = Affiliate.objects.filter(pk=affiliate.pk).exclude(rate_basis_points=basis_points)
    return rows.update(rate_basis_points=basis_points, updated_at=timezone.now()) == 1


def remember_network(affiliate: Affiliate, network_key: str) -> None:
    """Store the keyed hash of the affiliate's network, to compare with those of their buyers."""
    # Every page of an affiliate calls this; it writes only what has changed.
    if affiliate.network_key != network_key:
        Affiliate.objects.filter(pk=affiliate.pk).update(network_key=network_key)
