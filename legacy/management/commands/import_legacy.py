import sys
from argparse import BooleanOptionalAction
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from legacy import asking, keeping, runs, verifying
from legacy.answers import read_answers
from legacy.errors import ImportRefused
from legacy.models import ImportRun
from legacy.planning import NEW
from legacy.report_files import text_lines, write_files
from legacy.reports import Report, report_of
from legacy.running import Order, Result, carry_out, prepare
from legacy.sources import open_source
from legacy.undoing import undo
from legacy.values import moment_of
from legacy.vocabulary import read_names
from maaledu.errors import AppError

ACTOR = "import_legacy"
DIFFERS, BAD_INPUT, DECISIONS_OPEN = 1, 2, 3
EVERY = 500  # rows between two looks at how far it is


class Command(BaseCommand):
    help = (
        "Brings over the old platform's data: shows what would become of each row, and writes"
        " nothing unless told to. Safe to repeat. Exits with 3 while decisions are open, with 2"
        " for what cannot be read, and with 1 where --verify finds a difference."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "source",
            nargs="?",
            help="a mongodump folder, a folder of mongoexport files, or the word “live” for the"
            " database at LEGACY_DATABASE_URL",
        )
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--apply", action="store_true", help="write; can be undone")
        what.add_argument(
            "--final", action="store_true", help="write, and book commissions: not to be undone"
        )
        what.add_argument("--verify", action="store_true", help="compare with what was imported")
        what.add_argument("--undo", metavar="RUN", help="take back this run and all later ones")
        what.add_argument(
            "--forget", action="store_true", help="delete the copies of the old documents"
        )
        parser.add_argument("--report", type=Path, metavar="FOLDER", help="write the report there")
        parser.add_argument("--decisions", type=Path, metavar="FILE", help="what was decided")
        parser.add_argument("--names", type=Path, metavar="FILE", help="your own field names")
        parser.add_argument("--backup-id", default="", help="the backup from before --final")
        parser.add_argument(
            "--exported-at", help="when the source was exported; left out, its newest document"
        )
        parser.add_argument(
            "--enqueue-stuck", action="store_true", help="enroll those who paid and never got in"
        )
        parser.add_argument("--ask-stripe", action="store_true", help="fill in payment intents")
        parser.add_argument("--ask-lms", action="store_true", help="look for those who are stuck")
        parser.add_argument("--progress", action=BooleanOptionalAction, default=None)

    def handle(self, *args: Any, **options: Any) -> None:
        show = options["progress"]
        self.shows_progress = self.stderr.isatty() if show is None else show
        try:
            status = self._run(options)
        except (AppError, OSError) as error:
            raise CommandError(str(error), returncode=BAD_INPUT) from error
        if status:
            sys.exit(status)

    def _run(self, options: dict[str, Any]) -> int:
        if options["undo"]:
            return self._undo(options["undo"])
        if options["forget"]:
            self.stdout.write(f"{keeping.forget()} documents forgotten")
            return 0
        status = self._import(options) if options["source"] else 0
        asked = [name for name in ("ask_stripe", "ask_lms", "enqueue_stuck") if options[name]]
        if not options["source"] and not asked:
            raise ImportRefused("Say what to import: a folder, or the word “live”.")
        self._ask(asked)
        return status

    # --- the import -------------------------------------------------------------------------------
    def _import(self, options: dict[str, Any]) -> int:
        order = self._order(options)
        judged = prepare(order)
        if options["verify"]:
            carry_out(order, judged, None)
            return self._verify(report_of(judged))
        if options["apply"] or options["final"]:
            self._warn_of_open_checkout(options)
            run, result, report = runs.write(
                order, judged, backup_id=options["backup_id"], step=self._draw
            )
            self._tell(report, result, f"run {run.pk} ({run.kind}), written: ")
        else:
            result = carry_out(order, judged, None)
            report = report_of(judged)
            self._tell(report, result, "dry run, nothing written: ")
        if options["report"]:
            write_files(report, result.changes, order.answers, options["report"])
        return DECISIONS_OPEN if report.open_decisions else 0

    def _order(self, options: dict[str, Any]) -> Order:
        exported_at, is_booked = self._moment(options["exported_at"]), runs.is_booked()
        return Order(
            source=open_source(options["source"]),
            names=read_names(options["names"]),
            answers=read_answers(options["decisions"]),
            exported_at=exported_at,
            # Once a final run was made, whoever was still paying then is here.
            is_final=options["final"] or (is_booked and not options["apply"]),
            is_booked=is_booked,
            progress=self._draw,
        )

    def _moment(self, text: str | None) -> datetime | None:
        moment = moment_of(text)
        if text and moment is None:
            raise ImportRefused(f"“{text}” is no moment, such as 2026-11-15T06:00:00Z.")
        return moment

    def _warn_of_open_checkout(self, options: dict[str, Any]) -> None:
        if options["apply"] and not settings.CHECKOUT_CLOSED:
            self.stderr.write(
                "Checkout is open: publish no course of the old shop before the final run, or set"
                " CHECKOUT_CLOSED=on."
            )

    def _tell(self, report: Report, result: Result, heading: str) -> None:
        for line in text_lines(report.summary, report.hash):
            self.stdout.write(line)
        changed, kept = result.number("changed"), result.number("kept")
        where = " (the report's changes.jsonl names them)" if kept else ""
        self.stdout.write(
            f"{heading}{result.number(NEW)} new, {changed} changed, {kept} kept{where},"
            f" {result.number('same') + result.number('noted')} as before"
        )
        if report.open_decisions:
            number = report.open_decisions
            wait = "row waits" if number == 1 else "rows wait"
            self.stdout.write(f"{number} {wait} for a decision")

    def _verify(self, report: Report) -> int:
        found = 0
        for line in verifying.verify(report):
            found += 1
            self.stdout.write(line)
        self.stdout.write(f"{found} differences")
        return DIFFERS if found else 0

    # --- afterwards -------------------------------------------------------------------------------
    def _undo(self, text: str) -> int:
        try:
            run = ImportRun.objects.filter(pk=UUID(text)).first()
        except (ValueError, ValidationError):
            run = None
        if run is None:
            raise ImportRefused(f"There is no run {text}.")
        self.stdout.write(f"{undo(run)} rows taken back")
        return 0

    def _ask(self, names: list[str]) -> None:
        if "ask_stripe" in names:
            for line in asking.ask_stripe():
                self.stdout.write(line)
        if "ask_lms" in names:
            for line in asking.ask_lms():
                self.stdout.write(line)
        if "enqueue_stuck" in names:
            self.stdout.write(f"{asking.enqueue_stuck(by=ACTOR)} jobs enqueued")

    def _draw(self, name: str, count: int) -> None:
        """Show how far it is: one line that is drawn over."""
        if self.shows_progress and count % EVERY == 0:
            self.stderr.write(f"{name}: {count}", ending="\r")
