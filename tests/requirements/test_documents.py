"""The documents speak of what there is (requirements R221, R223-R227)."""

import ast
import re
from collections.abc import Iterator

import pytest
from django.apps import apps

from tests.architecture import PACKAGES, ROOT, nodes, product

PROCESSES = ("visitor", "Stripe", "web", "database", "Redis", "worker", "beat", "LMS", "mail")
RUNBOOK_PARTS = ("Alerts, by subject", "Symptoms without an alert", "By hand, all safe to repeat")
GUIDE_PARTS = (
    "Stripe", "Frappe LMS", "One machine", "Many machines", "In front", "Before opening",
    "A new version", "Back",
)  # fmt: skip


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def headings(name: str) -> str:
    return "\n".join(line for line in page(name).splitlines() if line.startswith("## "))


def test_the_architecture_is_drawn_and_names_every_app() -> None:
    """Requirements R221, R226."""
    text = page("architecture.md")
    drawn = re.search(r"```mermaid\n(.+?)```", text, re.DOTALL)
    assert drawn
    assert [process for process in PROCESSES if process not in drawn[1]] == []
    faces = set(PACKAGES) - {"maaledu"}
    assert sorted(app for app in faces if f"`{app}`" not in text) == []


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
    assert re.search(rf"^## \d\w?\. {part}", headings("deployment.md"), re.MULTILINE)
