"""The kinds of faults, and where in a file each can be made."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

COMPARISONS = {
    ast.Lt: ("<", ("<=", ">=")),
    ast.LtE: ("<=", ("<", ">")),
    ast.Gt: (">", (">=", "<=")),
    ast.GtE: (">=", (">", "<")),
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
    ast.Is: ("is", ("is not",)),
    ast.IsNot: ("is not", ("is",)),
    ast.In: ("in", ("not in",)),
    ast.NotIn: ("not in", ("in",)),
}
ARITHMETIC = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"),
    ast.Pow: ("**", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
}
EXTREMES = {"min": "max", "minimum": "maximum", "argmin": "argmax"}
EXTREMES |= {largest: least for least, largest in EXTREMES.items()}
DEFAULTS = {"bool": "False", "int": "0", "float": "0.0", "str": '""', "tuple": "()", "list": "[]", "dict": "{}"}
# Annotations and decorators are no behaviour.
PASSED_OVER = {"annotation", "returns", "decorator_list", "type_params"}


@dataclass(frozen=True)
class Fault:
    """Bytes `start` to `end` become `text`."""

    kind: str
    start: int
    end: int
    text: str


class Finder:
    """Looks for faults in a file's bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._lines = [0]
        for line in content.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self._makers: dict[type[ast.AST], Callable[[Any], Iterator[Fault]]] = {
            ast.Compare: self._compared,
            ast.BinOp: self._calculated,
            ast.AugAssign: self._added,
            ast.UnaryOp: self._signed,
            ast.BoolOp: self._joined,
            ast.If: self._negated,
            ast.While: self._negated,
            ast.IfExp: self._negated,
            ast.comprehension: self._filtered,
            ast.Constant: self._counted,
            ast.Call: self._extreme,
            ast.Slice: self._bounded,
            ast.Raise: self._removed,
            ast.Expr: self._removed,
            ast.FunctionDef: self._returned,
            ast.AsyncFunctionDef: self._returned,
        }

    def within(self, node: ast.AST, function: str = "") -> Iterator[tuple[str, Fault]]:
        """The faults of a node and of all below it, each with the name of the function that it lies in."""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            function = f"{function}.{node.name}".lstrip(".")
        if maker := self._makers.get(type(node)):
            for fault in maker(node):
                yield function, fault
        if not _says(node):
            for name, value in ast.iter_fields(node):
                parts = value if isinstance(value, list) else [value]
                for part in parts if name not in PASSED_OVER else ():
                    if isinstance(part, ast.AST):
                        yield from self.within(part, function)

    def _compared(self, node: ast.Compare) -> Iterator[Fault]:
        for left, operator, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
            word, others = COMPARISONS[type(operator)]
            for other in others:
                yield self._between("comparison", self._end(left), right, word, other)

    def _calculated(self, node: ast.BinOp) -> Iterator[Fault]:
        if type(node.op) in ARITHMETIC and not _is_text(node.left) and not _is_text(node.right):
            yield self._between("arithmetic", self._end(node.left), node.right, *ARITHMETIC[type(node.op)])

    def _added(self, node: ast.AugAssign) -> Iterator[Fault]:
        if type(node.op) in ARITHMETIC:
            yield self._between("arithmetic", self._end(node.target), node.value, *ARITHMETIC[type(node.op)])
        yield self._replaced("statement", node, "pass")

    def _signed(self, node: ast.UnaryOp) -> Iterator[Fault]:
        if isinstance(node.op, ast.USub):
            yield self._between("arithmetic", self._start(node), node.operand, "-", "")
        elif isinstance(node.op, ast.Not):
            yield self._between("not", self._start(node), node.operand, "not", "")

    def _joined(self, node: ast.BoolOp) -> Iterator[Fault]:
        words = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield self._between("boolean", self._end(left), right, *words)

    def _negated(self, node: ast.If | ast.While | ast.IfExp) -> Iterator[Fault]:
        if not _says(node):
            yield from self._opposite(node.test)

    def _filtered(self, node: ast.comprehension) -> Iterator[Fault]:
        for test in node.ifs:
            yield from self._opposite(test)

    def _opposite(self, test: ast.expr) -> Iterator[Fault]:
        # The negation of `not` and of one comparison is among their own faults.
        if not isinstance(test, ast.UnaryOp) and not (isinstance(test, ast.Compare) and len(test.ops) == 1):
            yield self._replaced("negation", test, f"not ({self._text(test)})")

    def _counted(self, node: ast.Constant) -> Iterator[Fault]:
        if isinstance(node.value, bool):
            yield self._replaced("constant", node, str(not node.value))
        elif isinstance(node.value, int | float):
            for other in {node.value + 1, node.value * 10} - {node.value}:
                yield self._replaced("constant", node, repr(other))

    def _extreme(self, node: ast.Call) -> Iterator[Fault]:
        match node.func:
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in EXTREMES:
                end = self._end(node.func)
                yield Fault("extreme", end - len(name), end, EXTREMES[name])

    def _bounded(self, node: ast.Slice) -> Iterator[Fault]:
        for bound, shift in ((node.lower, "+ 1"), (node.upper, "- 1")):
            if bound is not None:
                yield self._replaced("slice", bound, "")
                yield self._replaced("slice", bound, f"({self._text(bound)}) {shift}")

    def _removed(self, node: ast.Raise | ast.Expr) -> Iterator[Fault]:
        if isinstance(node, ast.Raise) or (isinstance(node.value, ast.Call | ast.Await) and not _says(node.value)):
            yield self._replaced("statement", node, "pass")

    def _returned(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Fault]:
        """What the function may return at once, by its annotation."""
        body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
        if not body or isinstance(body[0], ast.Raise | ast.Pass) or body[0].lineno == node.lineno:
            return
        kind = "None" if node.returns is None else ast.unparse(node.returns).strip("'\"").partition("[")[0]
        yields = any(isinstance(part, ast.Yield | ast.YieldFrom) for part in ast.walk(node))
        statement = "return" if yields or kind == "None" else f"return {DEFAULTS.get(kind, 'None')}"
        if ast.unparse(body[0]) != statement:
            first = min(part.lineno for part in (body[0], *getattr(body[0], "decorator_list", ())))
            start = self._lines[first - 1] + body[0].col_offset
            yield Fault("return", start, start, f"{statement}\n" + " " * body[0].col_offset)

    def _between(self, kind: str, start: int, right: ast.expr, word: str, other: str) -> Fault:
        """The word between two operands, replaced: there are only spaces, brackets and comments beside it."""
        end = self._start(right)
        pattern = r"\s+".join(rf"\b{part}\b" if part.isalpha() else re.escape(part) for part in word.split())
        return Fault(kind, start, end, re.sub(pattern, other, self._content[start:end].decode(), count=1))

    def _replaced(self, kind: str, node: ast.expr | ast.stmt, text: str) -> Fault:
        return Fault(kind, self._start(node), self._end(node), text)

    def _text(self, node: ast.expr) -> str:
        return self._content[self._start(node) : self._end(node)].decode()

    def _start(self, node: ast.expr | ast.stmt) -> int:
        return self._lines[node.lineno - 1] + node.col_offset

    def _end(self, node: ast.expr | ast.stmt) -> int:
        return self._lines[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)


def _says(node: ast.AST) -> bool:
    """Whether nothing below a node is behaviour: messages and log lines, typing, and what the program asserts."""
    match node:
        case ast.Raise() | ast.Assert() | ast.JoinedStr() | ast.keyword(arg="strict"):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
        case ast.Call(func=func) | ast.Expr(value=ast.Call(func=func)):
            return re.fullmatch(r"(log|logger|logging)\.\w+", ast.unparse(func)) is not None
    return False


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes))
