"""A learner of the old platform, after the move: the old password, what was bought, the course."""

import re
import subprocess
from datetime import timedelta
from pathlib import Path

from django.utils import timezone
from playwright.sync_api import expect

from tests.e2e.accounts import sign_in
from tests.e2e.inspection import Inspector
from tests.e2e.running_demo import RunningDemo
from tests.e2e.shopping import new_email
from tests.e2e.visitor import Visitor
from tests.engines import ROOT
from tests.legacy.old_database import HASH, PASSWORD, Database, write_bson
from tests.processes import python

COURSE, TITLE = "teaching-adults-online", "Teaching Adults Online"


def import_old_shop(demo: RunningDemo, folder: Path, email: str) -> None:
    """Bring over an old shop with one learner, who bought a course that is sold here as well."""
    old, at = Database(), timezone.now() - timedelta(days=200)
    synced = {"synced": True, "syncStatus": "success", "enrollmentId": "LMS-1"}
    bought = [{"courseId": COURSE, "progress": 40}]
    old.add("courses", at, courseId=COURSE, title=TITLE, price=275)
    old.add("users", at, email=email.upper(), name="Ada", password=HASH, isVerified=True,
            purchasedCourses=bought)  # fmt: skip
    old.add("enrollments", at, courseId=COURSE, email=email, status="paid", amount=199.5,
            originalAmount=275, paymentId="pi_old", frappeSync=synced)  # fmt: skip
    write_bson(old.documents, folder)
    environment = {
        **demo.environment(),
        "DATABASE_URL": f"sqlite:///{demo.directory / 'shop.sqlite3'}",
        "CHECKOUT_CLOSED": "on",
    }
    command = python("manage.py", "import_legacy", str(folder / "dump"), "--apply")
    ran = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_learner_of_the_old_platform_signs_in_and_goes_to_the_course(
    visitor: Visitor, demo: RunningDemo, inspector: Inspector, tmp_path: Path
) -> None:
    """Requirement R205."""
    page, email = visitor.page, new_email()
    import_old_shop(demo, tmp_path, email)
    sign_in(page, email, "not the old password")
    expect(page.get_by_role("alert")).to_be_visible()
    sign_in(page, email, PASSWORD)
    expect(page.get_by_role("heading", level=1)).to_have_text("My courses")
    owned = page.get_by_role("listitem").filter(has_text=TITLE)
    expect(owned).to_have_count(1)
    expect(owned).to_contain_text("$199.50")
    expect(owned).to_contain_text("40 %")
    inspector.look(page, "account-moved")
    owned.get_by_role("link", name="Go to course").click()
    expect(page).to_have_url(re.compile(f"^{demo.sandbox_url}/lms/.*{COURSE}"))
    expect(page.get_by_role("heading", level=1)).to_contain_text(TITLE)
