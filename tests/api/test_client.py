"""A client made from docs/openapi.json alone buys a course, applies for a grant and retries a sync.

It knows nothing but the document: which address an operation has, what its body must hold, and what
each way of asking sends along.
"""

import json
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from grants.models import Grant
from maaledu.work.queue import drain
from tests.api.asking import make_key
from tests.architecture import ROOT
from tests.enrollments.test_provisioning import buy
from tests.factories import completed, deliver, make_course
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine


class Generated:
    """Asks by the operation's name; `secrets` are those of the document's security schemes."""

    def __init__(self, **secrets: str) -> None:
        self.document = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
        self.secrets = secrets
        self.cookies = Client(enforce_csrf_checks=True)

    def ask(self, name: str, /, **fields: Any) -> dict[str, Any]:
        path, method, operation = self._find(name)
        options: dict[str, Any] = {"headers": self._headers(operation)}
        if "requestBody" in operation:
            body = self._body(operation, fields)
            options |= {"data": json.dumps(body), "content_type": "application/json"}
        answer = getattr(self.cookies, method)(path, **options)
        described = operation["responses"][str(answer.status_code)]
        assert str(answer.status_code)[0] == "2", (described, answer.content)
        found = answer.json()
        assert any(set(each["required"]) <= set(found) for each in self._variants(described))
        return found

    def _find(self, name: str) -> tuple[str, str, dict[str, Any]]:
        return next(
            (path, method, operation)
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
            if operation["operationId"] == name
        )

    def _headers(self, operation: dict[str, Any]) -> dict[str, str]:
        """Send the first way of asking whose secrets are at hand; cookies come by themselves."""
        schemes = self.document["components"]["securitySchemes"]
        for way in operation["security"]:
            named = {name: schemes[name] for name in way if schemes[name].get("in") != "cookie"}
            if set(named) <= set(self.secrets):
                return {
                    each.get(
                        "name", "Authorization"
                    ): f"{each.get('scheme', '')} {self.secrets[n]}".strip().replace(
                        "bearer", "Bearer"
                    )
                    for n, each in named.items()
                }
        raise AssertionError(operation["operationId"])

    def _body(self, operation: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
        """Fill in what is required and can have one value only."""
        for schema in self._variants(operation["requestBody"]):
            known = schema["properties"]
            constants = {name: each["const"] for name, each in known.items() if "const" in each}
            body = {**constants, **fields}
            if set(fields) <= set(known) and set(schema["required"]) <= set(body):
                return body
        raise AssertionError((operation["operationId"], fields))

    def _variants(self, holder: dict[str, Any]) -> list[dict[str, Any]]:
        schema = holder["content"]["application/json"]["schema"]
        return [self._resolved(each) for each in self._resolved(schema).get("anyOf", [schema])]

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        name = schema.get("$ref", "").rpartition("/")[2]
        return self.document["components"]["schemas"][name] if name else schema


def test_a_client_made_from_the_document_buys_applies_and_retries(
    buyer: Client, sandbox: Sandbox
) -> None:
    make_course(slug="data")
    visitor = Generated()
    visitor.secrets["CsrfToken"] = visitor.ask("csrf_token")["csrfToken"]
    [course] = visitor.ask("list_courses")["courses"]
    started = visitor.ask(
        "start_checkout", courseId=course["courseId"], email="ada@example.com", name="Ada"
    )
    enrollment = Enrollment.objects.get(pk=started["enrollmentId"])
    payment = enrollment.payments.get()
    assert started["url"] == payment.checkout_url
    deliver(buyer, completed(payment))
    enrollment.refresh_from_db()
    assert enrollment.status == "paid"

    texts = {"situation": "I am between two jobs.", "motivation": "To change my field."}
    visitor.ask("apply_for_grant", courseId="data", name="Eve", email="eve@example.com", **texts)
    assert Grant.objects.get().email == "eve@example.com"

    boss = User.objects.create_superuser("boss@example.com", "a long password here")
    drain(LMS_JOBS)
    sandbox.fault("lms", "417", "POST /api/resource/LMS Enrollment", times=1)
    dead = buy(buyer)
    drain(LMS_JOBS)
    program = Generated(ApiKey=make_key(boss, "sync:read", "sync:write")[1])
    [failed] = program.ask("sync_failures")["failedEnrollments"]
    assert failed["enrollmentId"] == str(dead.pk)
    retried = program.ask("retry_sync", enrollmentId=failed["enrollmentId"])
    assert retried["result"] == "success"
    step = program.ask("retry_sync", retryAll=True)
    assert (step["processed"], step["hasMore"]) == (0, False)


def test_control_a_field_that_the_document_lacks_is_noticed(db: None) -> None:
    with pytest.raises(AssertionError):
        Generated(CsrfToken="x").ask("start_checkout", courseId="data", mail="ada@example.com")
