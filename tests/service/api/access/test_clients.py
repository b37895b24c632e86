"""Who is asking: the address of the connection, or what trusted proxies say, and never what anybody may write."""

import ipaddress
import random

import pytest

from chainzrule.service.api.access.clients import Clients

PROXY, OUTER, CLIENT = "10.0.0.1", "10.0.0.2", "203.0.113.7"


def ask(clients: Clients, peer: str | None, *headers: tuple[str, str]) -> str:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    return clients.of({"client": None if peer is None else (peer, 1), "headers": raw})


def forwarded(*hops: str) -> tuple[str, str]:
    return ("X-Forwarded-For", ", ".join(hops))


def test_without_proxies_the_connection_tells() -> None:
    clients = Clients(())
    for headers in ((), (forwarded("1.2.3.4"),), (("Forwarded", "for=1.2.3.4"),)):
        assert ask(clients, CLIENT, *headers) == CLIENT
    assert ask(clients, None) == "unix"
    assert ask(clients, None, forwarded(CLIENT)) == "unix"


CASES = [
    ([forwarded(CLIENT)], CLIENT),
    ([forwarded(CLIENT, OUTER)], CLIENT),
    ([forwarded("1.2.3.4", CLIENT, OUTER)], CLIENT),  # the client wrote the first
    ([forwarded("1.2.3.4", CLIENT)], CLIENT),
    ([forwarded("1.2.3.4"), forwarded(CLIENT)], CLIENT),  # headers that follow one another are one list
    ([forwarded("s3cret", CLIENT)], CLIENT),
    ([forwarded(CLIENT, "s3cret")], PROXY),  # a proxy that says nothing readable is asked for itself
    ([forwarded(CLIENT, "s3cret", OUTER)], OUTER),
    ([forwarded(OUTER)], OUTER),  # all are proxies
    ([forwarded("")], PROXY),
    ([forwarded(",", "")], PROXY),
    ([forwarded(f"{CLIENT}:5678")], CLIENT),
    ([forwarded("[2001:db8:1:2:3::4]:5678")], "2001:db8:1:2::/64"),
    ([forwarded("2001:db8:1:2:3::4")], "2001:db8:1:2::/64"),
    ([forwarded("::ffff:203.0.113.7")], CLIENT),
    ([("Forwarded", f"for={CLIENT}")], CLIENT),
    ([("Forwarded", f'FOR="{CLIENT}:80";proto=https;by={PROXY}')], CLIENT),
    ([("Forwarded", f"for=1.2.3.4, proto=http; for={CLIENT}, for={OUTER};by=x")], CLIENT),
    ([("Forwarded", 'for="[2001:db8:1:2:3::4]:80"')], "2001:db8:1:2::/64"),
    ([("Forwarded", "for=unknown")], PROXY),
    ([("Forwarded", "for=_hidden")], PROXY),
    ([("Forwarded", "by=1.2.3.4;proto=https")], PROXY),
    ([forwarded(CLIENT), ("Forwarded", f"for={CLIENT}")], CLIENT),
    ([forwarded(CLIENT), ("Forwarded", "for=1.2.3.4")], PROXY),  # one of them is not the proxy's
    ([], PROXY),
]


@pytest.mark.parametrize(("headers", "expected"), CASES)
def test_behind_proxies_the_last_address_that_is_not_theirs_tells(
    headers: list[tuple[str, str]], expected: str
) -> None:
    assert ask(Clients(("10.0.0.0/8",)), PROXY, *headers) == expected


def test_whoever_is_no_proxy_is_not_believed() -> None:
    clients = Clients(("10.0.0.0/8", "fd00::/8"))
    assert ask(clients, "192.0.2.1", forwarded("1.2.3.4")) == "192.0.2.1"
    assert ask(clients, None, forwarded("1.2.3.4")) == "unix"
    assert ask(clients, "fd00::1", forwarded(CLIENT)) == CLIENT
    assert ask(clients, "::ffff:10.0.0.1", forwarded(CLIENT)) == CLIENT  # a socket for both families says it so
    assert ask(Clients(("unix",)), None, forwarded(CLIENT)) == CLIENT
    assert ask(Clients(("unix",)), PROXY, forwarded(CLIENT)) == PROXY


def test_an_ipv6_client_is_one_whatever_address_of_its_network_it_takes() -> None:
    clients = Clients(())
    assert ask(clients, "2001:db8::1") == ask(clients, "2001:db8::ffff:1") == "2001:db8::/64"
    assert ask(clients, "2001:db8:0:1::1") != ask(clients, "2001:db8::1")
    assert ask(clients, "fe80::1%eth0") == "fe80::/64"


def test_no_header_makes_it_fail() -> None:
    draw, clients = random.Random(5), Clients(("0.0.0.0/0",))
    signs = '0123456789.:,;="[]%fFor \t\xff\\unknown'
    for _ in range(20_000):
        text = "".join(draw.choice(signs) for _ in range(draw.randrange(40)))
        for name in ("X-Forwarded-For", "Forwarded"):
            found = ask(clients, PROXY, (name, text))
            ipaddress.ip_network(found)
