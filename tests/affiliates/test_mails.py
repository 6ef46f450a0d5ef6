"""The e-mails to affiliates and learners: whole, in text and HTML, with every name escaped
and no account in clear.
"""

import re
from typing import Any

import pytest
from django.template.loader import render_to_string

from accounts.models import User
from affiliates import memberships
from affiliates.memberships import Joining
from affiliates.models import Affiliate
from affiliates.payout_details import PayoutDetails
from enrollments import mails
from enrollments.provisioning import LMS_JOBS
from maaledu.work.queue import drain
from notifications import outgoing
from notifications.models import Email
from notifications.queue import EMAILS
from payments.models import Refund
from tests.affiliates.make import IBAN, make_user
from tests.factories import completed, deliver, make_pending, refund_of, refunded
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine

PAYLOAD = '<svg onload=alert(1)>"&amp;'
KINDS = [
    "affiliate_welcome",
    "affiliate_applied",
    "affiliate_details_changed",
    "affiliate_payout",
    "refund_made",
    "enrollment_ended",
    "enrollment_withdrawn",
    "payment_processing",
    "payment_failed",
    "payment_received",
    "account_needed",
]
PARTNER = {
    "customer_name": "Ada's club & Co",
    "code": "abcd2345",
    "link": "https://shop.example/r/abcd2345/",
    "rate": "12.5 %",
    "method": "Bank transfer",
    "hint": "DE•• •••• 3000",
    "is_undecided": False,
    "dashboard_link": "https://shop.example/affiliates/dashboard/",
    "details_link": "https://shop.example/affiliates/payout-details/",
    "attribution_days": 30,
    "hold_days": 1,
    "minimum": "$50.00",
}
PAYOUT = {
    "payee_name": "Ada Partner & Co",
    "amount": "$1,049.90",
    "method": "Bank transfer",
    "hint": "DE•• •••• 3000",
    "reference": "SEPA-7",
    "paid_on": "November 20, 2026",
    "dashboard_link": "https://shop.example/affiliates/dashboard/",
}
LEARNER = {
    "customer_name": "Ada & Co",
    "course_title": "Data & Analysis",
    "amount": "$249.50",
    "is_whole": True,
    "is_over": True,
    "status_link": "https://shop.example/enrollments/x/",
    "retry_link": "https://shop.example/checkout/data/",
    "refunded_on": "November 28, 2026",
}
CONTEXTS = dict(zip(KINDS, [PARTNER] * 3 + [PAYOUT] + [LEARNER] * 7, strict=True))


def composed(kind: str, context: dict[str, Any] | None = None) -> tuple[str, str, str]:
    """Return subject, text and HTML, as the outbox renders them."""
    message = outgoing.compose(
        Email(
            kind=kind,
            to="ada@example.com",
            dedupe_key=kind,
            context=CONTEXTS[kind] if context is None else context,
        )
    )
    return message.subject, message.body, message.alternatives[0].content


