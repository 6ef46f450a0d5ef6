"""Give every source row its one outcome, by the rules of contracts/legacy, section 2.

"Earlier" is by the time a document was made, then by its key. An answer of the operator's stands
in for what a row lacks, before it is judged.
"""

from legacy.answers import Answers
from legacy.facts import (
    IGNORED,
    IMPORTED,
    MERGED,
    REFUSED,
    CourseFact,
    JobFact,
    PartnerFact,
    PersonFact,
)
from legacy.judged import INVALID_EMAIL, UNREADABLE_AMOUNT, Judged, is_stuck
from legacy.judging_grants import judge_grants
from legacy.judging_sales import judge_sales
from legacy.reading import Book
from legacy.vocabulary import AFFILIATES, COURSES, FAILED_JOBS, READ, RETRY_JOBS, USERS


def judge(book: Book, answers: Answers, *, is_final: bool = False) -> Judged:
    """Give every fact of the book its outcome. Raises InvalidAnswers for an answer to nothing."""
    found = Judged(book, is_final)
    _judge_courses(found, answers)
    _judge_people(found)
    _judge_partners(found, answers)
    judge_sales(found, answers)
    judge_grants(found, answers)
    _judge_jobs(found)
    for collection in book.facts.keys() - set(READ):
        for fact in book.of(collection).values():
            fact.end(IGNORED, "" if collection not in book.unknown_collections else "unknown")
    answers.refuse_unused(book)
    return found


# --- the catalogue and people ---------------------------------------------------------------------
def _judge_courses(found: Judged, answers: Answers) -> None:
    by_slug: dict[str, CourseFact] = {}
    for course in sorted(found.book.of(COURSES).values(), key=lambda c: c.order):
        if not course.course_id or not course.slug:
            course.end(REFUSED, "no_course_id")
        elif _is_in_catalogue(course, by_slug, answers):
            found.courses[course.course_id] = by_slug[course.slug]


def _is_in_catalogue(course: CourseFact, by_slug: dict[str, CourseFact], answers: Answers) -> bool:
    """Whether the course is there, as itself or merged into the first of its slug."""
    first = by_slug.get(course.slug)
    if first is not None:
        course.end(MERGED, "duplicate_course", first.key)
    elif _has_price(course, answers):
        by_slug[course.slug] = course
    else:
        answers.leave_open(course, UNREADABLE_AMOUNT)
    return course.slug in by_slug


def _has_price(course: CourseFact, answers: Answers) -> bool:
    if course.price is None:
        course.price = answers.amount(course, UNREADABLE_AMOUNT)
    return course.price is not None


def _judge_people(found: Judged) -> None:
    everybody = found.book.of(USERS).values()
    for person in sorted(everybody, key=lambda p: (not p.is_verified, *p.order)):
        first = found.people.setdefault(person.email, person) if person.email else None
        if first is None:
            person.end(REFUSED, INVALID_EMAIL)
        elif first is person:
            person.end(IMPORTED, "" if person.password else "password_unusable")
        else:
            _merge_person(person, first)


def _merge_person(person: PersonFact, first: PersonFact) -> None:
    person.notes.discard("email_spelling")  # that is why it is merged
    person.end(MERGED, "duplicate_user", first.key)
    for course, percent in person.progress.items():
        first.progress[course] = max(percent, first.progress.get(course, 0))


def _judge_partners(found: Judged, answers: Answers) -> None:
    for partner in sorted(found.book.of(AFFILIATES).values(), key=lambda p: p.order):
        if partner.email is None:
            partner.end(REFUSED, INVALID_EMAIL)
        elif not _is_paid_known(partner, answers):
            answers.leave_open(partner, UNREADABLE_AMOUNT)
        else:
            _join(partner, partner.email, found)
            found.paid_before[partner.email] += partner.paid or 0


def _is_paid_known(partner: PartnerFact, answers: Answers) -> bool:
    if partner.paid is None:
        partner.paid = answers.amount(partner, UNREADABLE_AMOUNT)
    return partner.paid is not None


def _join(partner: PartnerFact, email: str, found: Judged) -> None:
    """Let the first of an address be the affiliate, and merge any other into it."""
    if email in found.partners:
        partner.notes.discard("email_spelling")
        partner.end(MERGED, "duplicate_affiliate", found.partners[email].key)
        return
    found.partners[email] = partner
    if email not in found.people:
        partner.notes.add("affiliate_without_user")


# --- jobs -----------------------------------------------------------------------------------------
def _judge_jobs(found: Judged) -> None:
    """Join each job to the one of its enrollment, where that still waits for the LMS."""
    for job in found.book.of(RETRY_JOBS).values():
        sale = found.sale(job.sale)
        if sale is None:
            job.end(REFUSED, "job_without_enrollment")
        else:
            _judge_job(job, "one_job_per_enrollment", found)
    for job in found.book.of(FAILED_JOBS).values():
        original = found.book.of(RETRY_JOBS).get(job.original)
        job.sale = original.sale if original else ""
        _judge_job(job, "dead_letter_of_enrollment", found)


def _judge_job(job: JobFact, reason: str, found: Judged) -> None:
    sale = found.sale(job.sale)
    if sale and is_stuck(sale):
        job.end(MERGED, reason, sale.key)
        found.jobs[sale.key].append(job)
    else:
        job.end(IGNORED, "settled")
