"""A month of the shop and of Stripe, as the plan has it."""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import requests
from django.conf import settings

from affiliates.models import Balance
from payments.models import Refund
from tests.affiliates.make import make_affiliate
from tests.affiliates.shop import BROWSER
from tests.factories import make_course
from tests.faketime import Clock
from tests.processes import free_port
from tests.sandbox_client import Sandbox
from tests.system.driver import Driver
from tests.system.money_books import Account, StripesBooks, not_applied, our_accounts
from tests.system.month_plan import DISABLED, HEARING, NIGHT, PRICES, RATES, Buyer, Plan, Step
from tests.system.shop import Shop

STAFF = settings.STAFF_ALERT_EMAILS[0]
CSRF = "month0123456789ABCDEFGHIJKLMNOPq"  # a cookie and a form field that agree
TITLE = "All about {}"
SECONDS = 30
HOUR = 3600
ALERTS = {
    "A buyer's bank disputes a payment",
    "A card's issuer warns of fraud",
    "A dispute needs attention",
    "A dispute was lost",
    "A refund failed: the buyer does not have the money",
    "A refund failed after its enrollment had ended",
    "Stripe's events did not report everything",
    "Now red: Stripe's events do not arrive",
    "Recovered: Stripe's events do not arrive",
}


class Month:
    """Lives through a plan by days, and compares the books of each.

    The web server and Stripe run by themselves; what a worker does is done each busy hour.
    """

    def __init__(
        self, plan: Plan, *, shop: Shop, sandbox: Sandbox, driver: Driver, clock: Clock
    ) -> None:
        self.plan, self.shop, self.sandbox, self.driver = plan, shop, sandbox, driver
        self.clock, self.began_at = clock, clock.now()
        self.nowhere = f"http://127.0.0.1:{free_port()}/"
        self.browser = requests.Session()
        self.browser.headers["User-Agent"] = BROWSER
        self.buyers: dict[str, Buyer] = {}
        self.sessions: dict[str, str] = {}
        self.intents: dict[str, str] = {}
        self.disputes: dict[str, str] = {}
        self.refunded: Counter[str] = Counter()
        self.mails: Counter[tuple[str, str]] = Counter()
        self.mails_due: set[tuple[str, str]] = set()
        self.alerts: set[str] = set()
        self._open()

    def _open(self) -> None:
        for name, price in PRICES.items():
            make_course(slug=name, title=TITLE.format(name), price=price)
        courses = [{"name": name, "title": TITLE.format(name), "published": 1} for name in PRICES]
        self.sandbox.lms(courses=courses)
        self.codes = {name: make_affiliate(rate=rate).code for name, rate in RATES.items() if rate}
        # As long as Stripe's own: the last retry comes within three days.
        self.sandbox.webhooks(hold=False, retry_base=HOUR)

    def live(self, day: int) -> None:
        for hour in (*self.plan.busy[day], NIGHT):
            self._be(self.plan.hearing[day, hour])
            self._advance(timedelta(days=day, hours=hour))
            for step in self.plan.steps[day, hour]:
                getattr(self, step.what)(step)
            self._settle()
            self.run("worker")
        self.run("command", arguments=["nightly"])
        self.run("worker")

    def _be(self, hearing: str) -> None:
        self.sandbox.webhooks(
            url=f"{self.shop.url}/api/webhook" if hearing == HEARING else self.nowhere,
            status="disabled" if hearing == DISABLED else "enabled",
        )

    def _advance(self, since_began: timedelta) -> None:
        left = self.began_at + since_began - self.clock.now()
        self.clock.advance(seconds=max(left.total_seconds(), 0))
        self._settle()

    def _settle(self) -> None:
        """Let everything happen at Stripe that is due, and be delivered."""
        assert self.sandbox.advance(0, wait=SECONDS)

    def run(self, step: str, **arguments: Any) -> None:
        told = self.driver.run(step, **arguments)
        assert told.raised == "", self.driver.new_output()[-6000:]

    # --- what a buyer does ------------------------------------------------------------------------
    def buy(self, step: Step) -> None:
        self.sessions[step.buyer.email] = self._check_out(step.buyer)
        if step.how != "left":
            self.pay(step)

    def pay(self, step: Step) -> None:
        email = step.buyer.email
        for outcome in step.how.split(", then "):
            paid = self.sandbox.pay(self.sessions[email], outcome, delay=step.delay)
        self.intents[email] = paid["session"]["payment_intent"]

    def _check_out(self, buyer: Buyer) -> str:
        """Go through the form, after a click on the affiliate's link; return the session's id."""
        self.buyers[buyer.email] = buyer
        self.browser.cookies.clear()
        self.browser.cookies.set("csrftoken", CSRF)
        if buyer.affiliate:
            link = f"{self.shop.url}/r/{self.codes[buyer.affiliate]}/{buyer.course}/"
            self.browser.get(link, allow_redirects=False, timeout=SECONDS)
        form = {"email": buyer.email, "name": "Ada Lovelace", "accept_terms": "on"}
        answer = self.browser.post(
            f"{self.shop.url}/checkout/{buyer.course}/",
            data={"csrfmiddlewaretoken": CSRF, **form},
            allow_redirects=False,
            timeout=SECONDS,
        )
        assert answer.status_code == 302, answer.text[:2000]
        return answer.headers["Location"].rpartition("/")[2]

    # --- what happens to the money ----------------------------------------------------------------
    def refund(self, step: Step) -> None:
        self.sandbox.stripe(refund_status=step.how)
        self.sandbox.refund_in_dashboard(self.intents[step.buyer.email], self._part(step))

    def ask_for_refund(self, step: Step) -> None:
        self.sandbox.stripe(refund_status=step.how)
        intent = self.intents[step.buyer.email]
        self.run("refund", payment_intent=intent, amount=self._part(step))

    def _part(self, step: Step) -> int:
        price, email = PRICES[step.buyer.course], step.buyer.email
        amount = price * step.percent // 100 or price - self.refunded[email]
        self.refunded[email] += amount
        return amount

    def end_refund(self, step: Step) -> None:
        refunds = Refund.objects.filter(payment_intent_id=self.intents[step.buyer.email])
        refund_id = refunds.latest("created_at").stripe_refund_id
        self.sandbox.call("POST", f"/control/stripe/refunds/{refund_id}/{step.how}", {})

    def dispute(self, step: Step) -> None:
        email = step.buyer.email
        made = self.sandbox.dispute(self.intents[email], status=step.how)
        self.disputes[email] = made["id"]

    def decide(self, step: Step) -> None:
        self.sandbox.close_dispute(self.disputes[step.buyer.email], step.how)

    def warn(self, step: Step) -> None:
        self.sandbox.warn_of_fraud(self.intents[step.buyer.email], fraud_type=step.how)

    # --- what is true at the end of a day ---------------------------------------------------------
    def compare(self) -> None:
        books = StripesBooks(self.sandbox)
        theirs = books.accounts(self.buyers)
        ours = our_accounts(books.books["enrollments"])
        assert theirs.keys() == ours.keys()
        differences = {
            session_id: (account, ours[session_id])
            for session_id, account in theirs.items()
            if account != ours[session_id]
        }
        assert differences == {}
        earned = sum(balance.earned for balance in Balance.objects.all())
        assert earned == sum(account.commission for account in theirs.values())
        assert not_applied(self.sandbox) == set()
        self._compare_mails(theirs.values(), books)

    def _compare_mails(self, accounts: Iterable[Account], books: StripesBooks) -> None:
        """Assert that each buyer has each mail that is due, once, and no other."""
        alerts = books.texts_to(STAFF)
        self.alerts |= alerts.keys()
        # The nightly steps check the invariants, and alert staff of what does not hold.
        assert {subject: text for subject, text in alerts.items() if subject not in ALERTS} == {}
        self.mails += books.mails()
        self.sandbox.clear_mails()
        for account in accounts:
            title = TITLE.format(self.buyers[account.email].course)
            self.mails_due |= {(account.email, subject) for subject in account.subjects(title)}
        sent = {mail: count for mail, count in self.mails.items() if mail[0] != STAFF}
        assert sent == dict.fromkeys(self.mails_due, 1)
