"""Find every place that writes a status, however the name of the column reaches the write.

A status is written by an assignment, `setattr`, `update()`, the creation of a row, or the further
changes of a `transition`. The names of the columns are followed through dict literals, names,
parameters and returned dicts; where they cannot be followed the place counts as a write.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from typing import TypeVar

STATUS_FIELDS = {"status", "lms_status"}
UNKNOWN = "?"
CREATORS = {"create", "get_or_create", "update_or_create", "acreate", "aget_or_create"}
FORBIDDEN = {UNKNOWN, *STATUS_FIELDS}
DEEPEST = 12

Found = TypeVar("Found", bound=ast.AST)
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def all_nodes(tree: ast.AST) -> list[ast.AST]:
    """Every node of a tree, which is walked once: every rule looks at every module."""
    return list(ast.walk(tree))


class Code:
    """The syntax trees that are read together: what a name may be is looked up in all of them."""

    def __init__(self, trees: Iterable[ast.AST], *, models: Iterable[str] = ()) -> None:
        self.trees, self.known_models = list(trees), set(models)
        self.scope_of: dict[ast.AST, ast.AST] = {}
        self.tree_of: dict[ast.AST, ast.AST] = {}
        self.functions: dict[str, list[FunctionNode]] = defaultdict(list)
        self.calls: dict[str, list[ast.Call]] = defaultdict(list)
        self.constants: dict[str, list[ast.expr]] = defaultdict(list)
        for tree in self.trees:
            self._index(tree, tree, tree)

    def _index(self, node: ast.AST, scope: ast.AST, tree: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            self.scope_of[child], self.tree_of[child] = scope, tree
            if isinstance(child, FunctionNode):
                self.functions[child.name].append(child)
            elif isinstance(child, ast.Call):
                self.calls[called_name(child)].append(child)
            elif isinstance(child, ast.Assign | ast.AnnAssign) and isinstance(scope, ast.Module):
                for name in _assigned_names(child):
                    self.constants[name].append(child.value)
            self._index(child, child if isinstance(child, FunctionNode) else scope, tree)

    @cached_property
    def state_models(self) -> set[str]:
        """The classes with a table of moves, and those that inherit one."""
        classes = [n for tree in self.trees for n in all_nodes(tree) if isinstance(n, ast.ClassDef)]
        found = {c.name for c in classes if any("TRANSITIONS" in name for name in _class_names(c))}
        heirs = {c.name for c in classes if {_last(base) for base in c.bases} & found}
        return found | heirs | self.known_models

    # --- which columns an expression names --------------------------------------------------------

    def keys(self, node: ast.AST | None, depth: int = 0) -> set[str]:
        """Return the keys of a dict that is written here, UNKNOWN among them for what cannot be
        followed.
        """
        if depth > DEEPEST:
            return {UNKNOWN}
        match node:
            case ast.Dict():
                return self._keys_of_literal(node, depth)
            case ast.Call():
                return self._keys_of_call(node, depth)
            case ast.Name():
                return self._keys_of_name(node, depth)
            case _:
                return self._keys_of_all(self._alternatives(node), depth)

    def _alternatives(self, node: ast.AST | None) -> list[ast.expr]:
        """The expressions that this one may stand for, or is made of."""
        match node:
            case ast.IfExp():
                return [node.body, node.orelse]
            case ast.BinOp(op=ast.BitOr()):
                return [node.left, node.right]
            case ast.Attribute() if node.attr.isupper():
                return self.constants.get(node.attr, [])
            case _:
                return []

    def _keys_of_all(self, found: Iterable[ast.AST | None], depth: int) -> set[str]:
        each = [self.keys(node, depth + 1) for node in found]
        return set().union(*each) if each else {UNKNOWN}

    def _keys_of_literal(self, node: ast.Dict, depth: int) -> set[str]:
        found: set[str] = set()
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                found |= self.keys(value, depth + 1)
            else:
                found.add(_text(key))
        return found

    def _keys_of_call(self, node: ast.Call, depth: int) -> set[str]:
        name = called_name(node)
        if name == "dict":
            copied = [self.keys(argument, depth + 1) for argument in node.args]
            return self.keyword_keys(node, depth).union(*copied)
        functions = self._nearest(node, self.functions.get(name, []))
        returned = [value for function in functions for value in self._returned(function)]
        return self._keys_of_all(returned, depth)

    def _nearest(self, node: ast.AST, found: list[Found]) -> list[Found]:
        """Those of the same module, where there are any; else all."""
        return [f for f in found if self.tree_of[f] is self.tree_of[node]] or found

    def _returned(self, function: FunctionNode) -> Iterator[ast.AST | None]:
        for node in ast.walk(function):
            if isinstance(node, ast.Return) and self.scope_of[node] is function:
                yield node.value

    def _keys_of_name(self, node: ast.Name, depth: int) -> set[str]:
        scope = self.scope_of.get(node)
        sources = list(_sources(scope, node.id)) if scope else []
        found = set(_added_keys(scope, node.id)) if scope else set()
        if isinstance(scope, FunctionNode):
            sources += self._arguments(scope, node.id)
            if scope.args.kwarg and scope.args.kwarg.arg == node.id:
                rest = self._keys_of_the_rest(scope, depth)
                return found.union(rest, *(self.keys(source, depth + 1) for source in sources))
        return found | self._keys_of_all(sources or self.constants.get(node.id, []), depth)

    def _keys_of_the_rest(self, function: FunctionNode, depth: int) -> set[str]:
        """The keywords that the callers hand in beyond the named parameters."""
        calls = self._nearest(function, self.calls[function.name])
        given: set[str] = set().union(*(self.keyword_keys(call, depth + 1) for call in calls))
        return given - set(_parameters(function)) if calls else {UNKNOWN}

    def _arguments(self, function: FunctionNode, parameter: str) -> list[ast.AST | None]:
        """What the callers of the function hand in for this parameter."""
        names = _parameters(function)
        if parameter not in names:
            return []
        place = names.index(parameter) - (names[0] in {"self", "cls"})
        calls = self._nearest(function, self.calls[function.name])
        return [_argument(call, parameter, place) for call in calls] or [None]

    def keyword_keys(self, call: ast.Call, depth: int = 0) -> set[str]:
        """Return the names of a call's keyword arguments, also of those that a `**` spreads."""
        found: set[str] = set()
        for keyword in call.keywords:
            found |= {keyword.arg} if keyword.arg else self.keys(keyword.value, depth + 1)
        return found

    # --- whose columns they are -------------------------------------------------------------------

    def is_of_another_model(self, node: ast.AST, depth: int = 0) -> bool:
        """Whether a queryset is plainly one of a model without a table of moves."""
        while isinstance(node, ast.Attribute | ast.Call):
            node = node.value if isinstance(node, ast.Attribute) else node.func
        if not isinstance(node, ast.Name) or depth > DEEPEST:
            return False
        if node.id[0].isupper():
            return node.id not in self.state_models
        scope = self.scope_of.get(node)
        if not isinstance(scope, FunctionNode):
            return False
        found = [s for s in _sources(scope, node.id) if not _is_rooted_in(s, node.id)]
        found += self._arguments(scope, node.id)
        return bool(found) and all(s and self.is_of_another_model(s, depth + 1) for s in found)


