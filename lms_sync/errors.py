"""Why an LMS call did not work, one class per reason.

`message` is fixed and ours. `reason` is for staff and may quote the LMS; it never reaches a
learner.
"""

from datetime import timedelta
from typing import Any

from maaledu.errors import AppError

FOREIGN = "foreign"  # the shape of an answer that is not the LMS's own
LONGEST_WAIT = timedelta(hours=1)
SHORTEST_WAIT = timedelta(seconds=1)
TURN_TAKES = timedelta(milliseconds=100)  # as long as making a user does, on a quick LMS


class LmsError(AppError):
    http_status = 503
    retryable = True
    about_accounts = False  # it was the making of a new user that failed

    def __init__(self, reason: str = "", **details: Any) -> None:
        super().__init__(None, **details)
        self.reason = reason

    @property
    def explanation(self) -> str:
        return f"{self.message} {self.reason}".strip()

    @property
    def may_have_taken_effect(self) -> bool:
        """Whether a write that was sent may be done all the same."""
        return False

    @property
    def lms_status(self) -> int | None:
        return self.details.get("status")


class LmsUnavailable(LmsError):
    """No usable answer: unreachable, too slow, 5xx. A write may have taken effect all the same."""

    code = "LMS_UNAVAILABLE"
    message = "The learning platform is not reachable at the moment."
    outage = True

    @property
    def may_have_taken_effect(self) -> bool:
        # An error in the LMS's own shape means that it has undone what it had begun.
        shape, kind = self.details.get("shape"), self.details.get("kind")
        return shape in (None, FOREIGN) and kind not in ("dns", "tls", "refused", "unsent")


class LmsIntercepted(LmsUnavailable):
    """An answer that is not the LMS's own: something in front of it answered, about no job."""

    code = "LMS_INTERCEPTED"
    message = "Something in front of the learning platform answers in its place."
    retry_after = timedelta(minutes=1)
    consumes_attempt = False


class LmsMaintenance(LmsUnavailable):
    """The LMS says itself that it is being worked on, which uses up no attempt."""

    code = "LMS_MAINTENANCE"
    message = "The learning platform is in maintenance."
    retry_after = timedelta(minutes=1)
    consumes_attempt = False


class LmsUnreadable(LmsUnavailable):
    """An answer in the LMS's own shape that is not about what was asked."""

    code = "LMS_UNREADABLE"
    message = "The learning platform gave an answer that could not be read."


class LmsContended(LmsUnavailable):
    """The LMS was changing the same record, which says nothing about the platform as a whole."""

    code = "LMS_CONTENDED"
    message = "The learning platform was changing the same record; it will be tried again."
    outage = False


class LmsDown(LmsUnavailable):
    """The failure belongs to an outage that the breaker has counted, so it uses up no attempt."""

    retry_after = timedelta(seconds=2)
    consumes_attempt = False


class LmsStepDown(LmsUnavailable):
    """Nobody got through this step since the job last failed at it, so it uses up no attempt."""

    code = "LMS_STEP_DOWN"
    message = "The learning platform answers, but not this step."
    retry_after = timedelta(minutes=1)
    consumes_attempt = False


class LmsParked(LmsError):
    """Nothing was sent: the platform is parked until its probe succeeds."""

    code = "LMS_PARKED"
    message = "The learning platform is paused until it answers again."
    retry_after = timedelta(seconds=2)
    consumes_attempt = False


class LmsBusy(LmsError):
    """Nothing was changed: another worker holds the lock of the same learner and course."""

    code = "LMS_BUSY"
    message = "Another worker is dealing with the same enrollment."
    retry_after = timedelta(seconds=1)
    consumes_attempt = False


class LmsCreateOpen(LmsBusy):
    """A create whose answer was lost may still take effect: what it makes is removed after that."""

    code = "LMS_CREATE_OPEN"
    message = "An enrollment whose answer was lost may still be made; it is looked for again."

    def __init__(self, pause: timedelta) -> None:
        super().__init__()
        self.retry_after = pause


