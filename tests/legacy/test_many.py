"""Many old rows: the command's memory is bounded, and each row costs the same.

`script/bench --old-rows` runs it with the number of enrollments for which the figures are meant.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.architecture import ROOT
from tests.legacy.old_database import by_seed, write_bson

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
SALES = int(os.environ.get("OLD_SALES", "60"))
MOST_MEGABYTES = 300
DECISIONS_OPEN = 3
PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
# The system's figure for ended children has that of the process which started them in it.
SAYING_ITS_PEAK = """
import atexit, runpy, sys
atexit.register(lambda: print(open("/proc/self/status").read()))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_the_memory_of_the_command_is_bounded(process_env: dict[str, str], tmp_path: Path) -> None:
    documents = by_seed(5, sales=SALES)
    rows = sum(map(len, documents.values()))
    write_bson(documents, tmp_path)
    arguments = ["manage.py", "import_legacy", str(tmp_path / "dump"), "--apply"]
    command = [sys.executable, "-c", SAYING_ITS_PEAK, *arguments]
    began_at = time.monotonic()
    ran = subprocess.run(
        command, cwd=ROOT, env=process_env, capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - began_at
    assert ran.returncode == DECISIONS_OPEN, ran.stderr
    assert f"{rows} new" in ran.stdout
    [peak] = [int(kilobytes) // 1024 for kilobytes in PEAK.findall(ran.stdout)]
    print(f"{rows} rows in {seconds:.1f} s, {rows / seconds:.0f} a second, at most {peak} MB")
    assert peak < MOST_MEGABYTES
