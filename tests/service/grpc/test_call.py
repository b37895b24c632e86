"""A call as the methods see it: its metadata, its address, its id."""

from typing import Any

import pytest

from chainzrule.service.api.incoming import CHARGE_ROWS
from chainzrule.service.budget import Budget
from chainzrule.service.grpc.call import Call


class Rpc:
    """gRPC's view of a call, as far as a `Call` reads it."""

    def __init__(self, peer: str = "ipv4:127.0.0.1:4000", **metadata: str | bytes) -> None:
        self._peer = peer
        self._metadata = [(name.replace("_", "-"), value) for name, value in metadata.items()]

    def peer(self) -> str:
        return self._peer

    def invocation_metadata(self) -> Any:
        return self._metadata


def call(*args: Any, **metadata: str | bytes) -> Call:
    return Call(Rpc(*args, **metadata), Budget(100))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        ("ipv4:10.1.2.3:4000", ("10.1.2.3", 4000)),
        ("ipv6:%5B::1%5D:4000", ("::1", 4000)),
        ("ipv6:[fe80::1]:4000", ("fe80::1", 4000)),
        ("unix:/tmp/socket", None),
        ("unknown", None),
    ],
)
def test_addresses_are_read_from_grpcs_names_of_them(peer: str, client: Any) -> None:
    assert call(peer).scope["client"] == client


def test_metadata_are_headers() -> None:
    found = call(authorization="Bearer token", picture_bin=b"\x00\xff", x_forwarded_for="10.0.0.9")
    assert found.header(b"authorization") == "Bearer token"
    assert found.header(b"nothing") is None
    assert found.scope["headers"] == [(b"authorization", b"Bearer token"), (b"x-forwarded-for", b"10.0.0.9")]


@pytest.mark.parametrize(("given", "kept"), [("abc-1", True), ("a" * 129, False), ("a b", False), ("", False)])
def test_an_id_is_kept_where_it_is_fit_for_a_log(given: str, kept: bool) -> None:
    assert (call(x_request_id=given).identity == given) == kept
    assert len(call().identity) == 32


def test_rows_are_paid_for_where_clients_are_limited() -> None:
    paid: list[int] = []
    free, limited = call(), call()
    free.charge_rows(7)
    limited.scope[CHARGE_ROWS] = paid.append
    limited.charge_rows(5)
    assert paid == [5]
