"""Refuse functions over 60 lines and files over 400 code lines in src, benchmarks, tests and tools.

The list of exceptions may only shrink; it is empty.
"""

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

MOST_FUNCTION_LINES = 60
MOST_FILE_LINES = 400
EXCEPTIONS: frozenset[str] = frozenset()
_NOISE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def docstring_lines(tree: ast.AST) -> set[int]:
    """Return the line numbers that docstrings take."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                lines.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return lines


def code_lines(source: str, tree: ast.AST) -> set[int]:
    """Return the line numbers that hold code: no blank lines, comments or docstrings."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NOISE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines - docstring_lines(tree)


def findings(path: Path) -> Iterator[str]:
    """Yield one line for everything in a file that is too long."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    lines = code_lines(source, tree)
    if len(lines) > MOST_FILE_LINES:
        yield f"{path}: {len(lines)} code lines, at most {MOST_FILE_LINES}: split it by concept"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = lines & set(range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1))
            if len(body) > MOST_FUNCTION_LINES:
                yield f"{path}:{node.lineno}: {node.name} has {len(body)} code lines, at most {MOST_FUNCTION_LINES}"


def main() -> int:
    """Print all findings; return 1 if there are any."""
    roots = [Path(name) for name in sys.argv[1:] or ["src", "benchmarks", "tests", "tools"]]
    found = [
        line
        for root in roots
        for path in sorted(root.rglob("*.py"))
        if str(path) not in EXCEPTIONS
        for line in findings(path)
    ]
    print("\n".join(found) or "sizes: fine")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
