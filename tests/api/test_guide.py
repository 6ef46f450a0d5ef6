"""docs/api.md as it stands: each block is run by bash, against a shop on a real socket."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client
from django.test.testcases import LiveServerThread, _StaticFilesHandler

from accounts.models import User
from affiliates.models import Affiliate
from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from grants.models import Grant
from maaledu.work.queue import drain
from tests.affiliates.make import make_user
from tests.api.asking import make_key
from tests.api.test_access import SCOPES
from tests.architecture import ROOT
from tests.enrollments.test_provisioning import buy
from tests.factories import make_course
from tests.grants.make import HOLDER, make_coupon
from tests.sandbox_client import Sandbox

PASSWORD = "a-sentence-nobody-guesses-7"
SHELL = re.compile(r"```sh\n(.+?)```", re.DOTALL)
TOOLS = ("bash", "curl", "jq")


@pytest.fixture
def shop(db: None) -> Iterator[str]:
    server = LiveServerThread("127.0.0.1", _StaticFilesHandler)
    server.daemon = True
    server.start()
    server.is_ready.wait()
    yield f"http://127.0.0.1:{server.port}"
    server.terminate()


@pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason="needs bash, curl and jq")
def test_each_flow_of_the_guide_works_as_it_is_written(
    buyer: Client, sandbox: Sandbox, shop: str, tmp_path: Path
) -> None:
    """Requirement R222."""
    sandbox.fault("lms", "417", "POST /api/resource/LMS Enrollment", times=1)
    failed = buy(buyer)
    drain(LMS_JOBS)
    course = make_course()
    coupon = make_coupon(course)
    make_user("ada@example.com")
    boss = User.objects.create_superuser("boss@example.com", "a long password here")
    environment = {
        **os.environ,
        "SHOP": shop,
        "COURSE": course.slug,
        "EMAIL": "ada@example.com",
        "PASSWORD": PASSWORD,
        "COUPON": coupon.code or "",
        "HOLDER": HOLDER,
        "KEY": make_key(boss, *SCOPES)[1],
        "ENROLLMENT": str(failed.pk),
    }
    blocks = SHELL.findall((ROOT / "docs" / "api.md").read_text(encoding="utf-8"))
    assert len(blocks) == 8
    script = "set -euo pipefail\n" + "\n".join(blocks)
    done = subprocess.run(
        ["bash", "-c", script],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    emails = set(Enrollment.objects.filter(status="pending").values_list("email", flat=True))
    assert emails == {"buyer@example.com", "reader@example.com"}
    assert Grant.objects.filter(email="ada@example.com", status="pending").count() == 1
    assert Affiliate.objects.get().email == "ada@example.com"
    failed.refresh_from_db()
    assert failed.has_access
