"""Fill a fresh database with a shop of three years, and with what staff see beside its purchases.

Imported in a process where the product is set up. The newest of each kind wait for staff, as many
as in a smaller shop: people have to decide about them.
"""

from collections.abc import Callable

from allauth.account.models import EmailAddress
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models

from accounts.models import AuditEntry, LearnerNote, User
from affiliates.models import Affiliate
from bench import night_data, office_beside
from bench.night_shop import DAY, YEARS, sliced, uid, write
from bench.office_beside import OPEN, Office
from courses.models import Course
from enrollments.models import Enrollment
from grants.models import Grant
from lms_sync.models import DeadLetter, PlatformState, SyncJob
from notifications.models import UndeliverableAddress
from operations import day_figures
from payments.models import Dispute, EarlyFraudWarning, Payment

STAFF = "staff0@maaledu.example"


def fill(size: int) -> None:
    night_data.fill(size)
    User.objects.filter(email=STAFF).update(is_staff=True, is_superuser=True)
    office = _office(size)
    for make, share in GROWN.items():
        for numbers in sliced(range(max(size // share, OPEN * 2))):
            write(row for number in numbers for row in make(office, number))
    for letters in sliced(range(len(office.jobs))):
        write(_letter(office, number) for number in letters)
    PlatformState.objects.get_or_create(name="frappe")
    while day_figures.keep() == day_figures.MOST_AT_ONCE:
        pass
    fill_beside(office, size)
    if connection.vendor == "postgresql":  # no shop asks SQLite to
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def fill_beside(office: Office, size: int) -> None:
    fixed = office_beside.fixed_rows(office)
    write([row for row in fixed if not type(row)._base_manager.exists()])
    for make, share in BESIDE.items():
        for numbers in sliced(range(max(size // share, OPEN * 2))):
            write(row for number in numbers for row in make(office, number))


def _office(size: int) -> Office:
    return Office(
        now=Enrollment.objects.latest("created_at").created_at,
        staff=User.objects.get(email=STAFF),
        courses=list(Course.objects.filter(price__gt=0).order_by("slug")),
        payments=list(
            Payment.objects.filter(status="paid").order_by("-created_at")[
                : max(OPEN * 5, size // OF_DOUBTS)
            ]
        ),
        jobs=list(SyncJob.objects.order_by("-created_at")[: OPEN * 5]),
        affiliates=list(Affiliate.objects.order_by("created_at")[: OPEN * 5]),
    )


def _account(office: Office, number: int) -> list[models.Model]:
    at, email = office.now - YEARS + DAY * number / 200, f"account{number}@accounts.example"
    user = User(id=uid(at, f"account{number}"), email=email, date_joined=at, name=f"No {number}")
    return [user, EmailAddress(user=user, email=email, verified=True, primary=True)]


def _act(office: Office, number: int) -> list[models.Model]:
    """Return one act of staff, in Django's log and in the change log."""
    at, row = office.now - DAY * number / 100, uid(office.now, f"row{number}")
    entry = LogEntry(
        action_time=at,
        user=office.staff,
        content_type=ContentType.objects.get_for_model(Enrollment),
        object_id=str(row),
        object_repr="enrollment",
        action_flag=CHANGE,
        change_message="retried",
    )
    audited = AuditEntry(
        id=uid(at, f"act{number}"),
        created_at=at,
        actor=STAFF,
        kind=AuditEntry.KINDS[number % len(AuditEntry.KINDS)][0],
        what="retried",
        model="enrollments.enrollment",
        row_id=str(row),
    )
    return [entry, audited]


def _note(office: Office, number: int) -> list[models.Model]:
    at, email = office.now - DAY * number / 10, f"learner{number}+{number * 4}@buyers.example"
    return [LearnerNote(id=uid(at, f"note{number}"), email=email, text="Called.", created_at=at)]


def _application(office: Office, number: int) -> list[models.Model]:
    at, is_open = office.now - DAY * number / 10, number < OPEN
    grant = Grant(
        id=uid(at, f"application{number}"),
        token=f"a{number}",
        course=office.courses[number % len(office.courses)],
        email=f"applicant{number}@grants.example",
        name=f"Applicant {number}",
        situation="A situation. ",
        motivation="A motivation. ",
        consented_at=at,
        answer_due_on=(at + 14 * DAY).date(),
        status=Grant.PENDING if is_open else Grant.REJECTED,
        reject_reason="" if is_open else "budget",
        currency="usd",
        created_at=at,
        updated_at=at,
    )
    return [grant]


def _doubt(office: Office, number: int) -> list[models.Model]:
    """Return a dispute and a fraud warning."""
    at, is_open = office.now - DAY * number / 5, number < OPEN
    payment = office.payments[number % len(office.payments)]
    about = {
        "payment": payment,
        "payment_intent_id": f"pi_doubt{number}",
        "created_at": at,
        "updated_at": at,
    }
    dispute = Dispute(
        id=uid(at, f"dispute{number}"),
        stripe_dispute_id=f"dp_{number}",
        amount=payment.amount,
        currency=payment.currency,
        status=Dispute.OPEN if is_open else Dispute.WON,
        stripe_status="needs_response" if is_open else "won",
        reason="fraudulent",
        evidence_due_by=at + 10 * DAY,
        **about,
    )
    warning = EarlyFraudWarning(
        id=uid(at, f"warning{number}"),
        stripe_warning_id=f"issfr_{number}",
        fraud_type="made_with_stolen_card",
        is_actionable=is_open,
        warned_at=at,
        **about,
    )
    return [dispute, warning]


def _undeliverable(office: Office, number: int) -> list[models.Model]:
    at, email = office.now - DAY * number / 10, f"learner{number}+{number * 4}@buyers.example"
    fields = {"reason": "bounced", "reported_at": at}
    return [UndeliverableAddress(id=uid(at, f"bounce{number}"), email=email, **fields)]


def _letter(office: Office, number: int) -> models.Model:
    at = office.now - DAY * number
    return DeadLetter(
        id=uid(at, f"letter{number}"),
        job=office.jobs[number],
        status=DeadLetter.Status.OPEN if number < OPEN else DeadLetter.Status.REPLAYED,
        reason="LMS_REFUSED",
        last_error="The learning platform refused what was asked for.",
        attempts=1,
        first_attempt_at=at,
        last_attempt_at=at,
        notification_sent_at=at,
        created_at=at,
    )


Make = Callable[[Office, int], list[models.Model]]
# Of how many enrollments there is one.
OF_DOUBTS = 500
GROWN: dict[Make, int] = {
    _account: 5,
    _act: 20,
    _note: 100,
    _application: 20,
    _doubt: OF_DOUBTS,
    _undeliverable: 500,
}
BESIDE: dict[Make, int] = {
    office_beside.partner: OF_DOUBTS,
    office_beside.request: OF_DOUBTS,
    office_beside.doubted: 1000,
    office_beside.listed: 20,
}