def assigned(code: Code, tree: ast.AST) -> Iterator[int]:
    """Yield the lines that assign a status, by name or by `setattr`."""
    for node in all_nodes(tree):
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(_is_status(t) for target in targets for t in _flat(target)):
                yield node.lineno
    for call in _calls(tree, "setattr", "__setattr__"):
        if _names_set(code, call) & FORBIDDEN:
            yield call.lineno


def updated(code: Code, tree: ast.AST) -> Iterator[int]:
    """Yield the lines where `update()`, `bulk_update()` or the changes of a `transition` name a
    status.
    """
    for call in _calls(tree, "update"):
        if code.keyword_keys(call) & FORBIDDEN and not code.is_of_another_model(call.func):
            yield call.lineno
    for call in _calls(tree, "transition"):
        if code.keyword_keys(call) & FORBIDDEN:
            yield call.lineno
    for call in _calls(tree, "bulk_update"):
        if {_text(node) for node in ast.walk(call)} & STATUS_FIELDS:
            yield call.lineno


def created(code: Code, tree: ast.AST) -> Iterator[int]:
    """Yield the lines where a row is born with a status of its own."""
    for call in _calls(tree, *CREATORS):
        defaults = [k.value for k in call.keywords if k.arg in {"defaults", "create_defaults"}]
        keys = code.keyword_keys(call).union(*(code.keys(value) for value in defaults))
        if keys & FORBIDDEN and not code.is_of_another_model(call.func):
            yield call.lineno
    for call in _calls(tree, *code.state_models):
        if code.keyword_keys(call) & FORBIDDEN:
            yield call.lineno
    for call in _calls(tree, "model", "cls"):
        if code.keyword_keys(call) & STATUS_FIELDS:
            yield call.lineno


