import itertools
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import IntegrityError
from django.utils import timezone

from courses.discounts import discounted
from courses.models import Course
from grants import applications, redemption, reminders
from grants.applications import Decision
from grants.errors import AlreadyDecided, ApplicationOpen, BudgetExceeded, InvalidDecision
from grants.models import Grant, GrantEvent, Program
from maaledu.db import transition
from notifications.models import Email
from notifications.outgoing import compose
from tests import tables
from tests.concurrency import kinds, race
from tests.factories import make_course
from tests.grants.make import HOLDER, STAFF, make_application, make_coupon

IN_A_MONTH = timedelta(days=30)
STATUSES = [
    *("pending", "approved", "rejected", "withdrawn"),
    *("reserved", "redeemed", "expired", "revoked"),
]


def decision(percent: int = 50, program: Program | None = None) -> Decision:
    return Decision(percent, timezone.now() + IN_A_MONTH, program)


@pytest.mark.any_engine
@pytest.mark.breaks_invariants
@pytest.mark.parametrize(("before", "after"), list(itertools.product(STATUSES, repeat=2)))
def test_every_pair_of_grant_statuses(before: str, after: str) -> None:
    grant = make_application()
    Grant.objects.filter(pk=grant.pk).update(status=before)
    allowed = (before, after) in tables.GRANT
    assert transition(grant, after) is allowed
    grant.refresh_from_db()
    assert grant.status == (after if allowed else before)


@pytest.mark.any_engine
def test_an_answer_is_due_after_ten_working_days() -> None:
    assert applications.working_days_after(date(2026, 11, 20), 10) == date(2026, 12, 4)
    assert applications.working_days_after(date(2026, 11, 21), 1) == date(2026, 11, 23)


def test_one_open_application_for_each_course_and_email() -> None:
    course = make_course()
    make_application(course)
    with pytest.raises(ApplicationOpen):
        make_application(course)
    make_application(course, email="other@example.com")
    make_application()
    assert Grant.objects.count() == 3


def test_a_second_application_is_answered_alike_and_its_holder_is_reminded_by_mail() -> None:
    course = make_course()
    for _ in range(3):
        applications.apply(
            course, applications.Application("Grace", "holder@example.com", "s", "m")
        )
    assert Grant.objects.count() == 1
    assert sorted(
        key.split(":")[2] != "" for key in Email.objects.values_list("dedupe_key", flat=True)
    ) == [False, True]


@pytest.mark.any_engine
def test_an_approval_makes_a_coupon_with_its_trace_and_one_mail() -> None:
    grant = applications.approve(make_application(), decision(), by=STAFF)
    assert (grant.status, grant.percent, grant.decided_by, grant.price_at_approval) == (
        "approved",
        50,
        STAFF,
        49900,
    )
    assert grant.code is not None
    mail = Email.objects.get(kind="grant_approved")
    assert (mail.context["code"], mail.context["to_pay"], mail.context["percent"]) == (
        grant.code,
        "$249.50",
        50,
    )
    assert GrantEvent.objects.filter(grant=grant).count() == 2


@pytest.mark.any_engine
@pytest.mark.parametrize("percent", [0, 9, 101, -5])
def test_a_percentage_outside_ten_to_a_hundred_is_refused(percent: int) -> None:
    grant = make_application()
    with pytest.raises(InvalidDecision):
        applications.approve(grant, decision(percent), by=STAFF)
    grant.refresh_from_db()
    assert (grant.status, grant.code) == ("pending", None)


@pytest.mark.any_engine
def test_an_expiry_in_the_past_is_refused() -> None:
    with pytest.raises(InvalidDecision):
        applications.approve(make_application(), Decision(50, timezone.now()), by=STAFF)


def test_two_members_of_staff_deciding_at_once_make_one_decision() -> None:
    grant = make_application()
    steps = [
        lambda: applications.approve(grant, decision(), by="a"),
        lambda: applications.reject(grant, by="b", reason="budget"),
    ] * 4
    results = race(lambda number: steps[number](), threads=8)
    assert kinds(results) == {"ok": 1, "AlreadyDecided": 7}
    assert GrantEvent.objects.filter(grant=grant).count() == 2
    assert Email.objects.filter(kind__in=["grant_approved", "grant_rejected"]).count() == 1