def plain(html: str) -> str:
    """Return what a reader sees of HTML, on one line."""
    body = html.partition("</head>")[2]
    return " ".join(
        re.sub(r"<[^>]+>", " ", body).replace("&amp;", "&").replace("&#x27;", "'").split()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_message_says_the_same_in_text_and_in_html(kind):
    subject, text, html = composed(kind)
    assert 10 < len(subject) < 90
    for part in (text, html):
        assert "None" not in part
        assert "{{" not in part
        assert 'href=""' not in part
    shown = {
        name: value
        for name, value in CONTEXTS[kind].items()
        if isinstance(value, str) and value in text
    }
    assert len(shown) >= 2
    for name, value in shown.items():
        assert value in plain(html) or f'href="{value}"' in html, name
    assert "\n\n\n" not in text


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_without_any_variables_is_still_whole(kind):
    subject, text, html = composed(kind, {})
    for part in (subject, text, html):
        assert part.strip()
        assert "None" not in part
        assert 'href=""' not in part
    assert "Hello there," in text
    for part in ("subject.txt", "txt", "html"):
        assert render_to_string(f"email/{kind}.{part}", {}).strip()


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_escaped_in_html_and_as_they_are_in_text(kind):
    hostile = {
        name: PAYLOAD if isinstance(value, str) else value for name, value in CONTEXTS[kind].items()
    }
    _subject, text, html = composed(kind, hostile)
    assert PAYLOAD in text
    assert "<svg" not in html
    assert "&lt;svg onload=alert(1)&gt;&quot;&amp;amp;" in html


@pytest.mark.parametrize("kind", KINDS)
def test_a_subject_is_one_line_whatever_is_in_it(kind):
    broken = {
        name: f"{value}\r\nBcc: eve@example.com" if isinstance(value, str) else value
        for name, value in CONTEXTS[kind].items()
    }
    subject, _text, _html = composed(kind, broken)
    assert "\n" not in subject
    assert "\r" not in subject


def test_the_welcome_says_what_the_link_earns_and_how_payouts_work():
    subject, text, html = composed("affiliate_welcome")
    assert subject == "Welcome to the affiliate program: your link"
    for part in (text, plain(html)):
        for said in (
            "12.5 %",
            "within 30 days",
            "1 day after the sale",
            "$50.00",
            "DE•• •••• 3000",
            "abcd2345",
        ):
            assert said in part, said
        assert "have not chosen yet" not in part


def test_the_welcome_reminds_whoever_wanted_to_decide_later():
    _subject, text, html = composed(
        "affiliate_welcome", {**PARTNER, "is_undecided": True, "hint": "", "method": "Decide later"}
    )
    for part in (text, html):
        assert "not decided yet" in part
        assert PARTNER["details_link"] in part


def test_a_change_of_details_says_what_to_do_if_it_was_somebody_else(settings):
    _subject, text, html = composed("affiliate_details_changed")
    for part in (text, html):
        assert "Was this not you?" in part
        assert f"{settings.SITE_URL}/accounts/password/change/" in part


@pytest.mark.parametrize(
    ("changes", "says", "keeps_quiet"),
    [
        (
            {},
            ["the whole price", "your enrollment in the course has ended"],
            ["a part of", "does not change"],
        ),
        (
            {"is_whole": False},
            ["a part of the price", "your enrollment in the course has ended"],
            ["the whole", "does not change"],
        ),
        (
            {"is_whole": False, "is_over": False},
            ["a part of the price", "access to the course does not change"],
            ["has ended"],
        ),
        (
            {"is_over": False},
            ["the whole price", "access to the course does not change"],
            ["has ended"],
        ),
    ],
)
def test_a_refund_says_how_much_and_what_becomes_of_the_place(changes, says, keeps_quiet):
    subject, text, html = composed("refund_made", {**LEARNER, **changes})
    assert subject == "$249.50 is on its way back to you: Data & Analysis"
    for part in (text, plain(html)):
        named = ("$249.50", "November 28, 2026", "5 to 10 working days")
        assert all(words in part for words in [*says, *named])
        assert not any(words in part for words in keeps_quiet)


def test_what_a_payout_says():
    subject, text, html = composed("affiliate_payout")
    assert subject == "$1,049.90 is on its way to you"
    for said in (
        "Hello Ada Partner & Co,",
        "SEPA-7",
        "November 20, 2026",
        "Bank transfer, DE•• •••• 3000",
    ):
        assert said in text
        assert said in plain(html)


# --- from their causes ----------------------------------------------------------------------------
def partner(user: User, details: PayoutDetails) -> Affiliate:
    return memberships.join(user, Joining("Ada's club", "DE", details))


def test_messages_to_affiliates_reach_them_and_hold_no_account(sandbox: Sandbox, settings):
    settings.AFFILIATE_AUTO_APPROVE = False
    affiliate = partner(
        make_user("ada@example.com"), PayoutDetails(Affiliate.BANK, "Ada Partner", IBAN)
    )
    memberships.approve(affiliate, by="staff@example.com")
    memberships.change_details(
        affiliate, PayoutDetails(Affiliate.PAYPAL, "", "ada.secret@example.com")
    )
    drain(EMAILS)
    mails = sandbox.mails("ada@example.com")
    assert sorted(mail["subject"] for mail in mails) == [
        "We have your application for the affiliate program",
        "Welcome to the affiliate program: your link",
        "Your payout details were changed",
    ]
    everything = "".join(mail["text"] + mail["html"] for mail in mails)
    assert affiliate.link in everything
    assert "DE•• •••• 3000" in everything
    assert "PayPal, a•••@example.com" in everything
    for secret in (IBAN, "ada.secret@", "Ada Partner"):
        assert secret not in everything


def test_a_learner_gets_one_message_about_a_refund(client, sandbox: Sandbox):
    enrollment, payment = make_pending(name="Grace")
    deliver(client, completed(payment))
    drain(LMS_JOBS)
    event = refunded(refund_of(payment, payment.amount))
    for _ in range(2):
        deliver(client, event)
    drain(EMAILS)
    mails = [
        mail for mail in sandbox.mails(enrollment.email) if "on its way back" in mail["subject"]
    ]
    assert [mail["subject"] for mail in mails] == [
        f"$499.00 is on its way back to you: {enrollment.course_title}"
    ]
    assert "Hello Grace," in mails[0]["text"]
    assert enrollment.status_link in mails[0]["text"]
    assert Refund.objects.count() == 1


def test_a_learner_whose_bank_took_the_money_back_is_told_that_the_place_has_ended():
    enrollment, _payment = make_pending()
    mails.stage_enrollment_ended(enrollment, actor="sweep")
    message = outgoing.compose(Email.objects.get())
    assert message.subject == f"Your enrollment has ended: {enrollment.course_title}"
    assert "$499.00" in message.body


def test_a_name_with_code_in_it_is_harmless_on_the_way(sandbox: Sandbox):
    user = make_user("ada@example.com")
    memberships.join(user, Joining("<svg onload=alert(1)>", "DE", PayoutDetails(Affiliate.LATER)))
    drain(EMAILS)
    [mail] = sandbox.mails("ada@example.com")
    assert "<svg" not in mail["html"]
    assert "&lt;svg onload=alert(1)&gt;" in mail["html"]
    assert memberships.has_verified_address(user)
