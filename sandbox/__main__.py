"""Start the sandbox: ``python -m sandbox --port 8701 --smtp-port 8702``."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

from sandbox import tour_page
from sandbox.book import Saver
from sandbox.control import Control
from sandbox.frappe_api import FrappeApi
from sandbox.frappe_documents import add_course
from sandbox.frappe_pages import CoursePages
from sandbox.mail_pages import MailPages
from sandbox.mailbox import Mailbox
from sandbox.openedx_api import OpenEdxApi
from sandbox.openedx_pages import LearnerPages
from sandbox.options import parse
from sandbox.pages import page
from sandbox.paper_pages import PaperPages
from sandbox.server import Handle, Server
from sandbox.stripe_api import StripeApi
from sandbox.stripe_pages import PaymentPages
from sandbox.ticker import Ticker
from sandbox.wire import Request, Response
from sandbox.world import World

REFUSAL = (
    "The sandbox does not run in production: it takes no real money and enrolls nobody. Unset"
    " MAALEDU_ENV=production or do not start it."
)


def main() -> int:
    """Run until a signal ends it, and return the exit code."""
    if os.environ.get("MAALEDU_ENV", "").strip().lower() == "production":
        print(REFUSAL, file=sys.stderr)
        return 2
    options = parse(sys.argv[1:], os.environ)
    world = World(options)
    _seed(world)
    mailbox = Mailbox(world)
    try:
        server = Server((options.host, options.port), _routes(world), verbose=options.verbose)
        mailbox.start()
    except OSError as problem:
        print(
            f"The sandbox cannot listen on {options.host}: {problem}. Choose other ports with"
            " --port and --smtp-port.",
            file=sys.stderr,
        )
        return 2
    # Compared here, not bound.
    host = "127.0.0.1" if options.host in {"", "0.0.0.0"} else options.host  # noqa: S104
    world.base_url = world.base_url or f"http://{host}:{server.server_port}"
    _start_threads(world)
    print(f"SANDBOX READY http={server.server_port} smtp={mailbox.port}", flush=True)
    _serve(server)
    world.book.save()
    return 0


def _routes(world: World) -> list[tuple[str, Handle]]:
    stripe, lms_pages = StripeApi(world).handle, CoursePages(world).handle
    edx = OpenEdxApi(world).handle
    return [
        ("/stripe/v1", stripe),
        ("/stripe/v2", stripe),
        ("/lms/api/", FrappeApi(world).handle),
        ("/v1/", stripe),
        ("/v2/", stripe),
        ("/pay/", PaymentPages(world).handle),
        ("/papers/", PaperPages(world).handle),
        ("/mail", MailPages(world).handle),
        ("/control", Control(world).handle),
        ("/lms/", lms_pages),
        ("/edx/api/", edx),
        ("/edx/oauth2/", edx),
        ("/edx/heartbeat", edx),
        ("/edx", LearnerPages(world).handle),
        ("/tour", lambda request: tour_page.show(world)),
        ("/", _home),
    ]


def _home(request: Request) -> Response:
    if request.path != "/":
        return page("Not found", "<p>There is nothing at this address.</p>", status=404)
    parts = (
        ("/tour/", "Tour", "five minutes through all of it"),
        ("/mail/", "Mailbox", "every e-mail the shop sent"),
        ("/control/", "Control", "break things and look into the books"),
        ("/lms/courses/", "Courses", "who is enrolled in the LMS"),
        ("/edx/", "Open edX", "register there, and who is enrolled"),
    )
    items = "".join(
        f'<section class="card"><h2><a href="{href}">{name}</a></h2><p'
        f' class="soft">{text}</p></section>'
        for href, name, text in parts
    )
    return page(
        "The sandbox",
        items + "<p class='soft'>Stripe answers under /stripe, the LMS under /lms, Open edX under"
        " /edx.</p>",
    )


def _seed(world: World) -> None:
    if world.options.courses_file:
        for course in json.loads(Path(world.options.courses_file).read_text()):
            add_course(world, course)


def _start_threads(world: World) -> None:
    Ticker(world).start()
    world.webhooks.resume()
    if world.book.path:
        Saver(world.book).start()
    if world.options.exit_with_parent:
        threading.Thread(target=_leave_with_parent, args=(os.getppid(),), daemon=True).start()


def _leave_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


def _serve(server: Server) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    sys.exit(main())
