"""Faults of the work that is due, of the nights, of backups and of releases."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

from script.parts import PRODUCTION
from tests.processes import python
from tests.sandbox_client import wait_until
from tests.system.shop import SLUG
from tests.system.silence.ears import READY
from tests.system.silence.fault import Fault
from tests.system.silence.stage import Stage

# Production takes none of these.
OF_THE_SANDBOX = ("STRIPE_API_BASE", "SLACK_WEBHOOK_URL", "ALERT_WEBHOOK_URL")
LEARNERS, MANY = 5_000, 100


@contextmanager
def long_queue(stage: Stage) -> Iterator[None]:
    stage.sandbox.lms(latency=0.3)
    listed = stage.directory / "learners.csv"
    lines = [f"learner{number}@example.com,Learner {number}" for number in range(LEARNERS)]
    listed.write_text("\n".join(["email,name", *lines]))
    command = ["enroll_batch", str(listed), "--course", SLUG, "--reason", "x", "--payer", "y"]
    stage.start(python("manage.py", *command))
    wait_until(lambda: sum(stage.due().values()) > MANY, 300, every=0.5)
    yield
    stage.sandbox.lms(latency=0)


def last_seen(name: str, hours: int, command: str) -> Callable[..., AbstractContextManager]:
    """Return what sets the last success of a regular task back, as if its line were missing."""

    @contextmanager
    def make(stage: Stage) -> Iterator[None]:
        stage.manage(command)
        stage.shell(
            "from datetime import timedelta; from operations.models import Heartbeat;"
            f" seen = Heartbeat.objects.get(name='{name}');"
            f" seen.at -= timedelta(hours={hours}); seen.save()"
        )
        yield
        stage.manage(command)

    return make


@contextmanager
def night_fails(stage: Stage) -> Iterator[None]:
    stage.sandbox.refuse(
        match="GET /v1/refunds", code="parameter_invalid", message="No.", status=400
    )
    assert stage.command("nightly").returncode == 1
    yield
    stage.sandbox.stop_refusing()
    stage.manage("nightly")


@contextmanager
def backup_fails(stage: Stage) -> Iterator[None]:
    stage.manage("backup")
    folder = stage.directory / "backups"
    folder.rename(stage.directory / "elsewhere")
    folder.write_text("a file, not a folder")
    assert stage.command("backup").returncode == 1
    yield
    folder.unlink()
    stage.manage("backup")


@contextmanager
def course_refused(stage: Stage) -> Iterator[None]:
    stage.sandbox.fault(
        "lms",
        "error",
        "POST /api/resource/LMS Enrollment",
        status=417,
        exc_type="ValidationError",
        text="Not allowed",
        times=1,
    )
    yield
    stage.shell(
        "from lms_sync.models import DeadLetter; from lms_sync import dead_letters;"
        "[dead_letters.replay(letter, by='staff') for letter in DeadLetter.objects.open()]"
    )


@contextmanager
def migrations_missing(stage: Stage) -> Iterator[None]:
    """The new release serves, and nobody has run `migrate`."""
    stage.shell(
        "from django.db.migrations.recorder import MigrationRecorder as Recorder;"
        "Recorder.Migration.objects.filter(app='operations').delete()"
    )
    stage.restart_web()
    yield
    stage.manage("migrate", "operations", "--fake")
    stage.restart_web()


@contextmanager
def restored_behind(stage: Stage) -> Iterator[None]:
    """A copy of the database is put back that is older than the last purchases, and no more."""
    file, old = stage.disk / "shop.sqlite3", stage.directory / "old.sqlite3"
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(old)) as target:
        source.backup(target)
    for _ in range(3):
        stage.minute()
    stage.web.kill()
    stage.worker.kill()
    for name in ("", "-wal", "-shm"):
        file.with_name(file.name + name).unlink(missing_ok=True)
    shutil.copy(old, file)
    stage.open()
    yield
    stage.manage("reconcile_stripe")


@contextmanager
def static_missing(stage: Stage) -> Iterator[None]:
    """A web process of production, whose style sheets somebody has deleted."""
    static = stage.directory / "static"
    given = {
        **PRODUCTION,
        "ALLOWED_HOSTS": "learn.example.com,127.0.0.1",
        "DATABASE_URL": stage.env["DATABASE_URL"],
        "STATIC_ROOT": str(static),
        **dict.fromkeys(("REDIS_URL", *OF_THE_SANDBOX), ""),
    }
    collect = python("manage.py", "collectstatic", "--noinput")
    assert stage.start(collect, **given).wait_end() == 0
    stage.restart_web(**given)
    shutil.move(static / "css", stage.directory / "css")
    yield
    shutil.move(stage.directory / "css", static / "css")


@contextmanager
def job_poisoned(stage: Stage) -> Iterator[None]:
    """A job's payload is not what any version writes, so that each try ends in an exception."""
    jobs = "from lms_sync.models import SyncJob; from django.utils import timezone;"
    jobs += " now = timezone.now(); jobs = SyncJob.objects.filter(email='buyer1@example.com');"
    stage.shell(
        f"{jobs} jobs.update(status='pending', lms_enrollment_id='', next_attempt_at=now,"
        " created_at=now, payload={})"
    )
    yield
    stage.shell(
        f"{jobs} from enrollments.models import Enrollment;"
        " one = Enrollment.objects.get(email='buyer1@example.com');"
        " jobs.update(payload={'enrollment_id': str(one.pk)}, next_attempt_at=now)"
    )


NIGHT, BACKUP = "the nightly checks have not run", "no backup was taken for a day"
FAULTS = [
    Fault(
        "5,000 learners of one list, and a slow LMS",
        long_queue,
        alert="Now yellow: work is waiting",
    ),
    Fault(
        "the cron line of `nightly` is gone",
        last_seen("nightly", 26, "nightly"),
        alert=f"Now red: {NIGHT}",
        ends=f"Recovered: {NIGHT}",
    ),
    Fault(
        "a step of the night fails",
        night_fails,
        alert="A regular task failed: reconciling with Stripe",
        ends="Recovered: A regular task failed: reconciling with Stripe",
    ),
    Fault(
        "the cron line of `backup` is gone",
        last_seen("backup", 26, "backup"),
        alert=f"Now yellow: {BACKUP}",
        ends=f"Recovered: {BACKUP}",
    ),
    Fault(
        "the backup fails",
        backup_fails,
        alert="The backup failed",
        ends="Recovered: The backup failed",
    ),
    Fault(
        "the LMS refuses one enrollment for good",
        course_refused,
        alert="Frappe sync permanently failed",
    ),
    Fault(
        "one job fails each time",
        job_poisoned,
        alert="Now yellow: the same work keeps failing",
        ends="Recovered: the same work keeps failing",
    ),
    Fault(
        "an older copy of the database was put back",
        restored_behind,
        alert="Now red: Stripe's events do not arrive",
        ends="Recovered: Stripe's events do not arrive",
    ),
    Fault("the static files are missing", static_missing, address=READY, ends="200"),
    Fault("the release's migrations are missing", migrations_missing, address=READY, ends="200"),
]
