"""Nothing is sent to an address that is not public, whatever its name says and when."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import pytest

from handrail.webhook_endpoints.addresses import AddressPolicy, BadAddress, is_public
from handrail.webhook_endpoints.sender import Delivered, Failed, Sender, Signed
from tests.webhook_endpoints.receiver import receiving

SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="  # of this test alone
NOT_PUBLIC = [
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",  # an address to refuse
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "192.88.99.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:8.8.8.8",
    "64:ff9b::808:808",
    "64:ff9b:1::a00:1",
    "2001:0:808:808::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "localhost",
    "",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_of_the_open_internet_is_refused(address: str) -> None:
    assert not is_public(address)
    with pytest.raises(BadAddress):
        AddressPolicy().check_address(address, 443)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111"])
def test_a_public_address_is_taken_on_its_port_alone(address: str) -> None:
    assert is_public(address)
    AddressPolicy().check_address(address, 443)
    AddressPolicy(ports=frozenset({8443})).check_address(address, 8443)
    with pytest.raises(BadAddress):
        AddressPolicy().check_address(address, 22)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/x",
        "https://user@example.org/x",
        "https://user:word@example.org/x",
        "https://example.org:8080/x",
        "https://example.org/x#part",
        "https:///x",
        "https://exa mple.org/x",
        "https://b\u00fccher.example/x",
        "https://[::1]/x",
        "https://[fe80::1%25eth0]/x",
        "https://127.0.0.1/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://example.org:99999/x",
        "gopher://example.org/x",
        "http://localhost/x",
    ],
)
def test_a_url_that_cannot_be_sent_to_is_refused(url: str) -> None:
    with pytest.raises(BadAddress):
        AddressPolicy().check_url(url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/x", "http://localhost:1/x", "https://[::1]:2/"]
)
def test_development_takes_this_machine_and_nothing_else_that_is_private(url: str) -> None:
    policy = AddressPolicy(development=True)
    policy.check_url(url)
    for other in ("http://example.org/x", "https://10.0.0.1/x", "https://169.254.169.254/x"):
        with pytest.raises(BadAddress):
            policy.check_url(other)


class Changing:
    """A name server that answers differently each time: the last answer stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        del host, port
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


def sender(resolve: Changing, *, development: bool = False) -> Sender:
    policy = AddressPolicy(development=development)
    return Sender(policy, connect_seconds=2, total_seconds=2, resolve=resolve)


def to(url: str) -> Signed:
    return Signed(url, "msg_1", b"{}", [SECRET])


@pytest.mark.parametrize(
    "found",
    [["127.0.0.1"], ["10.0.0.1"], ["8.8.8.8", "169.254.169.254"], ["::ffff:127.0.0.1"], ["::1"]],
)
async def test_a_name_that_leads_inside_is_not_connected_to(found: list[str]) -> None:
    names, made = Changing(found), list[object]()

    class Watched(Sender):
        def _socket(self, address: object) -> socket.socket:
            made.append(address)
            raise OSError

    async with Watched(
        AddressPolicy(), connect_seconds=2, total_seconds=2, resolve=names
    ) as sending:
        outcome = await sending.send(to("https://hooks.example.org/x"))
    assert names.asked == 1
    assert not made, "also where another of its addresses is public"
    assert isinstance(outcome, Failed)
    assert outcome.problem.endswith("the name leads to an address that is not public")


async def test_a_name_is_resolved_once_for_each_connection_and_connected_to_what_was_found() -> (
    None
):
    """The second answer of the name server would be of this machine, and is never asked for."""
    names = Changing(["192.0.2.7"], ["127.0.0.1"])
    seen: list[tuple[str, int]] = []

    class Noting(AddressPolicy):
        def check_address(self, address: str, port: int) -> None:
            seen.append((address, port))

    async with Sender(Noting(), connect_seconds=0.3, total_seconds=0.3, resolve=names) as sending:
        outcome = await sending.send(to("https://hooks.example.org/x"))
    assert isinstance(outcome, Failed)
    assert names.asked == 1
    assert set(seen) == {("192.0.2.7", 443)}


async def test_a_name_that_led_outside_and_now_leads_inside_is_refused() -> None:
    """DNS rebinding between two deliveries: each connection is checked."""
    names = Changing(["127.0.0.1"], ["10.0.0.1"])
    async with receiving() as receiver, sender(names, development=True) as sending:
        port = receiver.url.split(":")[2].split("/")[0]
        await receiver.answers(204, Connection="close")
        first = await sending.send(to(f"http://localhost:{port}/x"))
        assert first == Delivered(204)
        second = await sending.send(to(f"http://localhost:{port}/x"))
    assert isinstance(second, Failed)
    assert len(receiver.tried) == 1


async def test_the_last_look_is_at_the_address_that_is_connected_to() -> None:
    """Also where a resolver would let it pass."""
    async with sender(Changing([])) as sending:
        where = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 443))
        with pytest.raises(BadAddress):
            sending._socket(where)  # what the client library calls
