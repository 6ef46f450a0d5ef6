"""The documents speak of what there is (requirements R221, R223-R227)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import get_commands, load_command_class

from tests.architecture import PACKAGES, ROOT, nodes, product

pytestmark = pytest.mark.no_database

STATES = re.compile(r"<!-- states of (\S+) -->\n```mermaid\nstateDiagram-v2\n(.+?)```", re.DOTALL)
PROCESSES = ("visitor", "Stripe", "web", "database", "Redis", "worker", "beat", "LMS", "mail")
RUNBOOK_PARTS = (
    "When it burns", "Alerts, by subject", "Symptoms without an alert", "A call to the LMS by hand",
    "Maintenance", "Keys", "By hand, all safe to repeat",
)  # fmt: skip
EMERGENCIES = (
    "no mail leaves", "the scheduler is dead", "the database is gone or damaged", "Redis is full",
    "a key has leaked", "pages are unstyled", "the disk is full", "the clock is wrong",
)  # fmt: skip
GUIDE_PARTS = (
    "Stripe", "Frappe LMS", "On the machines", "Each machine", "One machine", "Several machines",
    "Docker", "In front", "Before opening", "A new version", "Back", "Backup and restore",
)  # fmt: skip


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def headings(name: str) -> str:
    return "\n".join(line for line in page(name).splitlines() if line.startswith("## "))


def test_the_pictures_that_documents_show_are_those_that_there_are() -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = {
        document.parent / address
        for document in documents
        for address in re.findall(r'(?:src="|!\[[^\]]*\]\()([\w/.-]+)', document.read_text())
    }
    assert shown == {each for each in (ROOT / "docs" / "img").rglob("*") if each.is_file()}


def test_the_architecture_is_drawn_and_names_every_app() -> None:
    """Requirements R221, R226."""
    text = page("architecture.md")
    drawn = re.search(r"```mermaid\n(.+?)```", text, re.DOTALL)
    assert drawn
    assert [process for process in PROCESSES if process not in drawn[1]] == []
    faces = set(PACKAGES) - {"maaledu"}
    assert sorted(app for app in faces if f"`{app}`" not in text) == []


def test_each_drawing_of_states_shows_the_moves_that_there_are() -> None:
    """Requirement R226: an arrow for each row of `TRANSITIONS`, and no other."""
    drawings = STATES.findall(page("architecture.md"))
    assert sorted(label for label, _ in drawings) == ["grants.Grant", "lms_sync.SyncJob"]
    for label, drawing in drawings:
        moves = apps.get_model(label).TRANSITIONS
        drawn = [tuple(arrow) for arrow in re.findall(r"(\w+) --> (\w+)", drawing)]
        there = [(before, after) for after, befores in moves.items() for before in befores]
        assert sorted(set(drawn)) == sorted(there), label


def test_the_data_model_names_every_table() -> None:
    """Requirement R224."""
    ours = [model for model in apps.get_models() if model.__module__.split(".")[0] in PACKAGES]
    assert len(ours) > 20
    lines = [line for line in page("data-model.md").splitlines() if line.startswith("| `")]
    named = set(re.findall(r"(\w+)`", "".join(line.split("|")[1] for line in lines)))
    assert sorted({model.__name__ for model in ours} - named) == []


def subjects() -> Iterator[str]:
    """Yield the subject of each alert to staff, up to where it differs from case to case."""
    for module in product():
        for function in nodes(module, ast.FunctionDef):
            for call in calls_of("alert_staff", function):
                [subject] = [part.value for part in call.keywords if part.arg == "subject"]
                yield from map(beginning, given(subject, function, module.tree))


def given(subject: ast.expr, function: ast.FunctionDef, tree: ast.Module) -> list[ast.expr]:
    """Return the subject, or where it is a parameter, what the callers of its function pass."""
    if not isinstance(subject, ast.Name):
        return [subject]
    position = [argument.arg for argument in function.args.args].index(subject.id)
    return [call.args[position] for call in calls_of(function.name, tree)]


def calls_of(name: str, tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == name:
            yield node


def beginning(text: ast.expr) -> str:
    first = text.values[0] if isinstance(text, ast.JoinedStr) else text
    assert isinstance(first, ast.Constant), ast.unparse(text)
    return str(first.value).strip()


def test_every_alert_has_its_entry_in_the_runbook() -> None:
    """Requirement R223."""
    found = set(subjects())
    assert {"Frappe sync permanently failed", "A dispute was lost", "The nightly check of"} <= found
    text = page("runbook.md")
    assert sorted(subject for subject in found if f"**{subject}" not in text) == []


@pytest.mark.parametrize("part", RUNBOOK_PARTS)
def test_the_runbook_has_its_parts(part: str) -> None:
    """Requirements R223, R227."""
    assert f"## {part}" in headings("runbook.md")


@pytest.mark.parametrize("part", GUIDE_PARTS)
def test_the_deployment_guide_has_its_parts(part: str) -> None:
    """Requirement R225."""
    assert re.search(rf"^###? \d\w?\. {part}", page("deployment.md"), re.MULTILINE)


@pytest.mark.parametrize("what", EMERGENCIES)
def test_each_emergency_has_its_row_with_what_to_do_at_once_and_then(what: str) -> None:
    """Requirement R227."""
    rows = re.findall(rf"^\| {what} \| (.+) \| (.+) \|$", page("runbook.md"), re.MULTILINE)
    assert len(rows) == 1
    assert all(len(cell) > 40 for cell in rows[0])


def test_the_plan_of_maintenance_has_each_period() -> None:
    """Requirement R228."""
    plan = page("runbook.md").partition("## Maintenance")[2].partition("## ")[0]
    periods = re.findall(r"^\| (\w+) \|", plan, re.MULTILINE)
    assert periods == ["when", "daily", "weekly", "monthly", "quarterly"]


@pytest.mark.parametrize(
    "what", ["first five commissions", "limits count", "nothing happens twice"]
)
def test_what_is_looked_at_after_a_deployment(what: str) -> None:
    """Requirement R229."""
    after = page("deployment.md").partition("## 5. Before opening, and after")[2]
    assert re.search(rf"^- \[ \] (the )?{what}", after.partition("## 6.")[0], re.MULTILINE)


# --- commands that the documents name -------------------------------------------------------------
COMMAND = re.compile(r"(?:manage\.py|(?:^|`)\s*maaledu) ([a-z][a-z_]*)([^`\n;&|>]*)", re.MULTILINE)
NOT_DJANGOS = {"version"}  # manage.py answers this one itself


def documents() -> list[Path]:
    """Return whatever tells somebody to run a command."""
    of_deploy = [path for path in (ROOT / "deploy").rglob("*") if path.is_file()]
    pages = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]
    return [*pages, *of_deploy, ROOT / ".env.example", ROOT / "compose.yaml", ROOT / "Dockerfile"]


def unknown_commands(text: str) -> list[str]:
    """Return the commands and options in a text that `manage.py` does not take."""
    known, found = get_commands(), []
    for name, rest in COMMAND.findall(text):
        if name in NOT_DJANGOS:
            continue
        if name not in known:
            found.append(name)
            continue
        parser = load_command_class(known[name], name).create_parser("manage.py", name)
        wrong = set(re.findall(r"(?<!\w)--[a-z][a-z-]*", rest)) - set(parser._option_string_actions)
        found += [f"{name} {option}" for option in sorted(wrong)]
    return found


def test_every_command_that_the_documents_name_exists_with_its_options() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in documents()}
    named = {name for text in texts.values() for name, _ in COMMAND.findall(text)}
    assert {"doctor", "restore", "reseal", "heartbeats", "createsuperuser"} <= named
    found = {name: unknown_commands(text) for name, text in texts.items()}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("`manage.py doctor --wiat 60`", ["doctor --wiat"]),
        ("run manage.py doktor", ["doktor"]),
        ("`maaledu restor BACKUP`", ["restor"]),
        ("maaledu backup --all", ["backup --all"]),
        ("`manage.py backup && ls --all`", []),
        ("python manage.py migrate --noinput", []),
    ],
)
def test_control_a_command_that_is_not_there_is_noticed(text: str, wrong: list[str]) -> None:
    assert unknown_commands(text) == wrong
