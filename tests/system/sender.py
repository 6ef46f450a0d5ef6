"""Sends webhooks over one kept connection: `python -m tests.system.sender PORT PATH FILE`, one JSON
event a line.

Each is signed when it is sent. The last line of the output is JSON: how many answers of each
status, and the seconds of each.
"""

import hashlib
import hmac
import http.client
import json
import sys
import time
from collections import Counter
from pathlib import Path

SECRET = "whsec_sandbox"


def main() -> None:
    port, path, events = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]).read_text().splitlines()
    print("SENDER READY", flush=True)
    sys.stdin.readline()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    statuses: Counter[int] = Counter()
    seconds = []
    for event in events:
        started = time.perf_counter()
        statuses[post(connection, path, event)] += 1
        seconds.append(round(time.perf_counter() - started, 4))
    print(json.dumps({"statuses": statuses, "seconds": seconds}), flush=True)


def post(connection: http.client.HTTPConnection, path: str, event: str) -> int:
    """Deliver one event; like Stripe, once more where the connection was closed under it."""
    headers = {
        "Content-Type": "application/json",
        "Stripe-Signature": signed(event),
        "Host": "127.0.0.1",
        "User-Agent": "Stripe/1.0",
    }
    for attempt in (1, 2):
        try:
            connection.request("POST", path, event.encode(), headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (http.client.HTTPException, OSError):
            connection.close()
            if attempt == 2:
                raise
    raise AssertionError("unreachable")


def signed(event: str) -> str:
    """Return Stripe's signature; its SDK takes most of a second to load, in each sender."""
    at = int(time.time())
    digest = hmac.new(SECRET.encode(), f"{at}.{event}".encode(), hashlib.sha256)
    return f"t={at},v1={digest.hexdigest()}"


if __name__ == "__main__":
    main()
