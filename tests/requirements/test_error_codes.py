"""Every refusal's code and status, written out: what the classes say is held against this
(requirement R164).
"""

from importlib import import_module
from pkgutil import walk_packages

import pytest
from django.test import RequestFactory

from maaledu.errors import AppError
from maaledu.http import error_response
from tests.requirements.test_everywhere import OURS

pytestmark = pytest.mark.no_database

STATUSES = {
    400: {
        "BAD_CURSOR",
        "BAD_REQUEST",
        "BATCH_UNREADABLE",
        "COVER_REFUSED",
        "EMAIL_REFUSED",
        "FACT_REFUSED",
        "IDEMPOTENCY_KEY_INVALID",
        "INVALID_CHECKOUT",
        "INVALID_DECISION",
        "INVALID_EVENT",
        "INVALID_JOINING",
        "INVALID_SIGNATURE",
        "LEGACY_ANSWERS_INVALID",
        "LEGACY_SOURCE_UNREADABLE",
        "VIEW_REFUSED",
    },
    401: {
        "API_KEY_INVALID",
        "CRON_REFUSED",
        "MAIL_WEBHOOK_NOT_SIGNED",
        "MONITOR_REFUSED",
        "SECOND_FACTOR_NEEDED",
        "SIGN_IN_NEEDED",
        "SIGN_IN_REFUSED",
    },
    403: {
        "API_KEY_SCOPE_MISSING",
        "EMAIL_NOT_VERIFIED",
        "FORBIDDEN",
        "OWN_ACCOUNT",
        "OWN_SECOND_FACTOR",
        "SAME_PERSON",
    },
    404: {
        "APPLICATION_NOT_FOUND",
        "COURSE_NOT_FOUND",
        "ENROLLMENT_NOT_FOUND",
        "ENTRY_NOT_FOUND",
        "NOT_AN_AFFILIATE",
        "NOT_FOUND",
        "PAPER_NOT_FOUND",
        "STATEMENT_NOT_FOUND",
    },
    405: {"METHOD_NOT_ALLOWED"},
    409: {
        "ACCOUNT_IN_USE",
        "ACCOUNT_IS_CLOSED",
        "ADDRESS_TAKEN",
        "BATCH_OFF_SALE",
        "COURSE_OFF_SALE",
        "ENROLLED_OR_PAYING",
        "MAIL_NOT_REPEATABLE",
        "MAIL_ON_ITS_WAY",
        "NOT_SETTLED",
        "SAME_ADDRESS",
        "ALREADY_AFFILIATE",
        "ALREADY_DECIDED",
        "ALREADY_ENROLLED",
        "APPLICATION_OPEN",
        "AUDIT_LOG_APPEND_ONLY",
        "BALANCE_TOO_LOW",
        "BUDGET_EXCEEDED",
        "CANNOT_REBUILD",
        "COMPARED_ELSEWHERE",
        "COUPON_UNAVAILABLE",
        "COURSE_NOT_READY",
        "DECIDED_ALREADY",
        "DIFFERENCE_IS_OVER",
        "ENROLLED_MEANWHILE",
        "ENROLLMENT_IS_OVER",
        "FACTS_CHANGED",
        "IDEMPOTENCY_KEY_IN_USE",
        "IDEMPOTENCY_KEY_REUSED",
        "LEDGER_APPEND_ONLY",
        "LEGACY_IMPORT_REFUSED",
        "LEGACY_PROPOSAL_DECIDED",
        "LEGACY_PROPOSAL_WITHOUT_AFFILIATE",
        "NO_SECOND_FACTOR",
        "NOTHING_TO_PAY",
        "NOT_REPAIRABLE",
        "PAYEE_NOT_ACTIVE",
        "PAYMENT_IN_PROGRESS",
        "PAYOUT_FILE_WAS_MADE",
        "PAYOUT_REFUSED",
        "PRICE_CHANGED",
        "PROGRAM_IN_USE",
        "REFUND_ASKED_ALREADY",
        "REFUND_ASKED_BEFORE",
        "REFUND_NOT_OFFERED",
        "REFUND_NOT_POSSIBLE",
        "REFUND_TOO_LARGE",
        "RESTORE_REFUSED",
        "SEEN_CHANGED",
        "TOO_MANY_VIEWS",
        "VIEWS_CHANGED",
    },
    411: {"LENGTH_REQUIRED"},
    413: {"PAYLOAD_TOO_LARGE"},
    415: {"UNSUPPORTED_MEDIA_TYPE"},
    422: {
        "INVALID_INPUT",
        "LMS_BROKEN_LINK",
        "LMS_ACCOUNT_RETIRED",
        "LMS_COURSE_UNKNOWN",
        "LMS_DUPLICATE",
        "LMS_NOT_ENROLLED",
        "LMS_NOT_FOUND",
        "LMS_REFUSED",
    },
    429: {"RATE_LIMITED"},
    500: {
        "BACKUP_DAMAGED",
        "BACKUP_IMPOSSIBLE",
        "EMAIL_TEMPLATE_BROKEN",
        "INTERNAL_ERROR",
        "ALERT_CHANNEL_REFUSED",
        "ALERT_CHANNEL_UNAVAILABLE",
        "MAIL_DEFERRED",
        "MAIL_HELD",
        "MAIL_NOT_ALLOWED",
        "MAIL_PAUSED",
        "MAIL_REFUSED",
        "MAIL_UNAVAILABLE",
        "MAIL_UNCERTAIN",
        "RECONCILIATION_INCOMPLETE",
        "ROWS_FAILED",
        "SEALED_DETAILS_UNREADABLE",
        "UNEXPECTED_ERROR",
        "WORKER_LOST",
    },
    503: {
        "ACCESS_NOT_COMPARED",
        "CHECKOUT_CLOSED",
        "CHECKOUT_UNAVAILABLE",
        "LMS_ACCOUNT_WAITS",
        "LMS_AWAITING_ACCOUNT",
        "LMS_BUSY",
        "LMS_CONTENDED",
        "LMS_CREATE_OPEN",
        "LMS_DENIED",
        "LMS_INTERCEPTED",
        "LMS_MAINTENANCE",
        "LMS_MISCONFIGURED",
        "LMS_NO_NEW_USERS",
        "LMS_PACED",
        "LMS_PARKED",
        "LMS_STEP_DOWN",
        "LMS_THROTTLED",
        "LMS_UNAVAILABLE",
        "LMS_UNREADABLE",
        "LMS_USER_DISABLED",
        "PAYMENTS_UNAVAILABLE",
        "SERVICE_UNAVAILABLE",
        "STRIPE_KEY_REFUSED",
        "STRIPE_REFUSED",
        "STRIPE_SESSION_UNKNOWN",
        "STRIPE_UNAVAILABLE",
    },
}
RETRYABLE = {
    "ACCESS_NOT_COMPARED",
    "IDEMPOTENCY_KEY_IN_USE",
    "CHECKOUT_UNAVAILABLE",
    "COMPARED_ELSEWHERE",
    "ENROLLED_MEANWHILE",
    "LMS_ACCOUNT_WAITS",
    "MAIL_ON_ITS_WAY",
    "LMS_AWAITING_ACCOUNT",
    "LMS_BUSY",
    "LMS_CONTENDED",
    "LMS_CREATE_OPEN",
    "LMS_DENIED",
    "LMS_INTERCEPTED",
    "LMS_MAINTENANCE",
    "LMS_MISCONFIGURED",
    "LMS_NO_NEW_USERS",
    "LMS_PACED",
    "LMS_PARKED",
    "LMS_STEP_DOWN",
    "LMS_THROTTLED",
    "LMS_UNAVAILABLE",
    "LMS_UNREADABLE",
    "LMS_USER_DISABLED",
    "ALERT_CHANNEL_UNAVAILABLE",
    "MAIL_DEFERRED",
    "MAIL_NOT_ALLOWED",
    "MAIL_PAUSED",
    "MAIL_UNAVAILABLE",
    "MAIL_UNCERTAIN",
    "RATE_LIMITED",
    "SERVICE_UNAVAILABLE",
    "STRIPE_KEY_REFUSED",
    "STRIPE_UNAVAILABLE",
    "UNEXPECTED_ERROR",
}
NEVER_RAISED = {"LmsError"}  # the base of the LMS's, without a code of its own