@pytest.mark.any_engine
def test_a_rejection_names_its_reason_and_is_final() -> None:
    grant = applications.reject(
        make_application(), by=STAFF, reason="criteria", note="Next year, please."
    )
    assert Email.objects.get(kind="grant_rejected").context["note"] == "Next year, please."
    with pytest.raises(AlreadyDecided):
        applications.approve(grant, decision(), by=STAFF)
    with pytest.raises(InvalidDecision):
        applications.reject(make_application(), by=STAFF, reason="because")


def test_a_budget_of_money_is_never_exceeded_also_by_many_at_once() -> None:
    program = Program.objects.create(name="Fund", currency="usd", budget_amount=100_000)
    course = make_course(price=49900)
    grants = [make_application(course, email=f"a{number}@example.com") for number in range(8)]
    results = race(
        lambda number: applications.approve(grants[number], decision(50, program), by=STAFF),
        threads=8,
    )
    assert kinds(results) == {"ok": 4, "BudgetExceeded": 4}
    program.refresh_from_db()
    assert (program.committed_amount, program.committed_grants) == (99_800, 4)
    assert Grant.objects.filter(status="pending").count() == 4


@pytest.mark.any_engine
def test_a_budget_of_a_number_of_grants_is_never_exceeded() -> None:
    program = Program.objects.create(name="Seats", currency="usd", budget_grants=1)
    make_coupon(program=program)
    with pytest.raises(BudgetExceeded):
        make_coupon(program=program, email="second@example.com")
    program.refresh_from_db()
    assert program.committed_grants == 1


@pytest.mark.any_engine
def test_a_program_of_another_currency_or_closed_is_refused() -> None:
    euros = Program.objects.create(name="Euros", currency="eur")
    closed = Program.objects.create(name="Closed", currency="usd", is_active=False)
    for program in (euros, closed):
        with pytest.raises(InvalidDecision):
            applications.approve(
                make_application(email=f"{program.name}@example.com"),
                decision(50, program),
                by=STAFF,
            )


def test_a_budget_is_charged_in_the_currency_that_the_course_has_by_now() -> None:
    funds = {name: Program.objects.create(name=name, currency=name) for name in ("usd", "eur")}
    grant = make_application(make_course(price=49900, currency="usd"))
    Course.objects.update(currency="eur")
    with pytest.raises(InvalidDecision):
        applications.approve(grant, decision(50, funds["usd"]), by=STAFF)
    applications.approve(grant, decision(50, funds["eur"]), by=STAFF)
    assert dict(Program.objects.values_list("name", "committed_amount")) == {"usd": 0, "eur": 24950}


