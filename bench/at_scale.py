"""Tests of the suite at a scale where what they print means something, on PostgreSQL.

`script/bench --replays`: fifty thousand deliveries of ten thousand events.
`script/bench --reconcile`: ten thousand objects at Stripe that agree with ours.
`script/bench --batch`: five thousand learners in one list, killed three times.
`script/bench --platforms`: purchases on two learning platforms, of which one is down.
`script/bench --hanging`: forty learners on pages that ask Stripe, which hangs, as the LMS does.
`script/bench --recovery`: two thousand jobs after an outage, within an LMS's rate.
`script/bench --partial-outage`: six hours in which one step of an LMS fails.
`script/bench --new-users`: fifteen hundred new learners, of whom an LMS makes sixty an hour.
`script/bench --old-databases`: two hundred old databases by seed, brought over and taken back.
`script/bench --old-rows`: twenty thousand old enrollments, rate and memory.
`script/bench --pages`: pages of proxies at every status, at every call to a learning platform.
"""

import os
import subprocess
import sys

from script.children import ROOT
from script.servers import Services

LIMITS = "tests/system/test_lms_limits.py"
NEW_USERS = "test_a_limit_on_new_users_costs_few_calls_and_delays_nobody_else"
# Each with what tells it how much, and the number that is meant.
TESTS = {
    "replays": ("tests/system/test_replays.py", "REPLAYED_EVENTS", 10_000),
    "reconcile": ("tests/payments/test_reconcile_many.py", "RECONCILED_OBJECTS", 10_000),
    "batch": ("tests/enrollments/test_batch_kills.py", "BATCH_LEARNERS", 5_000),
    "platforms": ("tests/system/test_two_platforms.py", "PLATFORM_PURCHASES", 500),
    "hanging": ("tests/storefront/test_crowd.py", "HANGING_LEARNERS", 40),
    "recovery": (f"{LIMITS}::test_parked_jobs_go_out_at_a_shared_rate", "PARKED_JOBS", 2_000),
    "partial_outage": (
        "tests/lms_sync/test_steps.py::test_a_partial_outage_of_hours_kills_no_job",
        "OUTAGE_MINUTES",
        360,
    ),
    "new_users": (f"{LIMITS}::{NEW_USERS}", "NEW_LEARNERS", 1_500),
    "old_databases": ("tests/legacy/test_any_database.py", "OLD_DATABASES", 200),
    "old_rows": ("tests/legacy/test_many.py", "OLD_SALES", 20_000),
    "pages": ("tests/enrollments/test_whose_answer.py", "PAGES_AT_EACH_STATUS", 1),
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
