"""What lies in deploy/ is taken by the programs that it is for."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.engines import ROOT

pytestmark = pytest.mark.no_database

DEPLOY = ROOT / "deploy"
UNITS = DEPLOY / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
# 0 is safe from itself, 10 may do anything; a service without any hardening has 9.6.
MOST_EXPOSED = 1.5


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units as on a machine on which the programs that they start are there."""
    units = tmp_path / "systemd"
    shutil.copytree(UNITS, units)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("python", "gunicorn", "celery"):
        (programs / name).symlink_to("/bin/true")
    for path in units.glob("*.service"):
        text = path.read_text()
        path.write_text(text.replace("/opt/maaledu/current/.venv/bin", str(programs)))
    return units


def run(*command: str | Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def test_systemd_takes_each_unit(installed: Path) -> None:
    units = sorted(path for path in installed.iterdir() if path.is_file())
    assert len(units) == 10
    assert run("systemd-analyze", "verify", "--man=no", *units) == ""


def test_control_an_unknown_word_in_a_unit_is_noticed(installed: Path) -> None:
    unit = installed / "maaledu-web.service"
    unit.write_text(unit.read_text().replace("Restart=always", "Restrat=always"))
    assert "Restrat" in run("systemd-analyze", "verify", "--man=no", unit)


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_can_do_little_beside_its_work(installed: Path, service: str) -> None:
    said = run(
        "systemd-analyze", "security", "--offline=yes", "--no-pager", service,
        SYSTEMD_UNIT_PATH=f"{installed}:",
    )  # fmt: skip
    assert float(re.findall(r"Overall exposure level for \S+: ([\d.]+)", said)[0]) <= MOST_EXPOSED


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_starts_a_program_of_the_version_in_service(service: str) -> None:
    text = (UNITS / service).read_text()
    program = re.findall(r"^ExecStart=/opt/maaledu/current/\.venv/bin/(\S+)", text, re.MULTILINE)
    assert len(program) == 1
    assert (ROOT / ".venv" / "bin" / program[0]).exists()
    assert "WorkingDirectory=/opt/maaledu/current\n" in text


def test_what_stops_for_a_bad_setting_is_not_started_again_and_again() -> None:
    """maaledu.checks ends a process with this code."""
    staying = [name for name in SERVICES if "Restart=always" in (UNITS / name).read_text()]
    assert len(staying) == 4
    for name in staying:
        assert "\nRestartPreventExitStatus=3\n" in (UNITS / name).read_text(), name


def test_logrotate_takes_its_rule(tmp_path: Path) -> None:
    rule = tmp_path / "maaledu"
    rule.write_text(
        (DEPLOY / "logrotate/maaledu").read_text().replace("/var/log/maaledu", str(tmp_path))
    )
    rule.chmod(0o644)
    (tmp_path / "web.log").write_text("a line\n")
    said = run("/usr/sbin/logrotate", "-d", "-f", "-s", tmp_path / "state", rule)
    assert "error" not in said
    assert f"copying {tmp_path}/web.log to {tmp_path}/web.log-" in said
    assert "truncating" in said


def test_the_shell_scripts_have_no_known_mistake() -> None:
    scripts = [DEPLOY / "release", DEPLOY / "maaledu", ROOT / "script" / "setup"]
    assert run("shellcheck", *scripts) == ""


# --- compose.yaml ---------------------------------------------------------------------------------
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]


def test_each_role_has_a_health_check_and_is_started_again() -> None:
    assert set(COMPOSE) == {"migrate", "web", "worker", "beat", "backup", "db", "redis"}
    staying = {name: service for name, service in COMPOSE.items() if name != "migrate"}
    assert {name for name, each in staying.items() if "healthcheck" not in each} == set()
    assert {each["restart"] for each in staying.values()} == {"unless-stopped"}


def test_what_runs_our_code_may_write_to_its_volumes_alone() -> None:
    ours = {name: each for name, each in COMPOSE.items() if each.get("image") == "maaledu"}
    assert set(ours) == {"migrate", "web", "worker", "beat", "backup"}
    for service in ours.values():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["environment"]["STATIC_ROOT"] == "/srv/static"


def test_each_image_of_others_can_be_pinned() -> None:
    """Requirement of the guide, part 3d: a digest is looked up where it is deployed."""
    images = [COMPOSE["db"]["image"], COMPOSE["redis"]["image"]]
    images.append(COMPOSE["web"]["build"]["args"]["PYTHON_IMAGE"])
    guide = (ROOT / "docs" / "deployment.md").read_text()
    for image in images:
        name = re.fullmatch(r"\$\{([A-Z_]+):-[\w.:-]+\}", image)
        assert name, image
        assert name[1] in guide
    built = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert built == ["${PYTHON_IMAGE}", "${PYTHON_IMAGE}"]
