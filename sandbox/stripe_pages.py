"""The hosted payment page: order summary, test cards, bank debits, and the way back."""

from __future__ import annotations

import time
from html import escape
from typing import Any

from sandbox import stripe_payments
from sandbox.pages import page
from sandbox.stripe_currency import display
from sandbox.stripe_params import EMAIL
from sandbox.stripe_payments import DECLINED, NotOpen
from sandbox.wire import Request, Response, redirect
from sandbox.world import World

Record = dict[str, Any]
CARDS = {
    "4242424242424242": ("paid", "pays at once"),
    "5555555555554444": ("paid", "pays at once"),
    "4000000000000002": ("declined", "is declined"),
    "4000000000009995": ("declined", "is declined for lack of funds"),
}
DEBITS = {
    "000123456789": ("delayed_success", "succeeds after a few seconds"),
    "000111111116": ("delayed_failure", "fails after a few seconds"),
}
MESSAGES = {"4000000000009995": "Your card has insufficient funds."}


class PaymentPages:
    """Everything under /pay/."""

    def __init__(self, world: World) -> None:
        self.world = world

    def handle(self, request: Request) -> Response:
        session = self.world.book.sessions.get(request.path.removeprefix("/pay/").strip("/"))
        if session is None:
            return page(
                "No such payment",
                "<p>This payment link is not known here. Go back to the shop and start again.</p>",
                status=404,
                narrow=True,
                nav=False,
            )
        if session["status"] != "open":
            return _closed(session)
        if request.method == "POST":
            return self._pay(session, request.form())
        return _form(self.world, session)

    def _pay(self, session: Record, form: dict[str, str]) -> Response:
        typed = {name: form.get(name, "").strip() for name in ("email", "name")}
        if not EMAIL.fullmatch(typed["email"]):
            return _form(
                self.world, session, "Enter an e-mail address such as you@example.com.", form
            )
        number = "".join(filter(str.isdigit, form.get("card") or form.get("account") or ""))
        outcome, _ = {**CARDS, **DEBITS}.get(number, ("", ""))
        if session["amount_total"] == 0:
            outcome = "paid"
        if not outcome:
            return _form(
                self.world,
                session,
                "This number is not one of the test numbers listed below.",
                form,
            )
        return self._try(session, outcome, typed, number, form)

    def _try(
        self,
        session: Record,
        outcome: str,
        typed: dict[str, str],
        number: str,
        form: dict[str, str],
    ) -> Response:
        try:
            events = stripe_payments.pay(self.world, session["id"], outcome, typed)
        except NotOpen:
            return _closed(session)
        if outcome == "declined":
            return _form(
                self.world, session, MESSAGES.get(number, DECLINED) + " Try another card.", form
            )
        self._wait(events)
        return redirect(session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"]))

    def _wait(self, events: list[Record]) -> None:
        """Give the shop's webhook time to answer before the buyer goes back, as Stripe does."""
        until = time.monotonic() + self.world.options.webhook_wait
        for event in events:
            if (
                event["pending_webhooks"]
                and event["type"].startswith("checkout.session")
                and not self.world.webhooks.hold
            ):
                self.world.webhooks.wait_for_answer(event["id"], max(0.0, until - time.monotonic()))


def _closed(session: Record) -> Response:
    if session["status"] == "expired":
        title, text, link = (
            "This payment link has expired",
            "Nothing was charged. Go back to the shop to start again.",
            session["cancel_url"],
        )
    elif session["payment_status"] == "unpaid":
        title, text, link = (
            "Payment started",
            "The bank is working on it. Nothing more to do here.",
            session["success_url"],
        )
    else:
        title, text, link = (
            "Already paid",
            "This payment is complete. It will not be charged again.",
            session["success_url"],
        )
    target = (link or "").replace("{CHECKOUT_SESSION_ID}", session["id"])
    back = (
        f'<p><a class="button" href="{escape(target)}">Back to the shop</a></p>' if target else ""
    )
    return page(title, f"<p>{text}</p>{back}", narrow=True, nav=False)


def _summary(world: World, session: Record) -> str:
    lines = "".join(
        f'<div class="line"><span>{escape(item["description"])}{_times(item["quantity"])}</span>'
        f'<span class="amount">{display(item["amount_total"], item["currency"])}</span></div>'
        for item in world.book.notes[session["id"]]["items"]
    )
    total = display(session["amount_total"], session["currency"])
    sum_line = f'<div class="total"><span>Total</span><span class="amount">{total}</span></div>'
    return (
        '<section class="card" aria-label="Order summary"><h2>Order'
        f" summary</h2>{lines}{sum_line}</section>"
    )


def _times(quantity: int) -> str:
    return f" × {quantity}" if quantity > 1 else ""


def _form(
    world: World, session: Record, problem: str = "", typed: dict[str, str] | None = None
) -> Response:
    typed = typed or {}
    notice = (
        f'<p class="problem" role="alert" id="problem">{escape(problem)}</p>' if problem else ""
    )
    email = typed.get("email") or session["customer_email"] or ""
    total = display(session["amount_total"], session["currency"])
    forms = _card_form(email, typed, total) + _debit_form(email, total)
    body = _summary(world, session) + notice + forms + _way_back(session) + _numbers()
    return page(f"Pay {total}", body, narrow=True, nav=False)


def _email(field_id: str, email: str) -> str:
    return (
        f'<label for="{field_id}">E-mail</label><input id="{field_id}" name="email" type="email"'
        f' autocomplete="email" required value="{escape(email)}">'
    )


def _card_form(email: str, typed: dict[str, str], total: str) -> str:
    card = escape(typed.get("card") or "4242 4242 4242 4242")
    name = escape(typed.get("name") or "Sandbox Buyer")
    return (
        f'<form method="post" class="card"><h2>Pay by card</h2>{_email("email", email)}<label'
        ' for="card">Card number</label><input id="card" name="card" inputmode="numeric"'
        f' autocomplete="off" required value="{card}"><div class="pair"><div><label'
        ' for="expiry">Expiry</label><input id="expiry" name="expiry" autocomplete="off" value="12'
        ' / 34"></div><div><label for="cvc">CVC</label><input id="cvc" name="cvc"'
        ' inputmode="numeric" autocomplete="off" value="123"></div></div><label for="name">Name on'
        f' card</label><input id="name" name="name" autocomplete="name" value="{name}"><button'
        f' class="wide" id="pay">Pay {total}</button></form>'
    )


def _debit_form(email: str, total: str) -> str:
    options = "".join(
        f'<option value="{number}">{number} ({text})</option>'
        for number, (_, text) in DEBITS.items()
    )
    return (
        '<form method="post" class="card"><h2>Pay from a bank account</h2><p class="soft">The bank'
        f" answers later, as real ones do.</p>{_email('debit-email', email)}<label"
        ' for="account">Account</label><select id="account"'
        f' name="account">{options}</select><button class="wide quiet" id="debit">Debit'
        f" {total}</button></form>"
    )


def _way_back(session: Record) -> str:
    if not session["cancel_url"]:
        return '<p class="soft">Close this page to leave without paying.</p>'
    target = session["cancel_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])
    return (
        f'<p><a class="button quiet wide" id="cancel" href="{escape(target)}">Close without'
        " paying</a></p>"
    )


def _numbers() -> str:
    rows = "".join(f"<li><code>{number}</code> {text}</li>" for number, (_, text) in CARDS.items())
    return f'<section class="card"><h2>Test cards</h2><ul class="soft">{rows}</ul></section>'
