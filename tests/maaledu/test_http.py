from datetime import datetime

import pytest
from django.template.loader import get_template
from django.test import Client

from maaledu.errors import BadRequest
from maaledu.http import read_json

pytestmark = pytest.mark.any_engine

JSON = "application/json"


def post(probe: Client, body: bytes | str, **extra):
    return probe.post("/api/probe/echo", data=body, content_type=JSON, **extra)


# --- reading JSON ---------------------------------------------------------------------------------
def test_an_object_of_plain_text_is_read(probe):
    answer = post(probe, '{"a": ["b", {"c": "é"}], "n": 1, "z": null}')
    assert (answer.status_code, answer.json()) == (200, {"a": ["b", {"c": "é"}], "n": 1, "z": None})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"1",
        b'"text"',
        b"{",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b"\xff\xfe{}",
        b'{"a": "\xe9"}',
        b"[" * 900,
        b'{"a":' * 150,
        b'{"a": "\\u0000"}',
        b'{"a\\u0000": 1}',
        b'{"a": ["\\ud800"]}',
        b'{"a": {"b": "\\udfff"}}',
        b'{"a": ' + b"9" * 900,
    ],
)
def test_anything_else_is_a_bad_request(probe, body):
    answer = post(probe, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")


def test_an_integer_too_long_to_read_is_a_bad_request(rf):
    request = rf.post("/", data=b'{"a": ' + b"9" * 5000 + b"}", content_type=JSON)
    with pytest.raises(BadRequest):
        read_json(request)


def test_json_nested_deeper_than_the_interpreter_allows_is_a_bad_request(rf):
    with pytest.raises(BadRequest):
        read_json(rf.post("/", data=b'{"a":' + b"[" * 50_000, content_type=JSON))


def test_a_body_over_the_limit_is_refused_by_its_announced_length(probe):
    answer = post(probe, b'{"a": "' + b"x" * 1000 + b'"}')
    assert (answer.status_code, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")


def test_a_body_over_djangos_limit_is_refused(probe):
    answer = probe.post(
        "/probe/form", data=b"a=" + b"x" * 300_000, content_type="application/x-www-form-urlencoded"
    )
    assert answer.status_code == 413
    assert b"PAYLOAD_TOO_LARGE" in answer.content


def test_too_many_fields_are_a_bad_request(probe):
    answer = probe.post("/probe/form", data={f"f{number}": "1" for number in range(401)})
    assert answer.status_code == 400
    assert b"BAD_REQUEST" in answer.content


def test_a_length_that_is_no_number_is_a_bad_request(probe):
    answer = post(probe, b"{}", headers={"content-length": "x"})
    assert answer.status_code == 400


# --- refusals -------------------------------------------------------------------------------------
def test_a_refusal_for_a_machine_has_the_five_fields_and_no_private_detail(probe):
    answer = probe.get("/api/probe/refused")
    body = answer.json()
    assert answer.status_code == 409
    assert set(body) == {"error", "code", "retryable", "details", "timestamp"}
    assert (body["error"], body["code"]) == ("There are no pencils left.", "OUT_OF_PENCILS")
    assert (body["retryable"], body["details"]) == (True, {"color": "blue"})
    assert datetime.fromisoformat(body["timestamp"]).tzinfo is not None
    assert b"grandmother" not in answer.content


def test_a_refusal_for_a_person_is_a_page_with_its_code_and_request_id(probe):
    answer = probe.get("/probe/refused")
    page = answer.content.decode()
    assert answer.status_code == 409
    assert answer["Content-Type"].startswith("text/html")
    for text in ("There are no pencils left.", "OUT_OF_PENCILS", answer["X-Request-ID"]):
        assert text in page
    assert "grandmother" not in page


def test_whoever_accepts_json_gets_json(probe):
    assert probe.get("/probe/refused", headers={"accept": JSON}).json()["code"] == "OUT_OF_PENCILS"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/probe/denied", 403, "FORBIDDEN"),
        ("/nowhere", 404, "NOT_FOUND"),
        ("/probe/broken", 500, "INTERNAL_ERROR"),
        ("/probe/lost-database", 503, "SERVICE_UNAVAILABLE"),
        ("/probe/post-only", 405, "METHOD_NOT_ALLOWED"),
    ],
)
def test_every_kind_of_failure_has_its_status_and_our_page(probe, path, status, code):
    answer = probe.get(path)
    page = answer.content.decode()
    assert answer.status_code == status
    assert code in page
    assert "<main" in page
    assert "Traceback" not in page
    assert "hunter22" not in page


def test_a_lost_database_says_when_to_come_back(probe):
    assert probe.get("/probe/lost-database")["Retry-After"] == "30"


def test_an_unknown_api_address_answers_in_json(probe):
    answer = probe.get("/api/nowhere")
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


def test_a_wrong_method_answers_in_json_with_the_right_one(probe):
    answer = probe.get("/api/probe/post-only")
    assert (answer.status_code, answer.json()["code"], answer["Allow"]) == (
        405,
        "METHOD_NOT_ALLOWED",
        "POST",
    )


def test_an_unforeseen_failure_of_the_api_shows_nothing(probe):
    answer = probe.get("/api/probe/broken")
    assert (answer.status_code, answer.json()["code"], answer.json()["details"]) == (
        500,
        "INTERNAL_ERROR",
        {},
    )
    assert b"hunter22" not in answer.content


def test_a_form_without_its_token_is_refused(settings):
    settings.ROOT_URLCONF = "tests.maaledu.probe_urls"
    answer = Client(enforce_csrf_checks=True).post("/probe/post-only")
    assert answer.status_code == 403
    assert b"FORBIDDEN" in answer.content


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://testserver.evil.example"]
)
def test_a_form_sent_from_another_origin_is_refused_with_a_valid_token_too(settings, origin):
    settings.ROOT_URLCONF = "tests.maaledu.probe_urls"
    visitor = Client(enforce_csrf_checks=True)
    visitor.get("/accounts/login/")
    token = visitor.cookies["csrftoken"].value
    own = visitor.post(
        "/probe/post-only", headers={"x-csrftoken": token, "origin": "http://testserver"}
    )
    foreign = visitor.post("/probe/post-only", headers={"x-csrftoken": token, "origin": origin})
    assert (own.status_code, foreign.status_code) == (200, 403)


def test_the_error_page_is_shown_even_when_its_template_is_broken(probe, settings, tmp_path):
    (tmp_path / "error.html").write_text("{% if %}")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    answer = probe.get("/probe/broken")
    assert answer.status_code == 500
    assert answer["X-Request-ID"] in answer.content.decode()


def test_the_error_page_asks_the_database_nothing(probe, django_assert_num_queries, db):
    assert get_template("error.html")
    probe.cookies["sessionid"] = "a" * 32
    with django_assert_num_queries(0):
        assert probe.get("/nowhere").status_code == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "testserver@evil.example", "evil.example:80", "testserver\tx", ""]
)
def test_a_host_that_is_not_ours_is_a_bad_request(probe, settings, host):
    settings.ALLOWED_HOSTS = ["testserver"]
    answer = probe.get("/probe/public", headers={"host": host or "[broken"})
    assert answer.status_code == 400
    assert "evil.example" not in answer.content.decode()


def test_a_forwarded_host_is_ignored(probe, settings):
    settings.ALLOWED_HOSTS = ["testserver"]
    answer = probe.get("/accounts/login/?next=/x", headers={"x-forwarded-host": "evil.example"})
    assert answer.status_code == 200
    assert "evil.example" not in answer.content.decode()
