"""What a learner sees of Open edX in the sandbox: registering, activating, and a course."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from sandbox import openedx_accounts
from sandbox.openedx_answers import EdxError
from sandbox.openedx_store import enrollment_of, find_course, user_by_email
from sandbox.pages import ask_about_learner, page, table
from sandbox.wire import Request, Response
from sandbox.world import World

FIELDS = (("email", "E-mail", "email"), ("name", "Full name", "text"))


class LearnerPages:
    """Pages under /edx/ that are no API."""

    def __init__(self, world: World) -> None:
        self.world = world

    def handle(self, request: Request) -> Response:
        path = request.path.removeprefix("/edx").strip("/")
        with self.world.book.lock:
            if path == "register":
                return self._register(request)
            if path.startswith("activate/"):
                return self._activate(path.partition("/")[2])
            if path.startswith("certificates/"):
                return self._certificate(path.partition("/")[2])
            if path.startswith("courses/") and path.strip("/") != "courses":
                return self._course(path.split("/")[1], request.args().get("email", "").strip())
            return self._list()

    def _register(self, request: Request) -> Response:
        form = request.form() if request.method == "POST" else request.args()
        if request.method != "POST":
            return page("Create an account", _form(form), narrow=True)
        username = form.get("email", "").partition("@")[0][:20] + str(
            self.world.book.edx["count"] + 1
        )
        given = {"username": username, "password": "sandbox", "honor_code": "true"}
        try:
            openedx_accounts.register(self.world, {**given, "terms_of_service": "true", **form})
        except EdxError as refusal:
            problems = refusal.body if isinstance(refusal.body, dict) else {}
            texts = [
                text[0]["user_message"] for text in problems.values() if isinstance(text, list)
            ]
            notice = f'<p class="problem" role="alert">{escape(" ".join(texts))}</p>'
            return page("Create an account", notice + _form(form), narrow=True, status=400)
        body = (
            f'<p class="card good" id="registered">We have sent a message to'
            f" {escape(form['email'])}. Open the link in it to activate the account.</p>"
        )
        return page("Check your mailbox", body, narrow=True)

    def _activate(self, key: str) -> Response:
        users = self.world.book.edx["users"].values()
        user = next((user for user in users if user["activation_key"] == key), None)
        if user is None:
            return page("No such link", "<p>This link activates nothing.</p>", status=404)
        try:
            openedx_accounts.activate(self.world, user)
        except EdxError as failure:
            return failure.response()
        text = f'<p class="card good" id="activated">{escape(user["email"])} can sign in now.</p>'
        return page("Your account is active", text, narrow=True)

    def _certificate(self, key: str) -> Response:
        rows = self.world.book.edx["enrollments"].values()
        if not any(row["certificate"].endswith(f"/certificates/{key}") for row in rows):
            return page("No such certificate", "<p>There is none here.</p>", status=404)
        text = '<p class="card good" id="certificate">This certificate is valid.</p>'
        return page("Certificate", text, narrow=True)

    def _list(self) -> Response:
        rows = [_row(course) for course in self.world.book.edx["courses"].values()]
        link = '<p><a href="/edx/register">Create an account</a></p>'
        return page("Open edX", link + table(["Course", "Key"], rows, "No course yet."))

    def _course(self, key: str, email: str) -> Response:
        course = find_course(self.world, key)
        if course is None:
            text = f"<p>Open edX has no course <code>{escape(key)}</code>.</p>"
            return page("No such course", text, status=404)
        user = user_by_email(self.world, email) if email else None
        row = enrollment_of(self.world, user, course) if user else None
        notice = ""
        if email:
            notice = _standing(email, row if row and row["is_active"] else None, course["units"])
        about = f'<p class="soft"><code>{escape(key)}</code></p>'
        return page(str(course["name"]), about + notice + ask_about_learner(email))


def _row(course: dict[str, str]) -> list[str]:
    link = f'<a href="/edx/courses/{quote(course["id"])}/course/">{escape(course["name"])}</a>'
    return [link, f"<code>{escape(course['id'])}</code>"]


def _standing(email: str, row: dict[str, object] | None, units: int) -> str:
    if row is None:
        return (
            f'<p class="problem" id="enrolled">{escape(email)} is not enrolled in this course.</p>'
        )
    return (
        f'<p class="card good" id="enrolled">{escape(email)} is enrolled in the mode'
        f" {row['mode']}. Completed: {row['done']} of {units} units.</p>"
    )


def _form(values: dict[str, str]) -> str:
    fields = "".join(
        f'<label for="{name}">{label}</label><input id="{name}" name="{name}" type="{kind}"'
        f' required value="{escape(values.get(name, ""))}">'
        for name, label, kind in FIELDS
    )
    return f'<form class="card" method="post">{fields}<button>Create account</button></form>'
