"""Every string that learners and affiliates read goes through gettext: in a translation of all
messages into Arabic letters, no page and no mail has a Latin one left (issue: a translation is a
file).
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP
from django.core.mail import EmailMessage
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from accounts import second_factor
from accounts.models import User
from affiliates.models import Affiliate, LedgerEntry
from courses.models import Course
from enrollments.models import Enrollment
from grants.models import Grant
from notifications.models import Email
from notifications.outgoing import FOR_STAFF, compose
from tests import pseudo
from tests.affiliates.make import sell
from tests.architecture import ROOT
from tests.factories import make_course
from tests.requirements.test_gets import BROWSER, FORMS, OF_A_COURSE, addresses, learner, shop

pytestmark = pytest.mark.engines("sqlite")

__all__ = ["shop"]
WRITTEN = "Ωμέγα"  # what people have written, in neither alphabet
# Addresses, codes and names of things that are the same in every language.
SAME_EVERYWHERE = re.compile(
    r"[\w.+…-]+@[\w.-]+|(?:https?:/|/)\S*|\?ref=\S*|[0-9a-f]{8}-[0-9a-f-]{27}|\b[A-Z0-9_]{3,}\b|DE••|\bUTC\b"
    r"|\bPayPal\b|\bFrappe LMS\b|\bStripe\b|[a-z]\w*\.(?:example|com)\b"
)
LATIN = re.compile(r"[A-Za-z]{2,}[^<>]*")
SPOKEN = ("alt", "title", "aria-label", "placeholder", "data-words", "data-done", "data-failed")
SILENT = ("script", "style", "code")


class Heard(HTMLParser):
    """What somebody reads or hears of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.silent: list[str] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.texts += [named[name] or "" for name in SPOKEN if name in named]
        if tag == "meta" and (named.get("name") or named.get("property")) in (
            "description",
            "og:title",
            "og:description",
        ):
            self.texts.append(named["content"] or "")
        if tag in SILENT or "reference" in (named.get("class") or ""):
            self.silent.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.silent and self.silent[-1] == tag:
            self.silent.pop()

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.texts.append(data)


def untranslated(texts: list[str]) -> list[str]:
    left = (LATIN.search(SAME_EVERYWHERE.sub("", text)) for text in texts)
    return [found.group().strip() for found in left if found]


