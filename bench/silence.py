"""`script/bench --silence`: each fault on real processes, and who says it within five minutes.

It takes half an hour, root for a small disk in memory, and programs of PostgreSQL and Redis.
"""

import os
import subprocess
import sys
import tempfile

from script.children import ROOT


def run() -> bool:
    """Make every fault, write docs/silence.md, and return whether each was said in time."""
    with tempfile.NamedTemporaryFile(prefix="maaledu-silence-", suffix=".json") as found:
        found.write(b"{}")
        found.flush()
        env = {**os.environ, "TEST_ENGINE": "sqlite", "SILENCE_FOUND": found.name}
        command = [sys.executable, "-m", "pytest", "-q", "tests/system/silence"]
        return subprocess.run(command, cwd=ROOT, env=env, check=False).returncode == 0