class LmsAccountWaits(LmsBusy):
    """The learner needs a new user, and none can be made now: the job waits, others go on."""

    code = "LMS_ACCOUNT_WAITS"
    message = "The learner needs a new account on the learning platform, and it is not its turn."

    def __init__(self, pause: timedelta = TURN_TAKES) -> None:
        super().__init__()
        self.retry_after = max(pause, TURN_TAKES)


class LmsAwaitingAccount(LmsError):
    """The platform answers well: the learner has to make an account there first.

    The job is tried again once a day; `awaiting` looks for the account in between.
    """

    code = "LMS_AWAITING_ACCOUNT"
    message = "The learner has no account on the learning platform yet."
    retry_after = timedelta(days=1)
    consumes_attempt = False
    may_have_taken_effect = True  # an entry waits for the account


class LmsUserDisabled(LmsError):
    """The learner could not sign in: the job is held, and tried again each hour."""

    code = "LMS_USER_DISABLED"
    message = "The learner's account on the learning platform is switched off."
    retry_after = timedelta(hours=1)
    consumes_attempt = False


class LmsThrottled(LmsError):
    """The LMS asks for a pause; `retry_after` is limited to between one second and one hour."""

    code = "LMS_THROTTLED"
    message = "The learning platform asked us to slow down."
    consumes_attempt = False

    def __init__(
        self, reason: str = "", *, retry_after: timedelta = timedelta(minutes=1), **details: Any
    ) -> None:
        super().__init__(reason, **details)
        self.retry_after = min(max(retry_after, SHORTEST_WAIT), LONGEST_WAIT)


class LmsNoNewUsers(LmsThrottled):
    """The LMS has made as many users as it makes in an hour, which stops only who needs one."""

    code = "LMS_NO_NEW_USERS"
    message = "The learning platform takes no new users at the moment."


class LmsPaced(LmsThrottled):
    """Nothing was sent: as many calls as are allowed for the next seconds are waiting already."""

    code = "LMS_PACED"
    message = "The learning platform is asked as often as it may be."


class LmsMisconfigured(LmsError):
    """Address, key, roles or the customer's method are wrong, for every job.

    The platform is parked, and staff are alerted.
    """

    code = "LMS_MISCONFIGURED"
    message = "The connection to the learning platform is not set up correctly."
    retry_after: timedelta | None = timedelta(minutes=1)
    consumes_attempt = False


class LmsDenied(LmsMisconfigured):
    """A step was answered as misconfigured while the probe succeeds, so it uses up an attempt."""

    code = "LMS_DENIED"
    message = "The learning platform answers, but does not let us do this step."
    retry_after = None
    consumes_attempt = True


class LmsRefused(LmsError):
    """The LMS refused this job; asking again gives the same answer."""

    code = "LMS_REFUSED"
    message = "The learning platform refused what was asked for."
    http_status = 422
    retryable = False


class LmsAccountRetired(LmsRefused):
    code = "LMS_ACCOUNT_RETIRED"
    message = "The learner's account on the learning platform was closed for good."


class LmsCourseUnknown(LmsRefused):
    code = "LMS_COURSE_UNKNOWN"
    message = "The learning platform has no course with this id."


class LmsNotFound(LmsRefused):
    code = "LMS_NOT_FOUND"
    message = "The learning platform has no such record."


class LmsNotEnrolled(LmsRefused):
    code = "LMS_NOT_ENROLLED"
    message = "The learning platform shows no enrollment of this learner in this course."


class LmsDuplicate(LmsRefused):
    code = "LMS_DUPLICATE"
    message = "The learning platform already has this record."


class LmsBrokenLink(LmsRefused):
    """The course or the member of an enrollment does not exist; the text says which."""

    code = "LMS_BROKEN_LINK"
    message = "The learning platform does not know the course or the learner."
