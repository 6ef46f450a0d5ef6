import threading
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from courses.models import Course
from enrollments import batch_file, batches
from enrollments.batches import Purpose
from enrollments.models import EnrollmentBatch
from maaledu.errors import AppError
from operations import batch_run

BAR = 30


class Command(BaseCommand):
    help = (
        "Enrolls the learners of a CSV (e-mail, name) in one course, free of charge, and shows how"
        " far it is. Safe to repeat: the same list goes on where it was."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--course", required=True, help="the slug of the course")
        parser.add_argument("--reason", required=True)
        parser.add_argument(
            "--payer", required=True, help="who pays for the enrollments, or answers"
        )
        parser.add_argument("--dry-run", action="store_true", help="name each line, and end")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._enroll(options)
        except (AppError, OSError) as error:
            raise CommandError(str(error)) from error

    def _enroll(self, options: dict[str, Any]) -> None:
        course = Course.objects.on_sale().filter(slug=options["course"]).first()
        if course is None:
            raise CommandError("No course with this slug is on sale.")
        data = options["file"].read_bytes()
        if options["dry_run"]:
            self._name(batch_file.judge(batch_file.read(data), course))
            return
        purpose = Purpose(options["reason"][:300], options["payer"][:140])
        batch = batches.draft(course, data, purpose=purpose, by="enroll_batch")
        if batch.status == EnrollmentBatch.DRAFT:
            batches.start(batch, by="enroll_batch")
        for counts in batch_run.follow(batch, threading.Event()):
            self._draw(counts)
        self._name(batch_run.lines_of(batch))

    def _name(self, lines: list[batch_file.Line]) -> None:
        for line in lines:
            text = line.problem_text or "good"
            self.stdout.write(f"line {line.number}: {line.email or '(empty)'}: {text}")
        bad = sum(bool(line.problem) for line in lines)
        self.stdout.write(f"{len(lines) - bad} good, {bad} not enrolled.")

    def _draw(self, counts: batches.Counts) -> None:
        filled = BAR * counts.percent // 100
        # One line that is drawn over on a screen, and a line for each look in a file.
        end = "\r" if self.stdout.isatty() and not counts.is_finished else "\n"
        self.stdout.write(
            f"[{'#' * filled}{'.' * (BAR - filled)}] {counts.percent:3} %"
            f" {counts.with_access} with access, {counts.giving_access} getting it,"
            f" {counts.waiting} waiting, {counts.failed} failed, {counts.bad} not enrolled",
            ending=end,
        )
        self.stdout.flush()
