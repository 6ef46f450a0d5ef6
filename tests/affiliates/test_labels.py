"""An affiliate's own labels (`?ref=CODE&via=newsletter`): from the click to the sale, bounded, and
without any say in who is credited.
"""

from datetime import timedelta

import pytest
from django.utils import timezone

from affiliates import attribution, forgetting, labels, visits
from affiliates.models import Commission, ReferralDay, ReferralLabelDay
from affiliates.pages import by_label
from affiliates.pages.figures import Period, Steps
from maaledu.money import Money
from tests.affiliates.history import signed_in
from tests.affiliates.make import make_affiliate
from tests.affiliates.shop import buy, check_out, deliver_events, visitor
from tests.factories import make_course

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
DASHBOARD, LINKS = "/affiliates/dashboard/", "/affiliates/links/"


def counted() -> list[tuple]:
    fields = ("label", "currency", "visits", "checkouts", "purchases", "earned")
    return list(ReferralLabelDay.objects.order_by("label", "currency").values_list(*fields))


def test_a_label_is_short_and_plain_whatever_stands_in_the_address():
    for typed, kept in {
        "newsletter": "newsletter",
        "  News Letter! ": "news-letter",
        "Été_2026": "ete-2026",
        "ＮＥＷＳ": "news",
        "a" * 300: "a" * 30,
        "x" * 29 + " tail": "x" * 29,
        "-_-": "",
        "نشرة": "",
        "<script>alert(1)</script>": "script-alert-1-script",
        "=cmd|' /C calc'!A0": "cmd-c-calc-a0",
        "ada@example.com": "ada-example-com",
        "~": "",
        "\x00\u202e": "",
        "": "",
    }.items():
        assert labels.clean(typed) == kept, typed
        assert labels.clean(kept) == kept
        assert len(kept) <= labels.LONGEST


@pytest.mark.every_engine
def test_a_label_is_kept_from_the_click_to_the_sale_and_changes_nothing_about_the_money(sandbox):
    affiliate, other = make_affiliate(), make_affiliate()
    course, rival = make_course(price=10000), make_course(price=10000)
    client = visitor()
    client.get(f"/courses/{course.slug}/?via=News+Letter&ref={affiliate.code}&page=2")
    assert counted() == [("news-letter", "", 1, 0, 0, 0)]
    assert check_out(client, course).status_code == 302
    enrollment = course.enrollments.get()
    sandbox.pay(enrollment.payments.get().stripe_session_id)
    deliver_events(sandbox, client)
    plain, _ = buy(sandbox, rival, through=affiliate, email="other@example.com")
    enrollment.refresh_from_db()
    facts = ("affiliate_id", "referral_code", "commission_base", "commission_rate")
    assert [getattr(enrollment, name) for name in facts] == [getattr(plain, name) for name in facts]
    assert (enrollment.referral_label, plain.referral_label) == ("news-letter", "")
    first, second = Commission.objects.order_by("created_at")
    assert (first.amount, first.available_at.date()) == (second.amount, second.available_at.date())
    assert counted() == [
        ("news-letter", "", 1, 0, 0, 0),
        ("news-letter", "usd", 0, 1, 1, first.amount),
    ]
    assert sum(ReferralDay.objects.values_list("purchases", flat=True)) == 2
    period = Period.latest()
    (shown,) = by_label.figures_of(affiliate.pk, period)
    assert (shown.label, shown.steps) == ("news-letter", Steps(1, 1, 1))
    assert shown.earned == [Money(first.amount, "usd")]
    assert by_label.figures_of(other.pk, period) == []
    assert by_label.figures_of(affiliate.pk, period.before) == []
    page = signed_in(affiliate).get(DASHBOARD).content.decode()
    assert "news-letter" in page
    assert str(Money(first.amount, "usd")) in page
    assert "news-letter" not in signed_in(other).get(DASHBOARD).content.decode()


def test_the_last_link_brings_its_label_and_a_stranger_none():
    affiliate = make_affiliate()
    client = visitor()
    for query, label in (
        (f"ref={affiliate.code}&via=blog", "blog"),
        (f"via=forged&via=podcast&ref={affiliate.code}", "podcast"),
        ("via=alone", "podcast"),
        ("ref=nobodys1&via=other", "podcast"),
        (f"ref={affiliate.code}", ""),
    ):
        client.get(f"/?{query}")
        cookie = client.cookies["ref"].value
        assert (attribution.read(cookie), attribution.read_label(cookie)) == (affiliate.code, label)
    client.get(f"/r/{affiliate.code}/?via=card")
    assert attribution.read_label(client.cookies["ref"].value) == "card"
    # An old link names an address, and its cookie must not show whether it is an affiliate's.
    sizes = set()
    for named in (affiliate.email, "nobody@example.com"):
        stranger = visitor()
        stranger.get(f"/?ref={named}&via=newsletter")
        sizes.add(len(stranger.cookies["ref"].value))
        assert attribution.read_label(stranger.cookies["ref"].value) == ""
    assert len(sizes) == 1


@pytest.mark.every_engine
def test_a_day_tells_fifty_labels_apart_and_counts_the_others_together():
    affiliate = make_affiliate()
    for number in range(labels.MOST_A_DAY + 3):
        labels.count(affiliate.pk, f"l{number}", "", visits=1)
    labels.count(affiliate.pk, "l0", "", visits=1)
    labels.count(affiliate.pk, "l0", "usd", checkouts=1)
    shown = by_label.figures_of(affiliate.pk, Period.latest())
    assert len(shown) == labels.MOST_A_DAY + 1
    assert (shown[0].label, shown[0].steps) == ("l0", Steps(2, 1, 0))
    assert (shown[-1].is_others, shown[-1].steps) == (True, Steps(3, 0, 0))
    visits.record(affiliate.pk, "", network="198.51.100.1", user_agent="Browser", label="")
    assert sum(row.visits for row in ReferralLabelDay.objects.all()) == labels.MOST_A_DAY + 4
    ReferralLabelDay.objects.filter(label="l1").update(
        day=(timezone.now() - labels.KEPT - timedelta(days=1)).date()
    )
    assert labels.forget_old() == 1
    forgetting.forget(affiliate.user, by="its owner")
    assert not ReferralLabelDay.objects.exists()


def test_the_page_of_links_puts_a_label_on_each_of_them():
    affiliate, course = make_affiliate(), make_course()
    client = signed_in(affiliate)
    page = client.get(f"{LINKS}?via=Spring+News&q=").content.decode()
    assert f"{affiliate.link}?via=spring-news" in page
    assert f"{affiliate.link_to(course.slug)}?via=spring-news" in page
    page = client.get(f"{LINKS}?via=%D9%86%D8%B4").content.decode()
    assert "A label has letters from a to z" in page
    assert f'value="{affiliate.link}"' in page
