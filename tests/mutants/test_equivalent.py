"""The committed list of faults that change nothing."""

from pathlib import Path

import pytest

from tests.mutants.equivalent import Equivalent, entry_for, read
from tests.mutants.mutations import find
from tests.processes import ROOT

SOURCE = "def f():\n    return max(a, b)\n\n\ndef g():\n    return max(a, b)\n"


def test_an_entry_follows_its_lines_and_is_told_apart_by_function(tmp_path: Path) -> None:
    path = tmp_path / "equivalent.toml"
    path.write_text(
        '[[equivalent]]\nfile = "service/a.py"\nfunction = "g"\noriginal = "return max(a, b)"\n'
        'mutated = "return min(a, b)"\nreason = "They are equal."\n'
    )
    entries = read(path)
    for source in (SOURCE, f"# moved\n{SOURCE}"):
        found = [entry_for(mutation, source, entries) for mutation in find("service/a.py", source)]
        assert [entry.function for entry in found if entry] == ["g"]
        assert not any(entry_for(mutation, source, entries) for mutation in find("service/b.py", source))


@pytest.mark.parametrize("entry", read(), ids=lambda entry: f"{entry.file}:{entry.function}")
def test_every_entry_names_a_fault_that_there_is(entry: Equivalent) -> None:
    """Where the code has moved on, its entry goes."""
    source = (ROOT / entry.file).read_text()
    assert any(entry.describes(mutation, source) for mutation in find(entry.file, source))
    assert entry.reason.endswith(".")
