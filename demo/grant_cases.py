"""The demo's programs, and grants in every state, each made as applicants and staff make it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from courses.models import Course
from demo.controls import Sandbox, deliver
from demo.purchases import buy
from grants import applications, redemption
from grants.applications import Application, Decision
from grants.models import Grant, MessageTemplate, Program
from payments.orders import Buyer

OPEN_FOR, GOOD_FOR, LATE_BY = timedelta(days=60), timedelta(days=30), timedelta(days=16)
PUBLIC, CARE = "Public Service Fund", "Care Workers' Fund"


@dataclass(frozen=True)
class Filed:
    """The grant of a case that was just filed, and decided on where it says so, and by whom."""

    case: "Case"
    grant: Grant
    sandbox: Sandbox
    by: str

    def change(self, **fields: Any) -> None:
        Grant.objects.filter(pk=self.grant.pk).update(**fields)

    def check_out(self, outcome: str) -> None:
        buyer = Buyer(self.case.email, self.case.name, str(self.grant.code))
        buy(self.sandbox, self.grant.course, buyer, outcome=outcome)


# --- what becomes of an application ---------------------------------------------------------------
def left(filed: Filed) -> None:
    """Leave it as it is."""


def late(filed: Filed) -> None:
    """Leave it to staff past its date."""
    grant = filed.grant
    filed.change(created_at=grant.created_at - LATE_BY, answer_due_on=grant.answer_due_on - LATE_BY)


def expired(filed: Filed) -> None:
    filed.change(expires_at=timezone.now() - timedelta(hours=1))


def rejected(filed: Filed) -> None:
    note = "Your employer's half and a payment in parts would cover it."
    applications.reject(filed.grant, by=filed.by, reason="criteria", note=note)


def revoked(filed: Filed) -> None:
    applications.revoke(filed.grant, by=filed.by, note="Her school pays after all, she writes.")


def withdrawn(filed: Filed) -> None:
    applications.withdraw(filed.grant)


def held(filed: Filed) -> None:
    """Hold its coupon in a checkout that nobody has paid."""
    filed.check_out("")


def bought(filed: Filed) -> None:
    filed.check_out("paid")


# --- the cases ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Case:
    """An application, and how it ended; `percent` is what was approved."""

    name: str
    course: str
    end: Callable[[Filed], None]
    situation: str
    motivation: str
    percent: int = 0

    @property
    def email(self) -> str:
        return f"{self.name.lower().replace(' ', '.')}@example.com"


CASES = (
    Case(
        "Rosa Medina",
        "project-finance-essentials",
        left,
        "I keep the books of a food bank with four employees. Nobody here has ever read a project"
        " budget of a donor, and there is no money for training this year.",
        "We have been offered a grant of two years and have to report on it each quarter.",
    ),
    Case(
        "Tomasz Wilk",
        "sql-for-everyday-questions",
        left,
        "I work half-time at a town library and earn 1,100 a month.",
        "Our loan statistics are in a database that only one colleague can ask, and he retires.",
    ),
    Case(
        "Leila Rahimi",
        "teaching-adults-online",
        late,
        "I teach newcomers to read and write as a volunteer, three evenings a week.",
        "Since the winter half of my group comes by video, and I have never learned how to do it.",
    ),
    Case(
        "Samuel Adeyemi",
        "data-analysis-foundations",
        left,
        "I am between two jobs after my contract at the health department ended in June.",
        "Nearly every post I could apply for asks for what this course teaches.",
        75,
    ),
    Case(
        "Hanna Berg",
        "ux-writing",
        held,
        "I write the forms of a small municipality, and we have no budget for courses.",
        "People call us because they do not understand our letters. I want fewer calls.",
        50,
    ),
    Case(
        "Idris Bello",
        "reading-financial-statements",
        bought,
        "I am the treasurer of a parents' association, unpaid.",
        "I sign a balance sheet every spring that I cannot read.",
        50,
    ),
    Case(
        "Mei Tan",
        "supporting-people-with-dementia",
        bought,
        "I care for my father and have reduced my hours for it.",
        "I would like to do it well, and to be able to say no to bad advice.",
        100,
    ),
    Case(
        "Oskar Lund",
        "machine-learning-in-production",
        rejected,
        "My employer would pay half of it.",
        "I want to move into another team.",
    ),
    Case(
        "Priya Nair",
        "designing-assessments",
        revoked,
        "I teach at a school that has stopped paying for courses.",
        "I mark four classes and would like to ask better questions.",
        80,
    ),
    Case(
        "Yusuf Demir",
        "writing-policy-that-works",
        expired,
        "I work for a tenants' union on a small allowance.",
        "We answer consultations of the city, and nobody reads our answers.",
        60,
    ),
    Case(
        "Anna Kovacs",
        "brand-identity-design",
        withdrawn,
        "I am self-employed in my first year.",
        "My customers ask for it.",
    ),
)


def ensure_programs() -> Program:
    """Ensure that two programs are open and announced; return the one that pays for the cases."""
    closes_on = (timezone.now() + OPEN_FOR).date()
    fund, _ = Program.objects.get_or_create(
        name=PUBLIC,
        defaults={
            "budget_amount": 500_000,
            "budget_grants": 25,
            "for_whom": "For people who work for a public body or a non-profit, paid or not, and"
            " whose employer has no budget for training.",
            "decided_how": "Two of us read each application. What counts is what you would do with"
            " the course, and whether anybody else could pay for it.",
            "closes_on": closes_on,
        },
    )
    Program.objects.get_or_create(
        name=CARE,
        defaults={
            "currency": "gbp",
            "budget_grants": 40,
            "for_whom": "For care workers and for people who care for a relative at home.",
            "decided_how": "In the order in which applications arrive, until all are given.",
        },
    )
    return fund


MESSAGES = (
    (
        "Approved in part",
        MessageTemplate.APPROVAL,
        (
            "Dear {name}, we cover {percent} % of {course}. More applied than we had means for:"
            " by giving each a part we could say yes to most. Your code is good until {expires}."
        ),
    ),
    (
        "Approved in full",
        MessageTemplate.APPROVAL,
        (
            "Dear {name}, your enrollment in {course} is paid for. Please use your code by"
            " {expires}, or write to us if you need more time."
        ),
    ),
    (
        "Budget used up",
        MessageTemplate.REJECTION,
        (
            "Dear {name}, this year's means are given away: we could not help with {course}. New"
            " ones come in January: please apply again, your application is welcome."
        ),
    ),
)


def make_all(sandbox: Sandbox, *, by: str) -> int:
    """Bring each case to its state, unless its applicant is known; return how many were made.

    `by` is the e-mail of the member of staff who decides.
    """
    fund = ensure_programs()
    for name, used_for, text in MESSAGES:
        words = {"used_for": used_for, "text": text}
        MessageTemplate.objects.get_or_create(name=name, defaults=words)
    known = set(Grant.objects.values_list("email", flat=True))
    new = [case for case in CASES if case.email not in known]
    for case in new:
        _make(sandbox, case, fund, by=by)
    redemption.expire_overdue()
    deliver(sandbox)
    return len(new)


def _make(sandbox: Sandbox, case: Case, fund: Program, *, by: str) -> None:
    course = Course.objects.get(slug=case.course)
    text = Application(case.name, case.email, case.situation, case.motivation)
    grant = applications.file(course, text)
    if case.percent:
        decision = Decision(case.percent, timezone.now() + GOOD_FOR, fund)
        grant = applications.approve(grant, decision, by=by)
    case.end(Filed(case, grant, sandbox, by))
