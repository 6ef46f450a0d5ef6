"""The calls that the runbook makes by hand (requirement R227), as they stand there."""

import os
import re
import subprocess

import pytest
from django.conf import settings

from tests.engines import ROOT
from tests.lms_sync.rigs import FrappeRig, OpenEdxRig
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
CALLS = RUNBOOK[RUNBOOK.index("## A call to the LMS by hand") :]
FRAPPE, OPENEDX = re.findall(r"```sh\n(.+?)```", CALLS, re.DOTALL)[:2]


def by_hand(block: str, **environment: str) -> str:
    done = subprocess.run(
        ["bash", "-euc", block],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def frappe(sandbox: Sandbox, key: str = "") -> str:
    return by_hand(
        FRAPPE.replace("SLUG", FrappeRig.course),
        FRAPPE_LMS_BASE_URL=sandbox.lms_url,
        FRAPPE_LMS_API_KEY=key or settings.FRAPPE_LMS_API_KEY,
    )


def openedx(sandbox: Sandbox, key: str = "") -> str:
    return by_hand(
        OPENEDX.replace("course-v1:KEY", OpenEdxRig.course),
        OPENEDX_BASE_URL=sandbox.edx_url,
        OPENEDX_CLIENT_ID=settings.OPENEDX_CLIENT_ID,
        OPENEDX_CLIENT_SECRET=key or settings.OPENEDX_CLIENT_SECRET,
    )


def test_frappe_says_whose_the_key_is_and_knows_the_course(sandbox: Sandbox) -> None:
    said = frappe(sandbox)
    assert re.match(r'\{"message": ?"\S+@\S+"\}', said), said
    assert f'"name":"{FrappeRig.course}"' in said.replace('": "', '":"'), said


def test_frappe_refuses_another_key(sandbox: Sandbox) -> None:
    assert "Auth" in frappe(sandbox, key="wrong:key")


def test_open_edx_gives_a_token_and_knows_user_and_course(sandbox: Sandbox) -> None:
    said = openedx(sandbox).replace('": ', '":')
    assert '"username":"' in said
    assert '"course_modes":' in said
    assert OpenEdxRig.course in said


def test_open_edx_refuses_another_secret(sandbox: Sandbox) -> None:
    said = openedx(sandbox, key="wrong")
    assert '"username"' not in said
    assert '"detail"' in said
