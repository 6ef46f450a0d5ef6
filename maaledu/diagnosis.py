"""What a check of an outside service comes to: a result a step, and how a command shows it."""

from dataclasses import dataclass

from django.core.management.base import BaseCommand


@dataclass(frozen=True)
class Result:
    """One step of a check: whether it went well, what was found, and what to do about it.

    A step that could not be tried, because an earlier one failed or the key may not ask, is no
    problem by itself, and neither is a note.
    """

    step: str
    ok: bool
    message: str
    advice: str = ""
    is_tried: bool = True
    is_note: bool = False

    @property
    def mark(self) -> str:
        if not self.is_tried:
            return "skipped"
        if self.is_note:
            return "note"
        return "ok" if self.ok else "PROBLEM"


def show(command: BaseCommand, result: Result) -> None:
    """Write one result, with its advice below it."""
    style = command.style.SUCCESS if result.ok else command.style.ERROR
    if result.is_note or not result.is_tried:
        style = command.style.WARNING
    command.stdout.write(f"{style(f'{result.mark:7}')} {result.step}: {result.message}")
    if result.advice:
        command.stdout.write(f"        {result.advice}")
