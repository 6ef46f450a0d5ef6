"""How the web processes run, everywhere: few processes, threads for what waits for Stripe.
WEB_CONCURRENCY sets how many.
"""

import socket
import struct
from pathlib import Path
from typing import Any

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
    for listener in worker.sockets:
        listener.sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", SILENCE_SECONDS, 0)
        )
