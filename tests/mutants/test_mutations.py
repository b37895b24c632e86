"""Which faults a file can be given, and what they do to it."""

import ast
from collections import Counter

import pytest

from tests.mutants.mutations import Mutation, find, sample
from tests.processes import ROOT


def faults(source: str) -> list[tuple[str, str]]:
    """The kind of every fault, and the one line of `source` as it then reads."""
    return [(found.kind, found.apply(source)) for found in find("service/some.py", source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", {("comparison", "a <= b"), ("comparison", "a >= b")}),
        ("a == b", {("comparison", "a != b")}),
        ("a is not b", {("comparison", "a is b")}),
        ("a not  in b", {("comparison", "a in b")}),
        ("a in b", {("comparison", "a not in b")}),
        ("(a) <= (b) < c", {
            ("comparison", "(a) < (b) < c"), ("comparison", "(a) > (b) < c"),
            ("comparison", "(a) <= (b) <= c"), ("comparison", "(a) <= (b) >= c"),
        }),
        ("a + b", {("arithmetic", "a - b")}),
        ("a // b", {("arithmetic", "a * b")}),
        ("a ** b", {("arithmetic", "a * b")}),
        ("-a", {("arithmetic", "a")}),
        ("a and b and c", {("boolean", "a or b and c"), ("boolean", "a and b or c")}),
        ("not (a)", {("not", " (a)")}),
        ("a if b else c", {("negation", "a if not (b) else c")}),
        ("a if not b else c", {("not", "a if  b else c")}),
        ("[a for a in b if c]", {("negation", "[a for a in b if not (c)]")}),
        ("True", {("constant", "False")}),
        ("0.5", {("constant", "1.5"), ("constant", "5.0")}),
        ("np.max(a)", {("extreme", "np.min(a)"), ("statement", "pass")}),
        ("ä.argmin", set()),
        ("x = ä + max(a)", {("arithmetic", "x = ä - max(a)"), ("extreme", "x = ä + min(a)")}),
        ("x = a[b:c]", {
            ("slice", "x = a[:c]"), ("slice", "x = a[(b) + 1:c]"),
            ("slice", "x = a[b:]"), ("slice", "x = a[b:(c) - 1]"),
        }),
        ("a += b", {("arithmetic", "a -= b"), ("statement", "pass")}),
        ("a.append(b)", {("statement", "pass")}),
        ("await a(b)", {("statement", "pass")}),
        ("raise a(b + 1)", {("statement", "pass")}),
    ],
)  # fmt: skip
def test_faults_of_each_kind(source: str, expected: set[tuple[str, str]]) -> None:
    assert Counter(faults(source)) == Counter(expected)


@pytest.mark.parametrize(
    "source",
    [
        '"""Text."""',
        "x: Literal[1] = y",
        "def f(x: Literal[1]) -> Literal[2]: ...",
        "@dataclass(frozen=True)\nclass A: ...",
        '__all__ = ["a" + "b"]',
        'log.error("%d", 1 + 2)',
        "x = log.isEnabledFor(10)",
        "if TYPE_CHECKING:\n    import a\n    a.b(1)",
        'x = f"{a + 1} of {b}"',
        'x = "a" + b',
        "x = zip(a, b, strict=True)",
        "assert a < b, 1",
    ],
)
def test_what_is_no_behaviour_has_no_faults(source: str) -> None:
    assert faults(source) == []


@pytest.mark.parametrize(
    ("returns", "returned"),
    [
        (" -> bool", " False"),
        (" -> int", " 0"),
        (" -> tuple[int, ...]", " ()"),
        (" -> Model", " None"),
        (" -> None", ""),
    ],
)
def test_functions_return_at_once(returns: str, returned: str) -> None:
    source = f'def f(){returns}:\n    """Text."""\n    @g\n    def h(): ...\n    return h\n'
    expected = f'def f(){returns}:\n    """Text."""\n    return{returned}\n    @g\n    def h(): ...\n    return h\n'
    assert faults(source) == [("return", expected)]


def test_functions_that_return_that_already_are_left_alone() -> None:
    assert faults("def f() -> bool:\n    return False\n") == [("constant", "def f() -> bool:\n    return True\n")]


def test_a_generator_ends_at_once() -> None:
    assert faults("def f() -> int:\n    yield a\n") == [("return", "def f() -> int:\n    return\n    yield a\n")]


def test_a_fault_says_where_it_lies_and_what_it_changes() -> None:
    source = "class A:\n    def f(self):\n        ...\n        return (a  # ä\n            < b)\n"
    _, second = [found for found in find("service/some.py", source) if found.kind == "comparison"]
    assert (second.line, second.function) == (4, "A.f")
    assert second.changed(source) == ("return (a < b)", "return (a >= b)")
    assert second.diff(source) == "         return (a  # ä\n-            < b)\n+            >= b)"


SOURCES = {"service/b.py": "x = a < b\nwhile (x := -x): f(x)\n", "service/a.py": "y = 1\nz = [2, 3, 4, 5, 6]\n"}


def test_a_sample_is_the_same_for_the_same_seed_and_even_over_the_kinds() -> None:
    drawn = sample(SOURCES, 5, seed=3)
    assert drawn == sample(dict(reversed(SOURCES.items())), 5, seed=3) == sorted(drawn)
    assert drawn != sample(SOURCES, 5, seed=4)
    first = Counter(sample(SOURCES, 1, seed)[0].kind for seed in range(200))
    assert first.keys() == {"arithmetic", "comparison", "constant", "negation", "statement"}
    assert max(first.values()) < 70  # though half of all are constants
    whole = sample(SOURCES, 1000, seed=0)
    assert Counter(whole) == Counter(found for file, source in SOURCES.items() for found in find(file, source))


def test_what_does_not_parse_or_says_the_same_is_no_fault() -> None:
    source = "x = a[(b):]\n"
    assert [found for found in find("service/a.py", source) if found.apply(source) == "x = a[():]\n"]
    nothing = Mutation("service/a.py", 4, 5, "a ", "constant", 1, "")
    broken = Mutation("service/a.py", 4, 5, "a b", "constant", 1, "")
    assert not nothing.is_another_program(source)
    assert not broken.is_another_program(source)


def test_every_fault_of_a_real_module_is_a_program_that_differs_in_one_place() -> None:
    path = ROOT / "service/serving/engine.py"
    source = path.read_text()
    found = find("service/serving/engine.py", source)
    assert {fault.kind for fault in found} > {"comparison", "constant", "statement", "return", "boolean", "not"}
    for fault in found:
        ast.parse(fault.apply(source))
        assert fault.is_another_program(source)
        assert fault.apply(source).count("\n") - source.count("\n") == (fault.kind == "return")
