"""The OpenAPI document, its copy in docs/, and the page made from it (requirement R222)."""

import json
import re

import pytest
from django.test import Client
from django.urls import get_resolver

from api.document import SECURITY, document
from api.reference import sections
from tests.api.asking import codes_of
from tests.architecture import ROOT
from tests.requirements.test_error_codes import STATUSES
from tests.requirements.test_everywhere import routes

pytestmark = pytest.mark.any_engine
METHODS = {"get", "post"}
# The document itself and its page, and what SendGrid alone calls.
UNDOCUMENTED = {"api/", "api/docs", "api/openapi.json", "api/webhook/sendgrid"}


def operations() -> list[tuple[str, str, dict]]:
    return [
        (method, path, each)
        for path, methods in document()["paths"].items()
        for method, each in methods.items()
    ]


def test_the_document_in_docs_is_the_one_that_is_served() -> None:
    """`.venv/bin/python -m script.openapi > docs/openapi.json` writes it anew."""
    kept = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    assert kept == json.loads(json.dumps(document()))
    answer = Client().get("/api/openapi.json")
    assert answer.json() == kept
    assert kept["openapi"].startswith("3.1")


def test_every_address_under_api_is_in_it_and_no_other() -> None:
    patterns = {
        str(pattern.pattern).strip("^").removesuffix("/?\\Z")
        for resolver in get_resolver().url_patterns
        for pattern in routes([resolver])
    }
    # What ninja adds is found below `api/`.
    ours = {path for path in patterns if path.startswith("api/")} | {
        f"api/{pattern.pattern}"
        for resolver in get_resolver().url_patterns
        for nested in getattr(resolver, "url_patterns", [])
        if str(getattr(nested, "pattern", "")) == "api/"
        for pattern in getattr(nested, "url_patterns", [])
    }
    assert {path.strip("/") for path in document()["paths"]} == {
        path for path in ours if path not in UNDOCUMENTED
    }


def test_every_operation_says_who_may_ask_and_has_a_name_of_its_own() -> None:
    names = [each["operationId"] for _, _, each in operations()]
    assert len(set(names)) == len(names)
    for method, path, each in operations():
        assert method in METHODS
        assert each["summary"], path
        schemes = {name for way in each["security"] for name in way}
        assert schemes <= set(SECURITY), path
        assert each["responses"], path


def test_every_code_that_it_lists_is_one_of_ours_at_its_status() -> None:
    known = {code: str(status) for status, codes in STATUSES.items() for code in codes}
    listed = {
        (code, status)
        for *_, each in operations()
        for status, c in codes_of(each).items()
        for code in c
    }
    assert dict(listed) == {code: known[code] for code, _ in listed}
    guide = (ROOT / "docs" / "api.md").read_text()
    named = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", guide.partition("## Codes")[2]))
    everywhere = set.intersection(
        *(
            {code for codes in codes_of(each).values() for code in codes}
            for *_, each in operations()
            if "x-limit" in each
        )
    )
    assert named <= set(known)
    addresses = {path.strip("/") for path in re.findall(r"/api/[a-z/.-]+\b", guide)}
    assert addresses <= {path.strip("/") for path in document()["paths"]} | UNDOCUMENTED
    assert everywhere <= named | {"RATE_LIMITED"}


def test_every_reference_in_it_leads_somewhere() -> None:
    text = json.dumps(document())
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', text)):
        part = document()
        for name in reference.split("/"):
            part = part[name]
    assert "$defs" not in text


@pytest.mark.parametrize("path", ["/api/docs", "/api/openapi.json"])
def test_document_and_page_are_for_everybody_and_ask_no_other_host(path: str) -> None:
    answer = Client().get(path)
    assert answer.status_code == 200
    assert "set-cookie" not in {name.lower() for name in answer.headers}
    assert "<script" not in answer.content.decode()
    assert not re.findall(r'(?:src|href)="https?://', answer.content.decode())


def test_the_page_has_every_operation_with_its_fields_and_codes() -> None:
    page = Client().get("/api/docs").content.decode()
    assert page.count("<article ") == len(operations())
    for _, entries in sections():
        for entry in entries:
            assert f'id="{entry.anchor}"' in page
            assert f'href="#{entry.anchor}"' in page
            operation = document()["paths"][entry.path][entry.method.lower()]
            codes = {
                (status, code) for status, each in codes_of(operation).items() for code in each
            }
            assert {(status, code) for status, code, _ in entry.codes} == codes
            for _, code, sentence in entry.codes:
                assert (code in page, len(sentence) > 10) == (True, True), code
    fields = {row.name for _, entries in sections() for e in entries for row in e.answers[0].fields}
    assert {"courses[].price.amount", "balances[].held.display", "statistics.deadLetters"} <= fields
    assert Client().get("/api/")["Location"] == "/api/docs"
