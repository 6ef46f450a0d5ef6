"""A batch whose process is killed again and again: nobody is lost, and nobody is enrolled twice.

`script/bench --batch` does it with five thousand learners on PostgreSQL, and prints what it took.
"""

import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import User
from courses.models import Course
from enrollments.batches import Counts, counts_of
from enrollments.models import BatchRow, EnrollmentBatch
from maaledu.work.queue import drain, reap
from notifications.models import Email
from notifications.queue import EMAILS
from tests.factories import make_course
from tests.processes import Proc, python
from tests.sandbox_client import Sandbox, wait_until

MEASURED = int(os.environ.get("BATCH_LEARNERS", "0"))  # set by script/bench, for PostgreSQL
pytestmark = [pytest.mark.slow, pytest.mark.engines("postgres" if MEASURED else "sqlite")]

LEARNERS = MEASURED or 40
BAD_EVERY = 20  # 5 %: by turns no address, and one that is in the file already
PURPOSE = {"reason": "Onboarding", "payer": "Example Works"}
STAFF, WAITING = "staff@maaledu.example", ": work is waiting"
LIST = "/admin/enrollments/enrollmentbatch/"
LONGEST_SECONDS = 1800 if MEASURED else 300
QUICK = {
    "LMS_CALLS_PER_SECOND": "500",
    "LMS_TIMEOUT_WORKER_SECONDS": "2",
    "WORK_LEASE_MARGIN_SECONDS": "2",
    "WORK_SWEEP_SECONDS": "1",
    "EMAIL_TIMEOUT_SECONDS": "1",
}


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[Sandbox]:
    """Keep every mail: of so many the usual sandbox would have forgotten the first."""
    with Sandbox(courses_any=True, mails_kept=2 * LEARNERS) as sandbox:
        yield sandbox


def write_list(path: Path) -> tuple[list[str], dict[int, str]]:
    """Write the list and return the good addresses, and the problems by their lines."""
    good, problems, lines = [], {}, []
    for number in range(1, LEARNERS + 1):
        email = f"learner{number}@example.com"
        if number % BAD_EVERY:
            good.append(email)
        else:
            email = "nobody" if number % (2 * BAD_EVERY) else good[-1]
            problems[number] = "duplicate" if email in good else "address"
        lines.append(f"{email},Learner {number}\n")
    path.write_text("".join(lines))
    return good, problems


@dataclass
class Run:
    """Starts what works on the batch, and kills it when it is so far."""

    start: Callable[..., Proc]
    command: list[str]
    began: float = field(default_factory=time.monotonic)

    def kill_at(self, percent: int) -> None:
        process = self.start(self.command, **QUICK)
        process.wait_until(lambda: far(process, percent), f"{percent} %", LONGEST_SECONDS)
        process.kill()

    def finish(self) -> Proc:
        process = self.start(self.command, **QUICK)
        wait_until(lambda: far(process, 100), LONGEST_SECONDS, every=0.5)
        return process


def far(process: Proc, percent: int) -> bool:
    """Return whether the batch is so far, by what the command draws or by its rows."""
    assert process.running or percent == 100, process.output()[-4000:]
    drawn = re.findall(r"\] +(\d+) %", process.output())
    if drawn:
        return int(drawn[-1]) >= percent
    batch = EnrollmentBatch.objects.filter(status=EnrollmentBatch.STARTED).first()
    return batch is not None and counts_of(batch).percent >= percent


def unsent() -> int:
    """Send what is left of the last seconds, and return how many messages wait still."""
    reap(EMAILS)
    drain(EMAILS)
    return Email.objects.unfinished().count()


def send_in_the_office(file: Path, course: Course) -> float:
    """Draft and start the list as staff do; return how many seconds the slower page took."""
    staff = Client()
    staff.force_login(User.objects.create_superuser(email="boss@example.com", password="x"))
    upload = SimpleUploadedFile("list.csv", file.read_bytes(), "text/csv")
    seconds, form = [], {"decide": "1", "course": str(course.pk), "file": upload, **PURPOSE}
    for page, fields in [(f"{LIST}enroll/", form), ("", {"decide": "1"})]:
        batch = EnrollmentBatch.objects.first()
        began = time.monotonic()
        address = page or f"{LIST}{batch.pk if batch else ''}/start/"
        answer = staff.post(address, fields)
        assert answer.status_code == 302, answer.content[:2000]
        assert staff.get(answer["Location"]).status_code == 200
        seconds.append(time.monotonic() - began)
    return max(seconds)


@pytest.mark.parametrize("where", ["command", "office"] if MEASURED else ["office"])
def test_a_batch_killed_three_times_enrolls_and_mails_each_good_line_once(
    sandbox: Sandbox, start: Callable[..., Proc], tmp_path: Path, where: str
) -> None:
    course, file = make_course(slug="course"), tmp_path / "list.csv"
    good, problems = write_list(file)
    # Half of them are known to the LMS, and are enrolled by calls for many.
    sandbox.lms(user_limit=100_000, users=[{"email": email} for email in good[::2]])
    if where == "office":
        print(f"\nthe slower page of the office: {send_in_the_office(file, course):.1f} s")
        run = Run(start, python("manage.py", "run_due_work", "--forever"))
    else:
        purpose = [f"--{name}={text}" for name, text in PURPOSE.items()]
        command = ["manage.py", "enroll_batch", str(file), "--course=course", *purpose]
        run = Run(start, python(*command))
    for percent in (20, 45, 70):
        run.kill_at(percent)
    last = run.finish()
    seconds = time.monotonic() - run.began
    assert where == "office" or last.wait_end(60) == 0
    last.stop()
    assert_each_once(sandbox, course, good, problems)
    assert where == "office" or all(f"line {number}: " in last.output() for number in problems)
    calls = Counter(call["call"].partition("?")[0][:40] for call in sandbox.calls("lms"))
    print(f"{where}: {LEARNERS} lines in {seconds:.0f} s, {len(good) / seconds:.1f} learners/s")
    print(f"of the last calls to the LMS: {calls.most_common(6)}")


def assert_each_once(
    sandbox: Sandbox, course: Course, good: list[str], problems: dict[int, str]
) -> None:
    batch = EnrollmentBatch.objects.get()
    assert counts_of(batch) == Counts(with_access=len(good), bad=len(problems))
    assert dict(BatchRow.objects.exclude(problem="").values_list("number", "problem")) == problems
    enrolled = Counter(row["member"] for row in sandbox.enrollments(course=course.lms_course_id))
    assert enrolled == Counter(good)
    wait_until(lambda: not unsent(), LONGEST_SECONDS, every=0.5)
    # One that was cut off after the server took it is sent again, under the same Message-ID.
    mails = {(mail["to"][0], mail["message_id"], mail["subject"]) for mail in sandbox.mails()}
    to_staff = [subject for to, _, subject in mails if to == STAFF]
    assert sorted(to for to, *_ in mails if to != STAFF) == sorted(good)
    # A worker that is killed leaves more than a hundred mails due, which is what red means.
    assert all(subject.endswith(WAITING) for subject in to_staff), to_staff
