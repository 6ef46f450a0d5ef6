"""The rules of the design, read off the syntax tree: which module may import which, what is banned,
how big things are.
"""

import ast
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import status_writes
from tests.status_writes import Code, all_nodes

ROOT = Path(__file__).resolve().parent.parent
# From the bottom up: a module imports from its own app and from the rows below. Neighbors in one
# row do not see each other.
ROWS: list[set[str]] = [
    {"maaledu"},
    {"courses", "accounts", "notifications"},
    {"grants", "affiliates", "lms_sync"},
    {"enrollments"},
    {"payments"},
    {"legacy"},
    {"storefront", "office", "operations", "api", "demo"},
]
# Named by dotted names only: in the environment, in the settings, on a command line.
WIRING = ("maaledu.settings.", "maaledu.urls.", "maaledu.celery.", "maaledu.wsgi.")
PACKAGES = (*(app for row in ROWS for app in sorted(row)), "sandbox")
CATCH_ALLS = {"services", "utils", "helpers", "managers", "signals", "common", "misc"}
WHOLE_MODULE = 1


@dataclass(frozen=True)
class Module:
    """One source file: its dotted name and its syntax tree."""

    name: str
    tree: ast.Module
    source: str

    @classmethod
    def parse(cls, name: str, source: str) -> "Module":
        return cls(name, ast.parse(source), source)

    @property
    def lines(self) -> int:
        return self.source.count("\n")


@functools.cache
def product() -> list[Module]:
    """Every module of the product, without migrations, read once."""
    paths = [
        path
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if "migrations" not in path.parts
    ]
    return [Module.parse(_dotted(path), path.read_text()) for path in paths]


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


# --- who imports whom -----------------------------------------------------------------------------


def imports(module: Module) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of everything the module imports; `from a import b` gives
    `a.b`.
    """
    for node in all_nodes(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def row_of(dotted: str) -> tuple[int, str] | None:
    """The row and the app of a module of ours, None for anything else."""
    app = dotted.split(".", maxsplit=1)[0]
    return next(((number, app) for number, row in enumerate(ROWS) if app in row), None)


def import_violations(module: Module) -> Iterator[str]:
    mine = row_of(module.name)
    for line, imported in imports(module):
        theirs = row_of(imported)
        if imported.split(".")[0] in {"tests", "script", "bench"}:
            yield f"{module.name}:{line} imports {imported}"
        elif f"{imported}.".startswith(WIRING) and not f"{module.name}.".startswith("maaledu."):
            yield f"{module.name}:{line} imports {imported}: the settings name it"
        elif module.name.startswith("sandbox") != imported.startswith("sandbox.") and (
            theirs or imported.startswith("sandbox.")
        ):
            yield f"{module.name}:{line} imports {imported}: the sandbox stands alone"
        elif (
            mine
            and theirs
            and (theirs[0] > mine[0] or (theirs[0] == mine[0] and theirs[1] != mine[1]))
        ):
            yield f"{module.name}:{line} imports {imported}: upward or sideways"


# --- bans -----------------------------------------------------------------------------------------


def nodes(module: Module, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
    return (node for node in all_nodes(module.tree) if isinstance(node, kinds))


def called(module: Module) -> Iterator[tuple[int, str, ast.Call]]:
    """Yield line, last name and node of every call: `a.b.c()` gives `c`."""
    for node in nodes(module, ast.Call):
        name = (
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        )
        yield node.lineno, name, node


def writes_of_status(
    find: Callable[[Code, ast.AST], Iterator[int]],
) -> Callable[[Module], Iterator[int]]:
    return lambda module: find(_code_around(module), module.tree)


def _code_around(module: Module) -> Code:
    """The product's code for a module of the product; a snippet is read by itself."""
    whole = _product_code()
    if module in product():
        return whole
    return Code([module.tree], models=whole.state_models)


@functools.cache
def _product_code() -> Code:
    # The sandbox has rows of its own, which are dicts.
    return Code(m.tree for m in product() if not m.name.startswith("sandbox."))


def calls_of(*names: str) -> Callable[[Module], Iterator[int]]:
    return lambda module: (line for line, name, _ in called(module) if name in names)


def imports_of(*prefixes: str) -> Callable[[Module], Iterator[int]]:
    dotted = tuple(f"{prefix}." for prefix in prefixes)
    return lambda module: (line for line, name in imports(module) if f"{name}.".startswith(dotted))


def imports_inside_functions(module: Module) -> Iterator[int]:
    for function in nodes(module, ast.FunctionDef, ast.AsyncFunctionDef):
        yield from (
            node.lineno
            for node in ast.walk(function)
            if isinstance(node, ast.Import | ast.ImportFrom)
        )


def receivers(module: Module) -> Iterator[int]:
    yield from imports_of("django.dispatch", "django.db.models.signals", "django.core.signals")(
        module
    )


def foreign_atomic(module: Module) -> Iterator[int]:
    yield from imports_of("django.db.transaction.atomic", "django_mongodb_backend.transaction")(
        module
    )
    for node in nodes(module, ast.Attribute):
        if node.attr == "atomic" and getattr(node.value, "id", "") == "transaction":
            yield node.lineno


def floats_near_money(module: Module) -> Iterator[int]:
    """`float()`, float and Decimal columns, and Decimal itself: money is an integer, durations are
    timedeltas.
    """
    yield from calls_of("float", "FloatField", "DecimalField", "Decimal")(module)
    for node in nodes(module, ast.BinOp):
        sides = (node.left, node.right)
        names = {getattr(side, "attr", getattr(side, "id", "")) for side in sides}
        if names & MONEY_NAMES and (
            isinstance(node.op, ast.Div) or any(_is_float(side) for side in sides)
        ):
            yield node.lineno


