"""What staff of an LMS do by hand: rename a learner or a course, move an enrollment, remove it."""

from __future__ import annotations

from typing import Any

from sandbox.world import World

Record = dict[str, Any]


def apply(world: World, data: Record) -> None:
    """Do what a control call asks for: rename_user, rename_course, move, remove."""
    if "rename_user" in data:
        _rename(world, "User", "member", data["rename_user"])
    if "rename_course" in data:
        _rename(world, "LMS Course", "course", data["rename_course"])
    for step in data.get("move", []):
        world.book.docs["LMS Enrollment"][step["name"]]["course"] = step["course"]
    for name in data.get("remove", []):
        world.book.remove_enrollment(name)
    world.book.dirty = True


def _rename(world: World, doctype: str, link: str, step: Record) -> None:
    """Give a document another name, in every link to it as well, as Frappe does."""
    documents, old, new = world.book.docs[doctype], step["name"], step["to"]
    document = documents.pop(old)
    document["name"] = new
    if doctype == "User":
        document["email"] = new
    documents[new] = document
    for rows in world.book.docs.values():
        for row in rows.values():
            if row.get(link) == old:
                row[link] = new
    if doctype == "User":
        world.book.by_member[new] = world.book.by_member.pop(old, [])
