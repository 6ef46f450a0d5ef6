"""What the product is measured against starts as the product does."""

import os
import subprocess
import sys

import pytest

from tests.architecture import ROOT


@pytest.mark.no_database
def test_gunicorn_takes_the_settings_of_the_bare_project() -> None:
    command = [sys.executable, "-m", "gunicorn", "--check-config", "bench.bare.wsgi"]
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "bench.bare.settings"}
    checked = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