MONEY_NAMES = {"amount", "price", "list_price", "amount_received", "amount_total"}


def _is_float(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, float)


def ignored_conflicts(module: Module) -> Iterator[int]:
    return (
        line
        for line, _, call in called(module)
        if any(keyword.arg == "ignore_conflicts" for keyword in call.keywords)
    )


def environment_is_read(module: Module) -> Iterator[int]:
    yield from imports_of("environ", "os.environ", "os.getenv")(module)
    yield from (
        node.lineno for node in nodes(module, ast.Attribute) if node.attr in {"environ", "getenv"}
    )


def catch_all_name(module: Module) -> Iterator[int]:
    if module.name.split(".")[-1] in CATCH_ALLS:
        yield WHOLE_MODULE


@dataclass(frozen=True)
class Ban:
    """What is banned, how it is found, and the only modules where it is allowed (a trailing dot:
    the whole package).
    """

    what: str
    find: Callable[[Module], Iterator[int]]
    allowed: tuple[str, ...] = ()

    def violations(self, module: Module) -> list[str]:
        if any(f"{module.name}.".startswith(f"{name.rstrip('.')}.") for name in self.allowed):
            return []
        return [f"{module.name}:{line} {self.what}" for line in self.find(module)]


BANS = [
    # What arrives from outside is done with its first statement, so its row is created done. The
    # demo's courses come from a file, whose fields are not written in the code.
    Ban(
        "assigns a status: maaledu.db.transition does that",
        writes_of_status(status_writes.assigned),
        ("maaledu.db", "maaledu.work.inbox", "demo.courses", "sandbox"),
    ),
    # A coupon moves by the same guarded UPDATE, whose rule is more than the status it comes from:
    # holder, course, expiry. The work machine claims many rows at once and settles by the fence of
    # its claim. The import brings a row up to date as the old platform has it, by a WHERE that is
    # all of what people change.
    Ban(
        "updates a status: maaledu.db.transition does that",
        writes_of_status(status_writes.updated),
        (
            "maaledu.db",
            "maaledu.work.items",
            "maaledu.work.queue",
            "grants.redemption",
            "legacy.writing",
            "sandbox",
        ),
    ),
    # The demo and the import write down sales that are over: their rows are born where they ended.
    Ban(
        "creates a row in a status of its own: it is born in the first one",
        writes_of_status(status_writes.created),
        ("demo.", "legacy.", "sandbox"),
    ),
    Ban("select_for_update does nothing on two of the engines", calls_of("select_for_update")),
    Ban("prefetch_related", calls_of("prefetch_related", "prefetch_related_objects")),
    Ban("signals", receivers),
    Ban(
        "only the gateway knows stripe",
        imports_of("stripe"),
        ("payments.gateway", "payments.stripe_calls"),
    ),
    Ban("imports inside a function", imports_inside_functions, ("maaledu.db",)),
    Ban("only maaledu.db opens transactions", foreign_atomic, ("maaledu.db",)),
    # Seconds in the settings, waits and sockets, percentages from the LMS, an exact decimal string
    # for its API, and the old platform's amounts, which are JavaScript's numbers.
    Ban(
        "floats and decimals",
        floats_near_money,
        ("maaledu.settings", "legacy.values", "lms_sync.pace", "lms_sync.platforms", "sandbox"),
    ),
    # Nobody waits in a request: these run in workers and commands, or between the tries of a
    # transaction.
    Ban(
        "sleeps",
        calls_of("sleep"),
        (
            "demo.controls",
            "maaledu.db",
            "maaledu.management.commands.migrate",
            "maaledu.mongodb",
            "lms_sync.asking",
            "lms_sync.locks",
            "lms_sync.pace",
            "operations.backups.postgresql",
            "operations.doctor.serving",
            "sandbox",
        ),
    ),
    Ban(
        "only maaledu.celery sends Celery messages",
        calls_of("delay", "apply_async", "send_task"),
        ("maaledu.celery", "operations.beat"),
    ),
    Ban("MongoDB cannot ignore conflicts", ignored_conflicts),
    # A program of PostgreSQL's is given what this process was given.
    Ban(
        "only the settings read the environment",
        environment_is_read,
        (
            "maaledu.settings",
            "maaledu.celery",
            "maaledu.wsgi",
            "operations.backups.postgresql",
            "sandbox",
        ),
    ),
    Ban("a catch-all name", catch_all_name),
    # JSON-LD, whose own escaping has its tests.
    Ban(
        "marks a string as safe HTML",
        calls_of("mark_safe", "SafeString"),
        ("courses.structured_data",),
    ),
]


# --- sizes ----------------------------------------------------------------------------------------

BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match, ast.AsyncFor, ast.AsyncWith)


@dataclass(frozen=True)
class Function:
    name: str
    lines: int
    nesting: int
    parameters: int
    positional: int


def functions(module: Module) -> Iterator[Function]:
    for node in nodes(module, ast.FunctionDef, ast.AsyncFunctionDef):
        given = [*node.args.posonlyargs, *node.args.args]
        positional = [argument for argument in given if argument.arg not in {"self", "cls"}]
        yield Function(
            name=f"{module.name}.{node.name}:{node.lineno}",
            lines=(node.end_lineno or node.lineno) - node.lineno + 1 - _docstring_lines(node),
            nesting=_nesting(node),
            parameters=len(positional) + len(node.args.kwonlyargs),
            positional=len(positional),
        )


def _docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    if ast.get_docstring(node) is None:
        return 0
    return (node.body[0].end_lineno or 0) - node.body[0].lineno + 1


def _nesting(node: ast.AST) -> int:
    """How many blocks lie in one another; an `elif` is not deeper than its `if`."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        deepest = max(deepest, _nesting(child) + (isinstance(child, BLOCKS) and not is_elif))
    return deepest
