from datetime import timedelta

from django.core.management.base import BaseCommand, CommandError, CommandParser

from operations import reconciliation
from payments import reconcile
from payments.models import Reconciliation

MOST_DAYS = reconcile.LONGEST.days


class Command(BaseCommand):
    help = (
        "Compares payments, refunds and disputes with Stripe, and mends here what no event"
        " reported; purchases that a restored backup does not have are rebuilt. Also whatever is"
        " still open, however old. Goes on where a run was cut off. Safe to repeat. Exit code 1 if"
        " something cannot be mended, or Stripe could not be asked."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        usual = reconcile.USUAL.days
        parser.add_argument(
            "--days", type=int, default=usual, help=f"how far back to look (default: {usual})"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="only say what would be mended, change nothing"
        )

    def handle(self, *args, **options) -> None:
        days, is_dry = options["days"], options["dry_run"]
        if not 1 <= days <= MOST_DAYS:
            raise CommandError(f"--days is a number from 1 to {MOST_DAYS}.")
        since = timedelta(days=days)
        if is_dry:
            self.stdout.write("A dry run: nothing is changed, “mended” is what would be.")
        reconciled = (
            reconcile.reconcile(since=since, is_dry=True)
            if is_dry
            else reconciliation.run_and_alert(since=since)
        )
        for each in reconciled:
            self._print(each)
        unmended = sum(each.unmended for each in reconciled)
        cut_off = [f"{each.kind}: {each.failure}" for each in reconciled if each.failure]
        if cut_off:
            raise CommandError(
                f"Stripe was not asked about everything. {' '.join(cut_off)} Run it again: it goes"
                " on where it stopped."
            )
        if unmended:
            raise CommandError(f"{unmended} cannot be mended.")

    def _print(self, found: Reconciliation) -> None:
        self.stdout.write(str(found))
        for line in found.rebuilt_names.splitlines():
            self.stdout.write(f"  rebuilt: {line}")
        for line in found.problems:
            self.stdout.write(f"  {line}")
        if found.rebuilt:
            self.stdout.write(f"  {reconciliation.NOT_AT_STRIPE}")