def refusals() -> dict[str, list[type[AppError]]]:
    """Return the product's classes of refusals by their code, having read every module that may
    have some.
    """
    for app in ("maaledu", *OURS):
        for module in walk_packages(import_module(app).__path__, f"{app}."):
            if not {"management", "migrations", "celery", "wsgi"} & set(module.name.split(".")):
                import_module(module.name)
    found: dict[str, list[type[AppError]]] = {}
    waiting = [AppError]
    while waiting:
        cls = waiting.pop()
        waiting.extend(cls.__subclasses__())
        if (
            cls.__module__.partition(".")[0] in ("maaledu", *OURS)
            and cls.__name__ not in NEVER_RAISED
        ):
            found.setdefault(cls.code, []).append(cls)
    return found


REFUSALS = refusals()


def test_every_code_has_the_status_that_was_decided() -> None:
    statuses = {code: {cls.http_status for cls in classes} for code, classes in REFUSALS.items()}
    assert statuses == {code: {status} for status, codes in STATUSES.items() for code in codes}


def test_only_what_passes_by_itself_may_be_tried_again() -> None:
    assert {
        code for code, classes in REFUSALS.items() if any(cls.retryable for cls in classes)
    } == RETRYABLE
    assert {
        code for code, classes in REFUSALS.items() if all(cls.retryable for cls in classes)
    } == RETRYABLE


@pytest.mark.parametrize("code", sorted(REFUSALS))
def test_every_refusal_is_answered_with_its_code_and_status(code: str) -> None:
    for cls in REFUSALS[code]:
        error = cls.__new__(cls)
        AppError.__init__(error)
        answer = error_response(RequestFactory().get("/api/anything"), error)
        status = next(status for status, codes in STATUSES.items() if code in codes)
        assert answer.status_code == status
        assert f'"code": "{code}"' in answer.content.decode()
