"""A few generated requests for each operation: no 5xx, and no answer outside the document.

`schemathesis run` against a running shop does the same with thousands, and all its checks.
"""

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS

from accounts.models import User
from tests.api.asking import make_key
from tests.api.test_access import SCOPES

EXAMPLES = 1
# Ours: an answer is one that the document names, in the shape that it gives.
NAMES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)


@pytest.fixture
def key(db: None) -> str:
    boss = User.objects.create_superuser("boss@example.com", "a long password here")
    return make_key(boss, *SCOPES, per_minute=6000)[1]


@pytest.mark.any_engine
def test_generated_requests_get_answers_that_the_document_names(key: str) -> None:
    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", get_wsgi_application())
    checks = CHECKS.get_by_names(NAMES)
    asked = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @given(case=operation.as_strategy())
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def ask(case) -> None:
            nonlocal asked
            asked += 1
            for headers in ({"Authorization": f"Bearer {key}"}, {}):
                case.call_and_validate(headers=headers, checks=checks)

        ask()
    assert asked >= EXAMPLES * 10
