from django.core.management import call_command
from django.core.management.base import BaseCommand

from operations import queues


class Command(BaseCommand):
    help = (
        "Deletes finished queue items past their retention (WORK_KEEP_FINISHED) and expired"
        " sessions."
    )

    def handle(self, *args, **options) -> None:
        self.stdout.write(f"{queues.clean_up()} finished items deleted")
        call_command("clearsessions")
