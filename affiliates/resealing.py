"""Encrypt payees' accounts anew after a key was changed, so that the old key can go."""

from collections.abc import Iterator

from django.db.models import Model

from affiliates.models import Affiliate, Payout
from affiliates.payout_details import account_in, account_key
from maaledu.vault import CannotOpen, is_sealed_with_first_key, seal

ROWS_AT_ONCE = 500


def reseal() -> Iterator[tuple[Model, bool]]:
    """Yield each row that needed it, and whether its account could be read.

    A row needs it whose account is not sealed with the first of DETAILS_KEYS, or whose keyed hash
    is not that of SECRET_KEY. Each is one guarded UPDATE: an account that is changed meanwhile is
    left as it was entered. Safe to repeat.
    """
    for affiliate in Affiliate.objects.exclude(payout_sealed="").iterator(ROWS_AT_ONCE):
        yield from _reseal_affiliate(affiliate)
    for payout in Payout.objects.iterator(ROWS_AT_ONCE):
        yield from _reseal_payout(payout)


def _reseal_affiliate(affiliate: Affiliate) -> Iterator[tuple[Model, bool]]:
    try:
        account = account_in(affiliate.payout_sealed)
    except CannotOpen:
        yield affiliate, False
        return
    key = account_key(affiliate.payout_method, account)
    if key != affiliate.payout_key or not is_sealed_with_first_key(affiliate.payout_sealed):
        same = Affiliate.objects.filter(pk=affiliate.pk, payout_sealed=affiliate.payout_sealed)
        same.update(payout_sealed=seal({"account": account}), payout_key=key)
        yield affiliate, True


def _reseal_payout(payout: Payout) -> Iterator[tuple[Model, bool]]:
    if is_sealed_with_first_key(payout.details_sealed):
        return
    try:
        account = account_in(payout.details_sealed)
    except CannotOpen:
        yield payout, False
        return
    same = Payout.objects.filter(pk=payout.pk, details_sealed=payout.details_sealed)
    same.update(details_sealed=seal({"account": account}))
    yield payout, True
