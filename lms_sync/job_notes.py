"""What a job keeps of the creates that it sent, so that it is known what is ours in the LMS.

Kept before the request leaves: where the answer, or the worker, is lost, the next attempt finds an
enrollment that it would take for somebody else's.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from lms_sync.errors import LmsAccountWaits, LmsError, LmsNoNewUsers
from lms_sync.models import FOUND, MADE, SyncJob, SyncJobQuerySet
from lms_sync.platforms.base import Enrolled, Notes, Revocation
from maaledu.work.items import PENDING

RAISED_FROM = "raised_from"
LMS_PAYMENT = "lms_payment"
OURS = "ours"  # the id of an enrollment that is there, and that we made before


@dataclass
class JobNotes(Notes):
    job: SyncJob
    is_user_unsaved: bool = False
    is_create_open: bool = False

    def user_made(self) -> None:
        # Written with the create that follows, or with the failure that comes before it.
        self.job.lms_user_made = self.is_user_unsaved = True
        if self.job.needs_account:
            self.job.needs_account = False
            # Their other jobs need none either, whatever those wait for.
            same = SyncJob.objects.filter(email=self.job.email, platform=self.job.platform)
            waiting = same.filter(status=PENDING, needs_account=True)
            waiting.update(needs_account=False, next_attempt_at=timezone.now())

    def user_found(self) -> None:
        self.job.needs_account = False

    def raised_from(self, mode: str) -> None:
        if not (self.job.payload or {}).get(OURS):
            self._add(RAISED_FROM, mode)

    def payment_sent(self, payment_id: str) -> None:
        self._add(LMS_PAYMENT, payment_id)

    def _add(self, name: str, text: str) -> None:
        self.job.payload = {**(self.job.payload or {}), name: text}
        SyncJob.objects.filter(pk=self.job.pk).update(payload=self.job.payload)

    def create_sent(self) -> None:
        self.is_create_open = True
        self._save(creates=1)

    def create_refused(self) -> None:
        self.is_create_open = False
        self._save(creates=-1)

    def failed(self, error: LmsError) -> None:
        """Keep what is known after a failure; a create that surely did nothing is forgotten."""
        if isinstance(error, LmsAccountWaits | LmsNoNewUsers) or error.about_accounts:
            self._needs_account()
        if self.is_create_open and not error.may_have_taken_effect:
            self._save(creates=-1)
        elif self.is_user_unsaved:
            self._save(creates=0)

    def _needs_account(self) -> None:
        if not self.job.needs_account:
            self.job.needs_account = True
            SyncJob.objects.filter(pk=self.job.pk).update(needs_account=True)

    def _save(self, *, creates: int) -> None:
        self.job.creates_sent += creates
        self.is_user_unsaved = False
        SyncJob.objects.filter(pk=self.job.pk).update(
            creates_sent=F("creates_sent") + creates,
            lms_user_made=self.job.lms_user_made,
            needs_account=self.job.needs_account,
        )


def keep(job: SyncJob, enrolled: Enrolled) -> Enrolled:
    """Store the id at once, so that a lost worker does not make the next one create another.

    Returns it, as made by us also where we did so before.
    """
    job.lms_enrollment_id = enrolled.enrollment_id
    is_ours = enrolled.made or enrolled.enrollment_id == (job.payload or {}).get(OURS)
    job.lms_origin = MADE if is_ours else FOUND
    SyncJob.objects.filter(pk=job.pk).update(
        lms_enrollment_id=job.lms_enrollment_id, lms_origin=job.lms_origin
    )
    return Enrolled(enrolled.enrollment_id, made=is_ours)


def create_open_for(job: SyncJob) -> timedelta:
    """Return for how long a create whose answer was lost may still take effect; none: at most 0."""
    lost = _giving_the_same(job).filter(creates_sent__gt=0, lms_enrollment_id="")
    last = lost.order_by("-updated_at").values_list("updated_at", flat=True).first()
    return last + settings.LMS_LOST_CREATE_WAIT - timezone.now() if last else timedelta(0)


def _giving_the_same(job: SyncJob) -> SyncJobQuerySet:
    same = {"action": SyncJob.ENROLL, "email": job.email, "platform": job.platform}
    return SyncJob.objects.filter(**same, course_id__iexact=job.course_id)


def revocation_of(job: SyncJob, *, made: frozenset[str], unseen: bool = False) -> Revocation:
    """Return what the job may take away: what our jobs made, and what the caller knows of."""
    same = _giving_the_same(job)
    jobs = list(same.values_list("lms_enrollment_id", "lms_origin", "creates_sent"))
    notes = [
        payload or {} for payload in same.order_by("created_at").values_list("payload", flat=True)
    ]
    return Revocation(
        job.email,
        job.course_id,
        made | {each for each, origin, _ in jobs if origin == MADE},
        unseen=unseen or any(creates > bool(each) for each, _, creates in jobs),
        lower_to=str(notes[-1].get(RAISED_FROM) or "") if notes else "",
        payments=frozenset(str(note[LMS_PAYMENT]) for note in notes if note.get(LMS_PAYMENT)),
    )
