"""What a learner sees of the LMS in the sandbox: whether they are enrolled in a course."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from sandbox import frappe_enrollments
from sandbox.frappe_documents import find_course
from sandbox.pages import ask_about_learner, page, table
from sandbox.wire import Request, Response
from sandbox.world import World


class CoursePages:
    """Pages under /lms/courses/ and /lms/lms/courses/."""

    def __init__(self, world: World) -> None:
        self.world = world

    def handle(self, request: Request) -> Response:
        name, _, certificate = request.path.partition("/courses")[2].strip("/").partition("/")
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
            if certificate in self.world.book.docs["LMS Certificate"]:
                return certificate_page(self.world.book.docs["LMS Certificate"][certificate])
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
        return page(
            str(course["title"]), body + self._learner(name, email) + ask_about_learner(email)
        )

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


def certificate_page(row: dict[str, object]) -> Response:
    body = (
        f'<p class="card good" id="certificate">{escape(str(row["member"]))} has completed'
        f" {escape(str(row['course_title']))}. Issued on {escape(str(row['issue_date']))}.</p>"
    )
    return page("Certificate", body, narrow=True)


def _row(course: dict[str, object]) -> list[str]:
    name, title = str(course["name"]), str(course["title"])
    link = f'<a href="/lms/courses/{quote(name)}">{escape(title)}</a>'
    return [link, f"<code>{escape(name)}</code>"]
