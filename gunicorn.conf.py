"""How the web processes run, everywhere: few processes, threads for what waits for Stripe, which
are half of them at most (STRIPE_CALLS_AT_ONCE). WEB_CONCURRENCY sets how many.
"""

import os
import socket
import struct
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "maaledu.settings")
from django.conf import settings

from maaledu import logs, stuck_database

# Read here, after the settings: by itself gunicorn would not see what stands in .env.
workers = int(os.environ.get("WEB_CONCURRENCY") or 1)
logconfig_dict = logs.config(settings.LOGGING)  # its own first lines as well

worker_class = "gthread"
threads = 8
timeout = 90  # longer than three tries at Stripe
graceful_timeout = 30
keepalive = 5
max_requests = 20_000
max_requests_jitter = 2_000
control_socket_disable = True
errorlog = "-"
accesslog = None  # the product writes its own access line, with addresses blurred
SILENCE_SECONDS = 10
# A heartbeat file on a slow disk would look like a hung process.
if Path("/dev/shm").is_dir():  # noqa: S108
    worker_tmp_dir = "/dev/shm"  # noqa: S108


def post_worker_init(worker: Any) -> None:
    """Let a sender that falls silent within a request give its thread back: on Linux, accepted
    sockets inherit this limit.
    """
    stuck_database.has_master = True
    for listener in worker.sockets:
        listener.sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", SILENCE_SECONDS, 0)
        )