def called_name(call: ast.Call) -> str:
    return _last(call.func)


def _calls(tree: ast.AST, *names: str) -> Iterator[ast.Call]:
    for node in all_nodes(tree):
        if isinstance(node, ast.Call) and called_name(node) in names:
            yield node


def _last(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _text(node: ast.AST) -> str:
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return node.value if is_text else UNKNOWN


def _flat(target: ast.AST) -> list[ast.AST]:
    return list(target.elts) if isinstance(target, ast.Tuple | ast.List) else [target]


def _is_status(target: ast.AST) -> bool:
    if isinstance(target, ast.Subscript):
        inside = target.value
        is_row = _last(inside) == "__dict__" or (
            isinstance(inside, ast.Call) and called_name(inside) == "vars"
        )
        return is_row and _text(target.slice) in FORBIDDEN
    return isinstance(target, ast.Attribute) and target.attr in STATUS_FIELDS


def _assigned_names(node: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _class_names(node: ast.ClassDef) -> list[str]:
    found = [n for n in node.body if isinstance(n, ast.Assign | ast.AnnAssign)]
    return [name for statement in found for name in _assigned_names(statement)]


def _sources(scope: ast.AST, name: str) -> Iterator[ast.AST]:
    """Yield what is assigned to a name in a function."""
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign | ast.AnnAssign) and name in _assigned_names(node):
            if node.value is not None:
                yield node.value
        elif isinstance(node, ast.AugAssign) and _last(node.target) == name:
            yield node.value


def _added_keys(scope: ast.AST, name: str) -> Iterator[str]:
    """Yield the keys that `name["key"] = ...` adds later."""
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Subscript) and getattr(target.value, "id", "") == name:
                    yield _text(target.slice)


def _parameters(function: FunctionNode) -> list[str]:
    """The names of the parameters: those that may be given by position come first."""
    given = function.args
    return [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]


def _argument(call: ast.Call, parameter: str, place: int) -> ast.AST | None:
    for keyword in call.keywords:
        if keyword.arg == parameter:
            return keyword.value
    return call.args[place] if place < len(call.args) else None


def _is_rooted_in(node: ast.AST, name: str) -> bool:
    while isinstance(node, ast.Attribute | ast.Call):
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return getattr(node, "id", "") == name


def _names_set(code: Code, call: ast.Call) -> set[str]:
    """The names that a `setattr` may set: its own, or the keys of the dict that a loop goes
    through.
    """
    name = call.args[-2]
    scope = code.scope_of.get(call)
    if isinstance(name, ast.Name) and scope:
        for loop in ast.walk(scope):
            if isinstance(loop, ast.For) and name.id in {_last(t) for t in _flat(loop.target)}:
                items = loop.iter
                is_items = isinstance(items, ast.Call) and called_name(items) == "items"
                return code.keys(items.func.value) if is_items else {UNKNOWN}
    return {_text(name)}
