from datetime import date

from django.core.management.base import BaseCommand, CommandError, CommandParser

from courses.models import connected_platforms
from enrollments import lost_rows
from enrollments.models import AccessComparison
from operations import access_reconciliation


class Command(BaseCommand):
    help = (
        "Compares our enrollments with each learning platform's, both ways: paid without access,"
        " less than was paid for, access without a paid enrollment (of those that we made), a"
        " different course, duplicates. Nothing is changed there: the office has the repair of"
        " each. Goes on where a run was cut off. Safe to repeat. Exit code 1 if something differs,"
        " or a platform could not be asked."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--platform", help="only this one, such as frappe or openedx")
        parser.add_argument(
            "--lost-since",
            type=date.fromisoformat,
            metavar="YYYY-MM-DD",
            help="after a restore: name who was enrolled with our key since that day, and has no"
            " enrollment here; nothing else is done",
        )

    def handle(self, *args, **options) -> None:
        connected, wanted = connected_platforms(), options["platform"]
        if wanted and wanted not in connected:
            raise CommandError(f"--platform is one of: {', '.join(connected) or 'none is set up'}.")
        if not connected:
            self.stdout.write("No learning platform is set up.")
        platforms = [wanted] if wanted else connected
        if options["lost_since"]:
            self._name_lost(platforms, options["lost_since"])
            return
        found = access_reconciliation.run_and_alert(platforms)
        for each in found:
            self._print(each)
        cut_off = [f"{each.platform}: {each.failure}" for each in found if each.failure]
        if cut_off:
            raise CommandError(
                f"Not everything was compared. {' '.join(cut_off)} Run it again: it goes on where"
                " it stopped."
            )
        differing = sum(
            sum(access_reconciliation.open_counts(each.platform).values()) for each in found
        )
        if differing:
            raise CommandError(
                f"{differing} open: {access_reconciliation.page_url()} has the repair of each."
            )

    def _name_lost(self, platforms: list[str], since: date) -> None:
        lost = [(name, row) for name in platforms for row in lost_rows.find(name, since)]
        for name, row in lost:
            self.stdout.write(f"{row.email},{row.course_id},{name},{row.enrollment_id}")
        if lost:
            raise CommandError(
                f"{len(lost)} have access that we gave, and no enrollment here. Who is to keep it:"
                " `manage.py enroll_batch`, a list for each course; each is told by e-mail."
            )

    def _print(self, found: AccessComparison) -> None:
        self.stdout.write(str(found))
        for words, number in access_reconciliation.open_counts(found.platform).items():
            self.stdout.write(f"  open: {number} {words}")
