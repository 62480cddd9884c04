"""What the code says to its readers, read from its source: messages as templates with ``{}`` for each value."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import kurswerk

ROOT = Path(kurswerk.__file__).parent
# The packages whose words can reach a reader of the dashboard, and what of others can.
PACKAGES = (
    *("core", "market", "features", "labels", "models", "evaluation", "registry", "serving", "ingest", "training"),
    *("sources", "storage", "jobs", "observability", "dashboard"),
)
MODULES = ("bootstrap/dashboard.py", "bootstrap/lookout.py")
# Said otherwise than by an error: package → what is called there, and with how many arguments before what is said.
SAID = {
    "training": {"progress": 1},
    "jobs": {"Ending": 1, "fail": 1, "put_back": 1, "write_line": 3},
    "observability": {"Check": 1},
    "bootstrap": {"Check": 1},
}
# Errors of others that become ours on their way out.
ALSO_ERRORS = {"training/spec.py": {"ValueError"}}
# Says again, or puts together, what is found elsewhere.
SECOND_HAND = {"message", "text", "reason", "ending.reason", "memory.result()", "_describe(error)"}
_WORD = re.compile(r"[A-Za-z]{2,}")
_DEEPEST = 8


@dataclass(frozen=True)
class Message:
    """A template and the place where it stands; None where it cannot be read from the source."""

    template: str | None
    place: str


@dataclass(frozen=True)
class _Scope:
    """Where the names of an expression are looked up."""

    module: "_Module"
    function: ast.FunctionDef | ast.AsyncFunctionDef | None


class _Module:
    def __init__(self, path: Path) -> None:
        self.name = path.relative_to(ROOT).as_posix()
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self.nodes: list[tuple[ast.AST, _Scope]] = [(self.tree, _Scope(self, None))]
        for node, scope in self.nodes:  # grows while it is read
            inner = _Scope(self, node) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else scope
            self.nodes += [(child, inner) for child in ast.iter_child_nodes(node)]
        self.functions = {node.name: node for node, _ in self.nodes if isinstance(node, ast.FunctionDef)}


class Source:
    """The source of all that counts."""

    def __init__(self) -> None:
        paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
        modules = [_Module(path) for path in [*paths, *(ROOT / name for name in MODULES)]]
        self._nodes = [pair for module in modules for pair in module.nodes]
        self._calls: dict[str, list[tuple[ast.Call, _Scope]]] = defaultdict(list)
        for node, scope in self._nodes:
            if isinstance(node, ast.Call):
                self._calls[_called(node)].append((node, scope))
        self._errors = {"KurswerkError"}
        classes = [node for node, _ in self._nodes if isinstance(node, ast.ClassDef)]
        for _ in range(_DEEPEST):
            self._errors |= {one.name for one in classes if any(_last_name(b) in self._errors for b in one.bases)}

    def messages(self) -> Iterator[Message]:
        """Yield all that is said, and the parts that are put into it."""
        for call, scope in [pair for calls in self._calls.values() for pair in calls]:
            node = self._said(call, scope)
            if node is None or _called(node) in {"t", "str"} or ast.unparse(node) in SECOND_HAND:
                continue
            place = f"{scope.module.name}:{call.lineno}"
            found = list(self._texts(node, scope))
            if not found:
                yield Message(None, place)
            elif _called(call) == "UnknownNameError":
                kinds = found if isinstance(node, ast.Name) else found[:1]
                yield from (Message(f"unknown {kind} '{{}}'; {{}}", place) for kind in kinds)
                found = found[len(kinds) :]
            yield from (Message(one, place) for one in dict.fromkeys(found) if _WORD.search(one))

    def texts(self) -> set[str]:
        """Return every text in the source as a template, whatever it is for, and what stands quoted in it."""
        found = {_skeleton(node)[0] for node, _ in self._nodes if isinstance(node, ast.JoinedStr)}
        found |= {n.value for n, _ in self._nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
        return found | {quoted for text in found for quoted in re.findall(r"'([^']*)'", text)}

    def _said(self, call: ast.Call, scope: _Scope) -> ast.expr | None:
        """Return what a call says to a reader."""
        name = _called(call)
        in_error = scope.module.name == "core/errors.py" and name == "__init__"
        if name in self._errors | ALSO_ERRORS.get(scope.module.name, set()) or in_error:
            return call.args[0] if call.args else None
        place = SAID.get(scope.module.name.partition("/")[0], {}).get(name)
        return call.args[place] if place is not None and len(call.args) > place else None

    def _texts(self, node: ast.AST, scope: _Scope, depth: int = 0) -> Iterator[str]:
        """Yield what an expression can be, and then what can stand in its holes, as far as the source shows it."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            template, holes = _skeleton(node)
            yield template
            for hole in holes:
                yield from self._texts(hole, scope, depth + 1)
        elif depth < _DEEPEST:
            for found, where in self._meant(node, scope):
                yield from self._texts(found, where, depth + 1)

    def _meant(self, node: ast.AST, scope: _Scope) -> Iterator[tuple[ast.AST, _Scope]]:
        """Yield the expressions that another one stands for."""
        if isinstance(node, ast.IfExp):
            yield from ((node.body, scope), (node.orelse, scope))
        elif isinstance(node, ast.BoolOp):
            yield from ((value, scope) for value in node.values)
        elif isinstance(node, ast.Name):
            yield from self._assigned(node.id, scope)
        elif isinstance(node, ast.Call) or (isinstance(node, ast.Attribute) and _last_name(node.value) == "self"):
            function = scope.module.functions.get(_called(node) or _last_name(node))
            for inner in ast.walk(function) if function else ():
                if isinstance(inner, ast.Return) and inner.value is not None:
                    yield inner.value, _Scope(scope.module, function)

    def _assigned(self, name: str, scope: _Scope) -> Iterator[tuple[ast.AST, _Scope]]:
        for node in ast.walk(scope.function) if scope.function else ():
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and name in map(_last_name, targets):
                yield node.value, scope
        for node in scope.module.tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if isinstance(node, ast.Assign | ast.AnnAssign) and name in map(_last_name, targets):
                yield node.value, scope
        if scope.function:
            yield from self._handed(name, scope)

    def _handed(self, name: str, scope: _Scope) -> Iterator[tuple[ast.AST, _Scope]]:
        """Yield what callers within the module give for a parameter."""
        names = [one.arg for one in scope.function.args.args if one.arg not in {"self", "cls"}]
        for call, where in self._calls[scope.function.name]:
            owner = getattr(call.func, "value", None)
            if where.module is not scope.module or (owner is not None and _last_name(owner) not in {"self", "cls"}):
                continue
            if name in names and len(call.args) > names.index(name):
                yield call.args[names.index(name)], where
            yield from ((given.value, where) for given in call.keywords if given.arg == name)


def _skeleton(node: ast.JoinedStr) -> tuple[str, list[ast.expr]]:
    """Return an f-string with ``{}`` for its values, one for several in a row, and the values."""
    parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
    holes = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
    return re.sub(r"(\{\})+", "{}", "".join(parts)), holes


def _called(node: ast.AST) -> str:
    return _last_name(node.func) if isinstance(node, ast.Call) else ""


def _last_name(node: ast.AST | None) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


@cache
def source() -> Source:
    """Return the source, read once."""
    return Source()
