"""The control page's part about money: refunds, disputes, and the end of what is pending."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import islice
from typing import Any

from sandbox import stripe_disputes, stripe_refunds
from sandbox.options import REFUND_STATUSES
from sandbox.pages import table
from sandbox.stripe_currency import display, minor
from sandbox.world import World

Record = dict[str, Any]
Choices = tuple[tuple[str, str], ...]
SHOWN = 15
OPENINGS = (("Dispute", "needs_response"), ("Inquire", "warning_needs_response"))
DECISIONS = (("Won", "won"), ("Lost", "lost"))
INQUIRY_ENDS = (("Close", "warning_closed"), ("Escalate", "needs_response"))
REFUND_ENDS = (("Succeed", "succeeded"), ("Fail", "failed"), ("Cancel", "canceled"))
ANCHOR = "payments"


def section(world: World) -> str:
    """Return the payments, refunds and disputes with what can be done to each.

    The caller holds the book's lock.
    """
    book = world.book
    payments = (
        _payment(world, charge)
        for charge in reversed(book.charges.values())
        if charge["status"] == "succeeded"
    )
    refunds = (_refund(world, refund) for refund in reversed(book.refunds.values()))
    disputes = (_dispute(world, dispute) for dispute in reversed(book.disputes.values()))
    return (
        f'<section class="card" id="{ANCHOR}"><h2>Payments</h2>{_table("Payment", "Do", payments)}'
        f"<h3>Refunds</h3>{_refund_switch(world)}{_table('Refund', 'Let it', refunds)}"
        f"<h3>Disputes</h3>{_table('Dispute', 'Decide', disputes)}</section>"
    )


def _make_refund(world: World, form: dict[str, str]) -> None:
    charge = world.book.charge_of(form["target"])
    amount = form.get("amount", "").strip()
    stripe_refunds.dashboard_refund(
        world, charge, {"amount": minor(amount, charge["currency"])} if amount else {}
    )


def _set_refund_status(world: World, form: dict[str, str]) -> None:
    if form["refund_status"] not in REFUND_STATUSES:
        raise ValueError("There is no such way for a refund to begin.")
    world.options.refund_status = form["refund_status"]


def _open_dispute(world: World, form: dict[str, str]) -> None:
    stripe_disputes.open_dispute(
        world, world.book.charge_of(form["target"]), {"status": form["status"]}
    )


def _end_refund(world: World, form: dict[str, str]) -> None:
    if form["status"] not in stripe_refunds.COMES_FROM:
        raise ValueError("There is no such end of a refund.")
    stripe_refunds.end(world, form["target"], form["status"])


ACTIONS = {
    "refund": _make_refund,
    "refund_status": _set_refund_status,
    "end_refund": _end_refund,
    "dispute": _open_dispute,
    "decide": lambda world, form: stripe_disputes.decide(world, form["target"], form["status"]),
}


def _table(what: str, choices: str, rows: Iterator[list[str]]) -> str:
    return table([what, "State", choices], list(islice(rows, SHOWN)), "None yet.")


def _payment(world: World, charge: Record) -> list[str]:
    left, currency = charge["amount"] - charge["amount_refunded"], charge["currency"]
    disputes = stripe_disputes.disputes_of(world, charge)
    refunded = (
        [f"{display(charge['amount_refunded'], currency)} refunded"]
        if charge["amount_refunded"]
        else []
    )
    state = ", ".join(
        ["paid", *refunded, *(f"dispute: {dispute['status']}" for dispute in disputes)]
    )
    who, forms = charge["billing_details"]["email"], ""
    if left and stripe_disputes.allow_refund(world, charge):
        forms += _form(
            "refund", charge["id"], (("Refund", ""),), about=who, inner=_amount(left, currency)
        )
    if left and not disputes:
        forms += _form("dispute", charge["id"], OPENINGS, about=who)
    return _row(who, charge["payment_intent"], _state(charge, state), forms)


def _refund(world: World, refund: Record) -> list[str]:
    ends = tuple(
        (label, status)
        for label, status in REFUND_ENDS
        if refund["status"] in stripe_refunds.COMES_FROM[status]
    )
    who, state = (
        _who(world, refund),
        refund["status"]
        + (f": {refund['failure_reason']}" if refund.get("failure_reason") else ""),
    )
    return _row(
        who, refund["id"], _state(refund, state), _form("end_refund", refund["id"], ends, about=who)
    )


def _dispute(world: World, dispute: Record) -> list[str]:
    who, status = _who(world, dispute), dispute["status"]
    choices = (
        ()
        if status in stripe_disputes.CLOSED
        else INQUIRY_ENDS
        if status.startswith("warning_")
        else DECISIONS
    )
    state = _state(dispute, f"{status}: {dispute['reason']}")
    return _row(who, dispute["id"], state, _form("decide", dispute["id"], choices, about=who))


def _who(world: World, item: Record) -> str:
    return str(world.book.charges[item["charge"]]["billing_details"]["email"])


def _state(item: Record, state: str) -> str:
    return (
        "<span"
        f' class="amount">{display(item["amount"], item["currency"])}</span><br>{escape(state)}'
    )


def _row(who: str, name: str, state: str, forms: str) -> list[str]:
    return [f'{escape(who)}<br><code class="soft">{escape(name)}</code>', state, forms or "—"]


def _amount(left: int, currency: str) -> str:
    hint = display(left, currency).split()[0].replace(",", "")
    label = f"Amount in {currency.upper()}, all that is left when empty"
    return (
        f'<input name="amount" inputmode="decimal" autocomplete="off" placeholder="{hint}"'
        f' aria-label="{label}">'
    )


def _form(action: str, target: str, choices: Choices, *, about: str, inner: str = "") -> str:
    """Return a form with a button for each (label, status), or nothing without any.

    The button that is pressed sends its status.
    """
    if not choices:
        return ""
    hidden = (
        f'<input type="hidden" name="action" value="{action}"><input type="hidden" name="target"'
        f' value="{escape(target)}">'
    )
    buttons = "".join(
        f'<button class="quiet" name="status" value="{value}"'
        f' aria-label="{escape(f"{label}: {about}")}">{label}</button>'
        for label, value in choices
    )
    return f'<form method="post" action="/control/switch">{hidden}{inner}{buttons}</form>'


def _refund_switch(world: World) -> str:
    options = "".join(
        f"<option{' selected' if name == world.options.refund_status else ''}>{name}</option>"
        for name in REFUND_STATUSES
    )
    return (
        '<form method="post" action="/control/switch"><input type="hidden" name="action"'
        ' value="refund_status"><div class="row">'
        '<div><label for="refund_status">New refunds begin</label><select id="refund_status"'
        f' name="refund_status">{options}</select></div>'
        "<div><button>Apply</button></div></div></form>"
    )
