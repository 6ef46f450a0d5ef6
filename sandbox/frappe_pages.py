"""What a learner sees of the LMS in the sandbox: whether they are enrolled in a course."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from sandbox import frappe_enrollments
from sandbox.frappe_documents import find_course
from sandbox.pages import page, table
from sandbox.wire import Request, Response
from sandbox.world import World


class CoursePages:
    """Pages under /lms/courses/ and /lms/lms/courses/."""

    def __init__(self, world: World) -> None:
        self.world = world

    def handle(self, request: Request) -> Response:
        name = request.path.partition("/courses")[2].strip("/").split("/")[0]
        with self.world.book.lock:
            if not name:
                return self._list()
            course = find_course(self.world, name)
            if course is None:
                return page(
                    "No such course",
                    f"<p>The LMS has no course called <code>{escape(name)}</code>.</p>",
                    status=404,
                )
            return self._course(course, request.args().get("email", "").strip())

    def _list(self) -> Response:
        rows = [_row(course) for course in self.world.book.docs["LMS Course"].values()]
        return page("Courses in the LMS", table(["Course", "Name"], rows, "No course yet."))

    def _course(self, course: dict[str, object], email: str) -> Response:
        name = str(course["name"])
        count = sum(
            row["course"] == name for row in self.world.book.docs["LMS Enrollment"].values()
        )
        body = (
            f'<p>{escape(str(course["short_introduction"] or ""))}</p><p class="soft">{count}'
            f" enrolled · <code>{escape(name)}</code></p>"
        )
        return page(str(course["title"]), body + self._learner(name, email) + _ask(email))

    def _learner(self, name: str, email: str) -> str:
        if not email:
            return ""
        rows = frappe_enrollments.of_pair(self.world, email, name)
        if not rows:
            return (
                f'<p class="problem" id="enrolled">{escape(email)} is not enrolled in this'
                " course.</p>"
            )
        extra = f" There are {len(rows)} rows for this learner." if len(rows) > 1 else ""
        return (
            f'<p class="card good" id="enrolled">{escape(email)} is enrolled. Progress:'
            f" {rows[0]['progress']:.0f} %.{extra}</p>"
        )


def _ask(email: str) -> str:
    return (
        '<form class="card"><label for="email">Is this learner enrolled?</label><div'
        ' class="row"><input id="email" name="email" type="email" required'
        f' value="{escape(email)}"><button class="quiet">Look</button></div></form>'
    )


def _row(course: dict[str, object]) -> list[str]:
    name, title = str(course["name"]), str(course["title"])
    link = f'<a href="/lms/courses/{quote(name)}">{escape(title)}</a>'
    return [link, f"<code>{escape(name)}</code>"]
