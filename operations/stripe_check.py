"""Try the connection to Stripe step by step, and say what is wrong and what to click about it.

Nothing of a buyer's is touched. One Checkout Session for each currency is made and closed at once;
its address is given to nobody.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from courses.models import Course
from maaledu import stripe_setting_rules
from maaledu.diagnosis import Result
from maaledu.money import Money, stripe_minimum
from operations import stripe_deliveries, stripe_endpoints
from operations.stripe_permissions import (
    ENDPOINTS,
    EVENTS,
    SESSIONS,
    Permission,
    needed,
    refusal_of,
)
from payments.checkout_sessions import blocked_origin, sale_params
from payments.errors import StripeKeyRefused, StripeRefused, StripeUnavailable
from payments.refusal_table import KEY_LIMITED, PRICE
from payments.stripe_calls import answered_at, ask, client

CLOCK_TOLERANCE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
KEYS = "Stripe's dashboard › Developers › API keys"
HOME = "Stripe's dashboard › Home"
TITLE = "A sale that stripe_check tries"
Account = dict[str, Any]


def examine() -> Iterator[Result]:
    """Yield one result a step: key, clock, each permission, account, currencies, endpoint.

    It ends where Stripe does not answer, or refuses the key as a whole. What needs a permission
    that the key lacks, or a right clock, is left out, so that one cause is one problem.
    """
    try:
        yield from _steps()
    except StripeUnavailable as error:
        said = error.details.get("stripe_message") or error.details["error"]
        yield Result(
            "answer",
            ok=False,
            message=f"Stripe does not answer: {said}",
            advice="Look at status.stripe.com, and whether a firewall or proxy is in between.",
        )
    except StripeKeyRefused as error:
        yield Result("key", ok=False, message=str(error), advice=f"See {KEYS}.")
    except StripeRefused as error:
        yield Result("request", ok=False, message=str(error))


def _steps() -> Iterator[Result]:
    for sentence in (*stripe_setting_rules.texts(), *stripe_setting_rules.key()):
        yield Result("key", ok=False, message=sentence, advice=f"Copy it from {KEYS}.")
        return
    account = _account()
    yield Result("key", ok=True, message=_kind_of_key())
    clock = _clock()
    yield clock
    lacking = []
    for permission in needed():
        result = _permission(permission)
        if not result.ok:
            lacking.append(permission)
        yield result
    can_charge = _can_charge(account)
    yield can_charge
    if can_charge.ok and SESSIONS not in lacking:
        yield from _sales()
    if ENDPOINTS not in lacking:
        yield from stripe_endpoints.examine(may_read_events=EVENTS not in lacking)
    if EVENTS not in lacking and clock.ok:  # else what is late by our clock is not by Stripe's
        yield stripe_deliveries.examine()


def _kind_of_key() -> str:
    kind = "a restricted" if settings.STRIPE_SECRET_KEY.startswith("rk_") else "a secret"
    mode = "live" if settings.STRIPE_LIVEMODE else "test"
    return f"Stripe takes it: {kind} key of {mode} mode, as STRIPE_LIVEMODE says"


def _account() -> Account | None:
    """Return the account, or None where a restricted key may not read it, as it need not."""
    try:
        return ask(client(interactive=True).v1.accounts.retrieve_current)
    except StripeKeyRefused as error:
        if error.refusal.row is not KEY_LIMITED:
            raise
        return None


def _clock() -> Result:
    before = timezone.now()
    theirs = answered_at(client(interactive=True).v1.accounts.retrieve_current)
    if theirs is None:
        return Result("clock", ok=True, is_tried=False, message="Stripe's answer has no date.")
    # The date is cut to the second, and was written between the request and its answer.
    ahead = round((before - theirs + (timezone.now() - before) / 2 - SECOND / 2) / SECOND)
    if abs(ahead) <= CLOCK_TOLERANCE // SECOND:
        return Result("clock", ok=True, message=f"ours and Stripe's differ by {abs(ahead)} s")
    direction = "ahead of" if ahead > 0 else "behind"
    return Result(
        "clock",
        ok=False,
        message=f"Our clock is {abs(ahead)} s {direction} Stripe's.",
        advice=(
            "Set it, and let it be set by itself (NTP: `timedatectl set-ntp true`). Five minutes"
            " off, every event is refused; six behind, every checkout."
        ),
    )


def _permission(permission: Permission) -> Result:
    refusal = refusal_of(permission)
    step = f"permission {permission}"
    if refusal is None:
        return Result(step, ok=True, message="the key has it")
    return Result(
        step,
        ok=False,
        message=f"The key lacks it. Stripe says: “{refusal.sentence}” ({refusal.request_id})",
        advice=f"{KEYS} › the key › ⋯ › Edit key › {permission.resource} › {permission.level}.",
    )


def _can_charge(account: Account | None) -> Result:
    if account is None:
        return Result(
            "account",
            ok=True,
            is_tried=False,
            message=f"The key may not read the account. Look at {HOME}.",
        )
    name = f"{account.get('id')} ({account.get('country')}, {account.get('default_currency')})"
    if account.get("charges_enabled"):
        return Result("account", ok=True, message=f"{name} can charge")
    if not settings.STRIPE_LIVEMODE:  # such an account may sell in test mode, which is tried next
        return Result("account", ok=True, message=f"{name} is not activated for live payments yet")
    requirements = account.get("requirements") or {}
    due = [requirements.get("disabled_reason"), *(requirements.get("currently_due") or [])]
    return Result(
        "account",
        ok=False,
        message=f"{name} cannot charge: {', '.join(filter(None, due)) or 'Stripe says no reason'}.",
        advice=f"Finish what {HOME} asks for.",
    )


def _sales() -> Iterator[Result]:
    """Try the least price that we may ask for, in each currency that a published course has.

    What an account may charge depends on the currencies of its bank accounts, which only a try
    shows. A refusal that is not about the price is everybody's, and is named once.
    """
    page = None
    priced = Course.objects.published().filter(price__gt=0).order_by("currency")
    for currency in priced.values_list("currency", flat=True).distinct():
        least = Money(stripe_minimum(currency), currency)
        try:
            page = _try_sale(least)
        except StripeRefused as error:
            yield _refused_sale(error, least)
            if error.refusal.row is not PRICE:
                return
        else:
            yield Result(_sale_in(least), ok=True, message=f"Stripe takes {least}, our least price")
    if page is not None:
        yield _payment_page(page)


def _sale_in(price: Money) -> str:
    return f"sale in {price.currency.upper()}"


def _try_sale(price: Money) -> str:
    """Return the address of the payment page, at which nobody can pay any more."""
    sessions = client(interactive=True).v1.checkout.sessions
    params: Any = {**sale_params(TITLE, price), "success_url": settings.SITE_URL}
    session = ask(sessions.create, params)
    ask(sessions.expire, session["id"])
    return str(session.get("url") or "")


def _payment_page(url: str) -> Result:
    """Say whether browsers follow our form to where Stripe has its payment page."""
    blocked = blocked_origin(url)
    if not blocked:
        return Result("payment page", ok=True, message="browsers lead buyers to it")
    return Result(
        "payment page",
        ok=False,
        message=f"It is at {blocked}, which our pages do not allow: the button does nothing.",
        advice="Set STRIPE_CHECKOUT_HOST to this host, and restart the web processes.",
    )


def _refused_sale(error: StripeRefused, price: Money) -> Result:
    if error.refusal.row is not PRICE:
        return Result(_sale_in(price), ok=False, message=str(error))
    code = price.currency.upper()
    return Result(
        _sale_in(price),
        ok=False,
        message=f"Stripe does not take {price}, our least price. It says:"
        f" “{error.refusal.sentence}” ({error.refusal.request_id})",
        advice=(
            "Keep prices, and what a coupon may leave of them, above what it says; or add a bank"
            f" account in {code}: Stripe's dashboard › Settings › Bank accounts and currencies."
        ),
    )
