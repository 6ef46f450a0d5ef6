"""Reads the plain text in which staff write a course: lists, instructors and the syllabus."""

from dataclasses import dataclass, field


@dataclass
class Module:
    title: str
    lessons: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Instructor:
    name: str
    role: str


def read_lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_modules(text: str) -> list[Module]:
    """Return the modules of a syllabus; a line with a leading `-` is a lesson of the one above."""
    modules: list[Module] = []
    for line in read_lines(text):
        if line.startswith("-"):
            _append_lesson(modules, line.lstrip("- ").strip())
        else:
            modules.append(Module(line))
    return modules


def _append_lesson(modules: list[Module], lesson: str) -> None:
    if not modules:
        modules.append(Module("Contents"))
    modules[-1].lessons.append(lesson)


def read_instructors(text: str) -> list[Instructor]:
    """Return the people of lines such as `Amina Haddad — Data analyst`."""
    people = (line.partition("—") for line in read_lines(text))
    return [Instructor(name.strip(), role.strip()) for name, _dash, role in people]
