"""What a line of a token file says, and what it may not say."""

import hashlib

import pytest

from chainzrule.service.api.access.scopes import ADMIN, ANY, OBSERVE, PREDICT, Scope
from chainzrule.service.api.access.tokens import Listed, Token, digest_of, line_of, made, read_tokens

HEX = hashlib.sha256(b"s3cret").hexdigest()
DIGEST = bytes.fromhex(HEX)


def test_a_line_says_what_a_token_permits_and_to_whom() -> None:
    other = hashlib.sha256(b"other").hexdigest()
    content = f"# for the clinic\n\nsha256:{HEX} predict,observe clinic\r\n  sha256:{other}\tadmin  operators-2.0_x \n"
    assert read_tokens(content.encode(), "tokens") == Listed(
        {DIGEST: Token("clinic", PREDICT | OBSERVE), bytes.fromhex(other): Token("operators-2.0_x", ADMIN)}
    )


@pytest.mark.parametrize("content", [b"s3cret", b"s3cret\n", b"\n  s3cret  \r\n", b"# mine\ns3cret\n"])
def test_a_plain_token_permits_everything(content: bytes) -> None:
    assert read_tokens(content, "callers") == Listed({DIGEST: Token("callers", ANY)})


def test_a_plain_token_may_be_any_bytes() -> None:
    assert read_tokens(b"\xff\xfe\n", "x").tokens.keys() == {digest_of(b"\xff\xfe")}


@pytest.mark.parametrize("content", [b"", b"\n", b"  \n\t", b"#s3cret", b"# s3cret\n#\n"])
def test_what_says_nothing_lets_nobody_in(content: bytes) -> None:
    assert read_tokens(content, "x") == Listed({})


BAD = [
    ("s3cret predict", "is not sha256:HEX"),
    ("s3cret predict clinic", "does not begin with sha256:"),
    (f"sha256:{HEX}", "is not sha256:HEX"),
    (f"sha256:{HEX} predict", "is not sha256:HEX"),
    (f"sha256:{HEX} predict the clinic", "is not sha256:HEX"),
    (f"sha256:{HEX[:-1]} predict clinic", "does not begin with sha256:"),
    (f"sha256:{HEX}0 predict clinic", "does not begin with sha256:"),
    (f"sha256:{HEX.upper()} predict clinic", "does not begin with sha256:"),
    (f"SHA256:{HEX} predict clinic", "does not begin with sha256:"),
    (f"sha256:{HEX} s3cret clinic", "has an unknown scope"),
    (f"sha256:{HEX} predict, clinic", "has an unknown scope"),
    (f"sha256:{HEX} ,predict clinic", "has an unknown scope"),
    (f"sha256:{HEX} predict clinic/s3cret", "has a name with other signs"),
    (f"sha256:{HEX} predict {'x' * 65}", "has a name with other signs"),
]


@pytest.mark.parametrize(("line", "fault"), BAD, ids=[str(number) for number in range(len(BAD))])
def test_a_line_with_a_fault_states_no_token_and_spoils_no_other(line: str, fault: str) -> None:
    good = f"sha256:{hashlib.sha256(b'other').hexdigest()} observe other"
    listed = read_tokens(f"{good}\n{line}\n".encode(), "x")
    assert listed.tokens == {digest_of(b"other"): Token("other", OBSERVE)}
    (found,) = listed.faults
    assert found.startswith(f"line 2 {fault}")
    assert "s3cret" not in found
    assert HEX[:8] not in found


@pytest.mark.parametrize("length", range(1, 8))
def test_a_hashed_line_that_was_cut_short_is_no_plain_token(length: int) -> None:
    listed = read_tokens(f"sha256:{HEX} predict clinic"[:length].encode(), "x")
    assert listed.tokens == {}
    assert len(listed.faults) == 1


def test_two_plain_tokens_in_a_file_are_none() -> None:
    listed = read_tokens(b"s3cret\nother\n", "x")
    assert listed.tokens == {}
    assert len(listed.faults) == 2


def test_a_token_that_is_stated_twice_is_what_its_first_line_says() -> None:
    listed = read_tokens(f"sha256:{HEX} predict clinic\nsha256:{HEX} admin clinic\n".encode(), "x")
    assert listed.tokens == {DIGEST: Token("clinic", PREDICT)}
    assert listed.faults == ("line 2 states a token that another line has stated already",)


@pytest.mark.parametrize("scopes", [PREDICT, OBSERVE, ADMIN, PREDICT | OBSERVE, ANY])
def test_what_is_made_can_be_read(scopes: frozenset[Scope]) -> None:
    token = made()
    assert read_tokens(line_of(token, "clinic", scopes).encode(), "x") == Listed(
        {digest_of(token.encode()): Token("clinic", scopes)}
    )
