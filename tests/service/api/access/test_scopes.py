"""What tokens may permit: few words, which files and documents use, and no set that permits more than it says."""

import re

import pytest

from chainzrule.service.api.access.scopes import ADMIN, ANY, OBSERVE, OPEN, PREDICT, Scope
from chainzrule.service.api.access.tokens import line_of, read_tokens
from tests.processes import ROOT

SINGLE = {Scope.PREDICT: PREDICT, Scope.OBSERVE: OBSERVE, Scope.ADMIN: ADMIN}


def test_the_words_are_those_of_files_that_are_in_use() -> None:
    """A renamed scope would shut out everybody whose token file says it."""
    assert list(Scope) == ["predict", "observe", "admin"]
    assert [str(scope) for scope in Scope] == list(Scope)


def test_each_scope_has_a_set_of_its_own_and_together_they_are_all() -> None:
    assert SINGLE.keys() == set(Scope)
    for scope, alone in SINGLE.items():
        assert alone == {scope}
    assert frozenset().union(*SINGLE.values()) == ANY == set(Scope)


def test_what_is_open_asks_for_nothing() -> None:
    assert frozenset() == OPEN
    assert not OPEN & ANY


@pytest.mark.parametrize("scopes", [*SINGLE.values(), PREDICT | OBSERVE, ANY])
def test_a_token_file_keeps_the_scopes_that_it_is_given(scopes: frozenset[Scope]) -> None:
    line = line_of("secret", "clinic", scopes)
    (token,) = read_tokens(line.encode(), "tokens").tokens.values()
    assert token.scopes == scopes


@pytest.mark.parametrize("word", ["Predict", "PREDICT", "any", "open", "", "predict "])
def test_no_other_word_is_a_scope(word: str) -> None:
    with pytest.raises(ValueError, match="is not a valid Scope"):
        Scope(word)


def test_the_documentation_lists_them() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    table = text.partition("| scope | permits |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(Scope)