@pytest.fixture(scope="module")
def locale(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pseudo.make(tmp_path_factory.mktemp("pseudo"))


@pytest.fixture
def arabic(locale: Path, settings: Settings) -> None:
    settings.LANGUAGE_CODE, settings.LOCALE_PATHS = pseudo.LANGUAGE, [locale]
    settings.SITE_NAME = settings.COMPANY_NAME = settings.COMPANY_ADDRESS = WRITTEN
    settings.COMPANY_TAX_ID = "0"


def in_other_letters() -> None:
    """Have what people wrote in letters that are neither the shop's nor the translation's."""
    Course.objects.update(
        **dict.fromkeys(("title", "summary", "description", "effort", "language"), WRITTEN),
        **dict.fromkeys(("sample_title", "sample_text"), WRITTEN),
        outcomes=[WRITTEN],
        syllabus=[{"title": WRITTEN, "lessons": [WRITTEN]}],
        instructors=[{"name": WRITTEN, "role": WRITTEN}],
    )
    Enrollment.objects.update(course_title=WRITTEN, name=WRITTEN)
    Grant.objects.update(name=WRITTEN, note=WRITTEN)
    Affiliate.objects.update(name=WRITTEN, payee_name=WRITTEN)
    User.objects.update(name=WRITTEN)


def asked(client: Client, paths: Iterator[str]) -> Iterator[tuple[str, Any]]:
    for path in dict.fromkeys(paths):
        if not path.startswith(("/admin/", "/api/", "/accounts/logout")):
            yield path, client.get(path)


def sold() -> list[str]:
    """Have the affiliate sell a course; return addresses that then say more."""
    sell(Client(), Affiliate.objects.get(), make_course(title=WRITTEN))
    entry = reverse("affiliate_entry", args=[LedgerEntry.objects.get().pk])
    names = ("pending", "payable", "paid", "held", "earned")
    figures = [f"/affiliates/entries/?figure={name}&currency=usd" for name in names]
    return [entry, *figures, "/affiliates/links/?via=!", "/affiliates/dashboard/?since=2"]


def sent_empty(client: Client, known: dict[str, list[str]]) -> Iterator[tuple[str, Any]]:
    paths = [reverse(name) for name in FORMS]
    paths += [reverse(name, args=known["slug"]) for name in OF_A_COURSE]
    for path in paths:
        yield f"POST {path}", client.post(path, {"email": "nobody", "method": "bank"})


def test_no_page_has_a_string_that_a_translation_does_not_reach(
    shop: dict[str, list[str]], arabic: None
) -> None:
    explained = sold()
    in_other_letters()
    visitor, somebody = Client(headers={"user-agent": BROWSER}), learner()
    answers = [
        *asked(visitor, addresses(shop)),
        *asked(somebody, addresses(shop)),
        *asked(somebody, iter(explained)),
        ("refused", somebody.post("/account/delete/", {"email": "partner@example.com"})),
        *asked(visitor, iter(("/?q=1", "/?category=data&q=1", "/nothing-here/", "/?cursor=1"))),
        *sent_empty(visitor, shop),
        *sent_empty(somebody, shop),
    ]
    pages = {
        path: answer.content.decode().replace("<wbr>", "")
        for path, answer in answers
        if answer.get("Content-Type", "").startswith("text/html")
    }
    code = shop["code"][0]
    left = {path: untranslated(Heard(page.replace(code, "")).texts) for path, page in pages.items()}
    assert "\n".join(f"{path}: {found}" for path, found in left.items() if found) == ""
    assert len(pages) > 60
    assert dict(answers)["refused"].status_code == 409
    assert all('dir="rtl"' in page for page in pages.values() if "<html" in page)


def kinds_of_mail() -> list[str]:
    names = {path.name.split(".")[0] for path in (ROOT / "templates" / "email").glob("*.txt")}
    return sorted(names - set(FOR_STAFF))


FULL = {
    **dict.fromkeys(("customer_name", "course_title", "payee_name", "note", "reason"), WRITTEN),
    **dict.fromkeys(("amount", "list_price", "saving", "to_pay", "minimum", "rate"), "1"),
    **dict.fromkeys(("purchased_on", "expires_on", "answer_due_on", "paid_on", "sold_on"), "1"),
    **dict.fromkeys(("refunded_on", "code", "method", "hint", "reference"), "1"),
    **dict.fromkeys(("course_link", "status_link", "account_link", "grant_link"), "/a"),
    **dict.fromkeys(("checkout_link", "link", "dashboard_link", "details_link"), "/a"),
    **dict.fromkeys(("retry_link", "register_link", "sign_in_link"), "/a"),
    "percent": 50,
    "refund_days": 1,
    "attribution_days": 30,
    "hold_days": 1,
    "has_more": True,
    "sales": [(WRITTEN, "1")],
    "links": [(WRITTEN, "/a")],
    "email": "a@example.com",
    "sign_in": "1",
}
FLAGS = ("is_free", "is_undecided", "is_whole", "is_over", "is_reinstated")


def test_no_mail_has_a_string_that_a_translation_does_not_reach(arabic: None) -> None:
    left = {}
    for kind in kinds_of_mail():
        for said in ({}, {**FULL, **dict.fromkeys(FLAGS, True)}, {**FULL, **dict.fromkeys(FLAGS)}):
            mail = compose(Email(kind=kind, to="a@example.com", context=said))
            html = mail.alternatives[0].content
            found = untranslated([mail.subject, mail.body, *Heard(html).texts])
            if found:
                left[kind] = found
            assert f'lang="{pseudo.LANGUAGE}" dir="rtl"' in html
    assert left == {}


def test_the_mail_about_a_lost_second_factor_is_in_the_shops_language(
    arabic: None, db: None, mailoutbox: list[EmailMessage]
) -> None:
    lost = User.objects.create_user("amina@example.com", "a long passphrase")
    TOTP.activate(lost, "JBSWY3DPEHPK3PXP")
    assert second_factor.take_away(lost) == "authenticator app"
    [mail] = mailoutbox
    assert untranslated([mail.subject, mail.body]) == []


PHYSICAL = re.compile(
    r"(?:^|[;{\s])(?:(?:margin|padding|border|inset)-(?:left|right)|left|right)\b[^;{}]*:"
    r"|(?:text-align|float|clear): *(?:left|right)\b"
)


def test_the_style_sheet_knows_no_left_and_no_right() -> None:
    css = re.sub(r"/\*.*?\*/", "", (ROOT / "static/css/maaledu.css").read_text(), flags=re.DOTALL)
    assert [found.group().strip() for found in PHYSICAL.finditer(css)] == []
    assert PHYSICAL.search("a { margin-left: 0 }")
    assert PHYSICAL.search("a {left: 0}")
    assert PHYSICAL.search("a { text-align: right }")