def test_revoking_and_expiring_give_the_budget_back() -> None:
    program = Program.objects.create(name="Fund", currency="usd", budget_grants=1)
    grant = make_coupon(program=program)
    applications.revoke(grant, by=STAFF, note="moved away")
    program.refresh_from_db()
    assert (program.committed_amount, program.committed_grants) == (0, 0)
    late = make_coupon(program=program, email="late@example.com")
    Grant.objects.filter(pk=late.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert (redemption.expire_overdue(), redemption.expire_overdue()) == (1, 0)
    program.refresh_from_db()
    late.refresh_from_db()
    assert (late.status, program.committed_grants) == ("expired", 0)
    assert GrantEvent.objects.get(grant=late, what="expired").note == "Automatically expired"


def test_a_reissued_code_kills_the_old_one_and_is_mailed() -> None:
    grant = make_coupon()
    old = grant.code
    fresh = applications.reissue(grant, by=STAFF)
    assert fresh.code not in (None, old)
    assert not Grant.objects.filter(code=old).exists()
    assert Email.objects.filter(kind="grant_approved").count() == 2


@pytest.mark.any_engine
def test_extending_moves_the_expiry_of_an_unused_coupon_only() -> None:
    grant = make_coupon()
    until = timezone.now() + timedelta(days=90)
    assert (
        abs((applications.extend(grant, by=STAFF, until=until).expires_at - until).total_seconds())
        < 1
    )
    applications.revoke(grant, by=STAFF)
    for act in (
        lambda: applications.extend(grant, by=STAFF, until=until),
        lambda: applications.revoke(grant, by=STAFF),
    ):
        with pytest.raises(AlreadyDecided):
            act()


@pytest.mark.any_engine
def test_holders_are_reminded_seven_days_and_one_day_before_once_each() -> None:
    far = make_coupon(email="far@example.com")
    for email, left in (
        ("week@example.com", timedelta(days=6)),
        ("day@example.com", timedelta(hours=20)),
    ):
        grant = make_coupon(email=email)
        Grant.objects.filter(pk=grant.pk).update(
            expires_at=timezone.now() + left, decided_at=timezone.now() - IN_A_MONTH
        )
    assert (reminders.send_reminders(), reminders.send_reminders()) == (2, 0)
    assert sorted(Email.objects.filter(kind="grant_reminder").values_list("to", flat=True)) == [
        "day@example.com",
        "week@example.com",
    ]
    assert far.status == "approved"


def test_of_many_coupons_that_end_on_one_day_each_is_reminded_and_the_next_look_is_cheap(
    django_assert_max_num_queries: Any,
) -> None:
    """As after many approvals at once, which all end in the same second."""
    course, now = make_course(), timezone.now()
    for number in range(4):
        make_coupon(course, email=f"{number}@example.com")
    Grant.objects.update(expires_at=now + timedelta(days=6), decided_at=now - IN_A_MONTH)
    assert [reminders.send_reminders(limit=2) for _ in range(3)] == [2, 2, 0]
    assert Email.objects.filter(kind="grant_reminder").values("to").distinct().count() == 4
    with django_assert_max_num_queries(3):
        assert reminders.send_reminders() == 0


@pytest.mark.any_engine
@pytest.mark.parametrize(("days", "reminded"), [(3, [1]), (8, [7, 1]), (7, [1])])
def test_a_moment_to_remind_that_lay_before_the_approval_is_left_out(
    days: int, reminded: list[int]
) -> None:
    """The approval's own mail has just said until when the coupon is good."""
    now = timezone.now()
    grant = applications.approve(
        make_application(),
        Decision(50, now + timedelta(days=days) - timedelta(minutes=1)),
        by=STAFF,
    )
    counts = [reminders.send_reminders()]
    # the time between passes: both moments move back by as much
    for left in (timedelta(days=6, hours=12), timedelta(hours=12)):
        passed = grant.expires_at - now - left
        Grant.objects.filter(pk=grant.pk).update(
            expires_at=now + left, decided_at=grant.decided_at - passed
        )
        counts.append(reminders.send_reminders())
    assert counts == [0, int(7 in reminded), int(1 in reminded)]


@pytest.mark.engines("sqlite", "postgres")
def test_an_application_that_cannot_be_kept_is_not_thanked_for() -> None:
    """Whatever keeps it out, unless it is one that is open (fault O3)."""
    nameless: Any = None
    with pytest.raises(IntegrityError):
        applications.apply(make_course(), applications.Application(nameless, HOLDER, "s", "m"))


@pytest.mark.breaks_invariants
def test_who_applies_again_gets_the_state_of_the_first_application() -> None:
    """The mail is true, and goes to the address itself: whoever typed it learns nothing."""
    course = make_course()
    again = applications.Application("Somebody", HOLDER, "s", "m")
    grant = make_coupon(course)
    applications.apply(course, again)
    mail = Email.objects.get(kind="grant_waiting")
    assert (mail.to, Email.objects.filter(kind="grant_received").count()) == (HOLDER, 0)
    text = compose(mail).body
    for part in ("approved already", f"/grants/{grant.token}/", "Grace Holder"):
        assert part in text
    for part in ("People are reading", grant.code, "Somebody"):
        assert part not in text
    redemption.reserve(grant, enrollment_id=grant.pk, until=timezone.now() + timedelta(minutes=5))
    applications.apply(course, again)
    assert Email.objects.filter(kind="grant_waiting").count() == 1
    assert Grant.objects.count() == 1


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("price", "percent", "commission", "said"),
    [
        (
            4900,
            99,
            0,
            ["What is left to pay is under Stripe's minimum: the enrollment will be free."],
        ),
        (4900, 100, 0, []),
        (49900, 95, 4990, ["An affiliate's commission would exceed what is paid by $24.95."]),
        (49900, 90, 4990, []),
        (49900, 90, 4991, ["An affiliate's commission would exceed what is paid by $0.01."]),
    ],
)
def test_the_approval_warns_of_a_free_rest_and_of_a_loss(
    price: int, percent: int, commission: int, said: list[str]
) -> None:
    assert (
        applications.warnings_about(
            discounted(price, percent, "usd"), percent, commission=commission
        )
        == said
    )
