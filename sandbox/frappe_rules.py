"""What documents of the LMS look like and who may do what with them, by server version."""

from __future__ import annotations

import re
from typing import Any

Record = dict[str, Any]
STANDARD = ("name", "owner", "creation", "modified", "modified_by", "docstatus", "idx")
REQUIRED_OF_PAYMENT = (
    "member",
    "billing_name",
    "address",
    "amount",
    "currency",
    "payment_for_document_type",
    "payment_for_document",
)
REQUIRED_OF_ADDRESS = ("address_line1", "city", "country")
COUNTRIES = ("Germany", "India", "United Kingdom", "United States")  # of all that it has
FIELDS: dict[str, tuple[str, ...]] = {
    "User": (
        "email",
        "first_name",
        "last_name",
        "full_name",
        "username",
        "enabled",
        "user_type",
        "send_welcome_email",
        "language",
        "time_zone",
        "user_image",
        "last_active",
    ),
    "LMS Course": (
        "title",
        "short_introduction",
        "description",
        "published",
        "upcoming",
        "status",
        "paid_course",
        "course_price",
        "currency",
        "amount_usd",
        "image",
        "video_link",
        "category",
        "published_on",
        "disable_self_learning",
        "enable_certification",
        "paid_certificate",
        "enrollments",
        "lessons",
        "rating",
    ),
    "LMS Enrollment": (
        "course",
        "progress",
        "current_lesson",
        "member",
        "member_name",
        "member_username",
        "member_image",
        "payment",
        "purchased_certificate",
        "certificate",
        "member_type",
        "role",
    ),
    "LMS Payment": (
        *REQUIRED_OF_PAYMENT,
        "source",
        "payment_id",
        "order_id",
        "payment_received",
    ),
    "LMS Source": ("source",),
    "Address": ("address_title", "address_type", *REQUIRED_OF_ADDRESS),
    "Country": ("country_name",),
    "Email Account": ("email_id", "enable_outgoing", "default_outgoing"),
    "LMS Course Progress": ("member", "course", "lesson", "chapter", "status"),
    "LMS Certificate": (
        "member",
        "course",
        "course_title",
        "issue_date",
        "expiry_date",
        "published",
        "template",
    ),
    "LMS Batch": ("title", "Batch Course.course"),
    "LMS Batch Enrollment": ("batch", "member"),
}
CHILDREN = ("Batch Course",)  # doctypes of rows inside a document, by which its list is filtered
REQUIRED: dict[str, tuple[str, ...]] = {
    "LMS Course": ("title", "short_introduction", "description", "instructors"),
    "LMS Payment": REQUIRED_OF_PAYMENT,
    "LMS Source": ("source",),
    "Address": REQUIRED_OF_ADDRESS,
    "LMS Certificate": ("member", "course", "issue_date"),
    "LMS Course Progress": ("member", "lesson"),
}
SELECTS = {"role": ("", "Member", "Admin"), "member_type": ("", "Student", "Mentor", "Staff")}
MANAGERS = frozenset({"Administrator", "System Manager"})
ADMINS = frozenset({"Administrator", "Moderator", "Course Creator", "Batch Evaluator"})
STAFF = ADMINS | {"System Manager"}
CREATORS = STAFF | {"LMS Student"}
DELETERS = frozenset({"Administrator", "System Manager", "Moderator", "Course Creator"})
UNPAID = "You need to complete the payment for this course before enrolling."
EDITORS = frozenset({"Administrator", "Moderator", "Course Creator"})
NOT_SLUG = re.compile(r"[^a-z0-9]+")


def fields_of(doctype: str, version: str) -> tuple[str, ...]:
    """Return the columns of a doctype; LMS Enrollment has other extra ones on 2.40 than on 2.61."""
    extra: tuple[str, ...] = ()
    if doctype == "LMS Enrollment":
        extra = (
            ("batch_old", "cohort", "subgroup") if version == "B" else ("enrollment_from_batch",)
        )
    return (*STANDARD, *FIELDS[doctype], *extra)


def slug(text: str) -> str:
    return NOT_SLUG.sub("-", text.lower()).strip("-")


def label(field: str) -> str:
    return field.replace("_", " ").title()


def may_create_user(roles: frozenset[str], version: str) -> bool:
    if roles & MANAGERS:
        return True
    return "Moderator" in roles and version != "B"


def self_enrollment_refusal(
    course: Record, roles: frozenset[str], version: str, *, has_paid: bool
) -> str:
    """Return why the LMS keeps this caller from enrolling someone, or an empty string.

    Those who run courses are exempt, but before 2.54 not from the payment.
    """
    unpaid = course["paid_course"] and not has_paid
    if roles & ADMINS:
        return UNPAID if unpaid and version == "D" else ""
    if not course["published"]:
        return "You cannot enroll in an unpublished course."
    if course["disable_self_learning"]:
        return (
            "You cannot enroll in this course as self-learning is disabled. Please contact the"
            " Administrator."
        )
    return UNPAID if unpaid else ""
