"""`script/bench --replays`: fifty thousand deliveries of ten thousand events to PostgreSQL.

It runs the system's test at a scale where its rate is meaningful.
"""

import os
import subprocess
import sys

from script.children import ROOT
from script.servers import Services

EVENTS = 10_000
TEST = "tests/system/test_replays.py"
# It is one long test: pytest's limit of a test that hangs is not for it.
LIMIT = "faulthandler_timeout=2400"


def run(services: Services) -> bool:
    """Say how many deliveries a second there were, and return whether the books came out right."""
    given = {
        "TEST_ENGINE": "postgres",
        "DATABASE_URL": services.postgres_url(),
        "REPLAYED_EVENTS": str(EVENTS),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-o", LIMIT, TEST]
    return (
        subprocess.run(command, cwd=ROOT, env={**os.environ, **given}, check=False).returncode == 0
    )
