import signal
import threading

from django.core.management.base import BaseCommand, CommandError, CommandParser

from operations import heartbeats, queues, watch, worker


class Command(BaseCommand):
    help = (
        "Runs what is due: one sweep by hand or from cron, or with --forever as the embedded"
        " worker."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--forever",
            action="store_true",
            help="stay, and look each second; ends on SIGTERM or SIGINT",
        )

    def handle(self, *args, **options) -> None:
        if options["forever"]:
            self.stay()
            return
        self.note_heartbeats()
        swept = queues.sweep()
        self.note_heartbeats()
        watch.look(by_scheduler=True)
        self.stdout.write(", ".join(f"{name}: {count} run" for name, count in swept.ran.items()))
        if swept.failed:
            raise CommandError(
                f"Not done: {', '.join(swept.failed)}. The log says why, as `step failed`."
            )

    def note_heartbeats(self) -> None:
        """Who runs this command regularly is worker and scheduler in one."""
        heartbeats.note(heartbeats.WORKER)
        heartbeats.note(heartbeats.SCHEDULER)

    def stay(self) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        self.stdout.write("WORKER READY")
        self.stdout.flush()
        worker.run_forever(stop)
