"""Who asks the API in the tests, and how."""

import json
from typing import Any

from django.contrib.auth.models import Permission
from django.test import Client

from accounts import keys
from accounts.models import ApiKey, User
from api.document import document
from tests.affiliates.make import make_user

PROBLEM = {"error", "code", "retryable", "details", "timestamp"}
APPLICATION = {
    "name": "Ada",
    "email": "ada@example.com",
    "situation": "A situation.",
    "motivation": "A motivation.",
    "consent": True,
}


def post(client: Client, path: str, body: Any = None, **headers: str):
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    return client.post(path, data=data, content_type="application/json", headers=headers)


def refused(answer) -> tuple[int, str]:
    """Return status and code of a refusal, which has our shape and is one that the document names
    for this operation, where there is such a one.
    """
    assert answer["Content-Type"].startswith("application/json"), answer.content[:200]
    assert set(answer.json()) == PROBLEM
    status, code = answer.status_code, answer.json()["code"]
    asked = answer.wsgi_request
    operation = document()["paths"].get(asked.path, {}).get(asked.method.lower())
    assert operation is None or code in codes_of(operation).get(str(status), ()), (status, code)
    return status, code


def codes_of(operation: dict) -> dict[str, set[str]]:
    """Return the codes of each status that refuses."""
    found = {}
    for status, response in operation["responses"].items():
        schema = response.get("content", {}).get("application/json", {}).get("schema", {})
        for part in schema.get("allOf", []):
            if enum := part.get("properties", {}).get("code", {}).get("enum"):
                found[status] = set(enum)
    return found


def signed_in(user: User, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(user)
    return client


def make_worker(*permissions: str, email: str = "staff@example.com") -> User:
    """Return a member of staff with these permissions alone."""
    user = make_user(email, is_staff=True)
    for permission in permissions:
        app, _, codename = permission.partition(".")
        user.user_permissions.add(
            Permission.objects.get(content_type__app_label=app, codename=codename)
        )
    return user


def make_key(user: User, *scopes: str, **fields: Any) -> tuple[ApiKey, str]:
    return keys.make(user, keys.Order("A program", scopes, **{"per_minute": 60, **fields}))


def with_key(text: str) -> Client:
    """Return a program that sends this key; it has no cookies, and no token of ours."""
    return Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {text}"})
