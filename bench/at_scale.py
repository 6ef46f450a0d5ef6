"""Tests of the suite at a scale where what they print means something, on PostgreSQL.

`script/bench --replays`: fifty thousand deliveries of ten thousand events.
`script/bench --reconcile`: ten thousand objects at Stripe that agree with ours.
"""

import os
import subprocess
import sys

from script.children import ROOT
from script.servers import Services

# Each with what tells it how much, and the number that is meant.
TESTS = {
    "replays": ("tests/system/test_replays.py", "REPLAYED_EVENTS", 10_000),
    "reconcile": ("tests/payments/test_reconcile_many.py", "RECONCILED_OBJECTS", 10_000),
}
# Each is one long test: pytest's limit of a test that hangs is not for it.
LIMIT = "faulthandler_timeout=2400"


def run(name: str, services: Services) -> bool:
    """Run the test of this name with its numbers shown, and return whether it passed."""
    test, variable, number = TESTS[name]
    given = {
        "TEST_ENGINE": "postgres",
        "DATABASE_URL": services.postgres_url(),
        variable: str(number),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-rP", "-o", LIMIT, test]
    return (
        subprocess.run(command, cwd=ROOT, env={**os.environ, **given}, check=False).returncode == 0
    )
