"""What goes in and out, in camelCase; amounts are integers in the currency's minor unit."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from ninja import Schema
from pydantic import ConfigDict, Field, StrictStr
from pydantic.alias_generators import to_camel

from accounts.emails import MAX_EMAIL_LENGTH
from accounts.forms import MAX_NAME_LENGTH
from api.fields import NAME, TEXT, AnyCode, AnyName, Code, CourseId, Cursor, Email, Text, Yes
from maaledu.money import Money
from maaledu.paging import Page

LONGEST_PASSWORD = 1024


class Shape(Schema):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Amount(Shape):
    """An amount in the minor unit, and as a reader expects it."""

    amount: int
    display: str

    @classmethod
    def of(cls, amount: int, currency: str) -> "Amount":
        return cls(amount=amount, display=str(Money(amount, currency)))


class Pager(Shape):
    """Where the next page begins, and whether there is one."""

    next_cursor: str | None
    has_more: bool


def pager_of(page: Page) -> dict[str, Any]:
    return {"next_cursor": page.next_cursor or None, "has_more": page.has_more}


class Problem(Shape):
    """Every refusal: a sentence for people, a code for programs, and whether to try again."""

    error: str
    code: str
    retryable: bool
    details: dict[str, Any]
    timestamp: datetime


# --- courses --------------------------------------------------------------------------------------
class CourseItem(Shape):
    course_id: str
    title: str
    summary: str
    category: str
    level: str
    language: str
    duration_hours: int
    price: Amount
    currency: str
    url: str
    cover_url: str


class CoursePage(Pager):
    courses: list[CourseItem]
    total: int


# --- sign-in --------------------------------------------------------------------------------------
class CsrfToken(Shape):
    csrf_token: str


class Credentials(Shape):
    email: Annotated[StrictStr, Field(min_length=1, max_length=MAX_EMAIL_LENGTH)]
    password: Annotated[
        StrictStr, Field(min_length=1, max_length=LONGEST_PASSWORD, json_schema_extra=TEXT)
    ]
    code: Annotated[
        StrictStr,
        Field(
            max_length=40,
            description="Of the second factor, where there is one.",
            json_schema_extra=TEXT,
        ),
    ] = ""


class Person(Shape):
    email: str
    name: str
    is_staff: bool


class SignedIn(CsrfToken):
    user: Person
    expires_at: datetime


# --- checkout -------------------------------------------------------------------------------------
class CheckoutOrder(Shape):
    course_id: CourseId
    email: Email
    name: AnyName | None = None
    coupon_code: AnyCode | None = None
    referral_code: Annotated[
        Any, Field(description="An affiliate's code; what is none credits nobody.")
    ] = None
    accept_terms: Yes


class Checkout(Shape):
    """Where the buyer goes on; `statusUrl` only where this request has started the checkout."""

    url: str
    enrollment_id: UUID
    status_url: str | None = None


# --- grants ---------------------------------------------------------------------------------------
class ApplicationText(Shape):
    course_id: CourseId
    name: Annotated[
        StrictStr, Field(min_length=1, max_length=MAX_NAME_LENGTH, json_schema_extra=NAME)
    ]
    email: Email
    situation: Text
    motivation: Text
    consent: Yes


class ApplicationReceived(Shape):
    """The same whether the address is known or not: the rest comes by e-mail."""

    status: Literal["received"]
    answer_within_working_days: int


class GrantItem(Shape):
    grant_id: UUID
    course_id: str
    course_title: str
    status: str
    discount_percent: int | None
    coupon_code: str | None
    expires_at: datetime | None
    answer_due_on: date
    created_at: datetime
    url: str


class GrantPage(Pager):
    grants: list[GrantItem]


class CouponQuestion(Shape):
    course_id: CourseId
    email: Email
    coupon_code: Code


class CouponAnswer(Shape):
    valid: Literal[True]
    course_id: str
    discount_percent: int
    list_price: Amount
    discount: Amount
    amount: Amount
    currency: str


# --- affiliate ------------------------------------------------------------------------------------
class Joining(Shape):
    name: Annotated[StrictStr, Field(min_length=1, max_length=80, json_schema_extra=NAME)]
    tax_country: Annotated[
        StrictStr,
        Field(description="As ISO 3166-1 names it in two letters.", pattern="^[A-Z]{2}$"),
    ]
    payout_method: Literal["paypal", "bank", "later"]
    paypal_email: Annotated[str | None, Field(description="Needed for paypal.")] = None
    payee_name: Annotated[str | None, Field(description="Needed for bank.")] = None
    iban: Annotated[str | None, Field(description="Needed for bank.")] = None
    accept_terms: Yes


class AffiliateBalance(Shape):
    currency: str
    pending: Amount
    payable: Amount
    paid: Amount
    held: Amount


class AffiliateFigures(Shape):
    code: str
    link: str
    name: str
    status: str
    rate_basis_points: int
    rate: str
    payout_method: str
    payout_account: str
    balances: list[AffiliateBalance]


# --- enrollments and the LMS ----------------------------------------------------------------------
class EnrollmentItem(Shape):
    """`statusUrl` and `courseUrl` are shown to the learner alone."""

    enrollment_id: UUID
    course_id: str
    course_title: str
    email: str
    kind: str
    status: str
    lms_platform: str
    lms_status: str
    progress_percent: int | None
    list_price: Amount
    amount: Amount
    currency: str
    created_at: datetime
    paid_at: datetime | None
    status_url: str | None = None
    course_url: str | None = None


class EnrollmentPage(Pager):
    enrollments: list[EnrollmentItem]


class FailedEnrollment(Shape):
    enrollment_id: UUID
    course_id: str
    email: str
    lms_platform: str
    lms_status: str
    attempts: int
    last_error: str
    paid_at: datetime | None


class SyncStatistics(Shape):
    """Paid enrollments without access, by state, and what the queue holds."""

    pending: int
    retrying: int
    awaiting_account: int
    failed: int
    lost: int
    due_jobs: int
    dead_letters: int


class SyncFailures(Pager):
    statistics: SyncStatistics
    failed_enrollments: list[FailedEnrollment]


class RetryOne(Shape):
    model_config = ConfigDict(extra="forbid")
    enrollment_id: UUID


class RetryAll(Shape):
    model_config = ConfigDict(extra="forbid")
    retry_all: Yes
    cursor: Cursor = ""


class RetriedOne(Shape):
    """`result` is success, failed, running (a worker has it) or pending (it is tried again)."""

    enrollment_id: UUID
    result: Literal["success", "failed", "running", "pending"]
    lms_status: str
    lms_enrollment_id: str
    attempts: int
    last_attempt: str
    last_error: str
    next_attempt_at: datetime | None


class RetriedAll(Pager):
    """The totals of one step; `remaining` are the dead letters that are open after it."""

    processed: int
    retried: int
    skipped: int
    remaining: int
