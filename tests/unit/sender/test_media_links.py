"""Is every link that leads somewhere it should not refused by its form, and every address that is not public by its number?"""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.sender.media import links

GOOD = [
    "https://example.com",
    "https://example.com/a.png",
    "https://CDN.Example.com:443/a/b.png?sig=a%2Fb&x=[1]",
    "https://xn--bcher-kva.example/a.png#part",
    "https://a.b.c.d.example.co/~x/(1).pdf",
]
BAD = [
    "", "http://example.com/", "HTTPS://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com:70/x",
    "data:image/png;base64,AA", "javascript:alert(1)", "//example.com/", "https:/example.com/", "https:///etc/passwd", "https://",
    "https://user@example.com/", "https://user:secret@example.com/", "https://example.com@127.0.0.1/",
    "https://127.0.0.1#@example.com/", "https://example.com:80/", "https://example.com:8443/", "https://example.com:0443/",
    "https://example.com:/", "https://example.com:443:443/", "https://example.com\\@127.0.0.1/", "https://example.com/a\\b",
    "https://example.com/a b", "https://example.com/\r\nHost: x", "https://example.com/\0", "https://example.com/ä",
    "https://bücher.example/", "https://ｅｘａｍｐｌｅ.com/", "https://１２７.0.0.1/", "https://127。0。0。1/", "https://①②⑦.0.0.1/",
    "https://127.0.0.1/", "https://127.1/", "https://127.0.1/", "https://0x7f.1/", "https://0x7f000001/", "https://0x7f.0x0.0x0.0x1/",
    "https://017700000001/", "https://0177.0.0.1/", "https://2130706433/", "https://0/", "https://0.0.0.0/", "https://1/",
    "https://169.254.169.254/latest/meta-data/", "https://8.8.8.8/", "https://[::1]/", "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/", "https://[fe80::1%25eth0]/", "https://[64:ff9b::7f00:1]/", "https://[2606:4700::1111]/",
    "https://localhost/", "https://localhost./", "https://a.localhost/", "https://printer.local/", "https://db.internal/",
    "https://example.com./", "https://.example.com/", "https://example..com/", "https://-a.example.com/", "https://a-.example.com/",
    "https://a_b.example.com/", "https://%65xample.com/", "https://exa%00mple.com/", "https://example.com%2f@127.0.0.1/",
    "https://" + "a" * 64 + ".example.com/", "https://" + "a." * 130 + "example.com/", "https://example.com/" + "a" * 2048,
    " https://example.com/", "https://example.com/\n",
]  # fmt: skip


@pytest.mark.parametrize("link", GOOD)
def test_a_link_to_a_public_name_may_be_fetched(link: str) -> None:
    assert links.problem(link) is None
    assert links.host_of(link) == link.split("/")[2].split(":", maxsplit=1)[0].lower()


@pytest.mark.parametrize("link", BAD)
def test_a_link_to_anything_else_may_not(link: str) -> None:
    assert links.problem(link) is not None


def spellings(address: int) -> list[str]:
    """How an IPv4 address may be written for `inet_aton`, which most name functions follow."""
    a, b, c, d = address.to_bytes(4, "big")
    last_two, last_three = address & 0xFFFF, address & 0xFFFFFF
    return [
        f"{a}.{b}.{c}.{d}", f"{address}", f"0x{address:x}", f"0{address:o}", f"{a}.{last_three}", f"{a}.{b}.{last_two}",
        f"0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}", f"0{a:o}.0{b:o}.0{c:o}.0{d:o}", f"0x{a:02X}.{last_three}", f"{a}.{b}.{c}.{d}.",
        f"[::ffff:{a}.{b}.{c}.{d}]", f"[::{a}.{b}.{c}.{d}]",
    ]  # fmt: skip


@given(st.integers(0, 2**32 - 1))
@example(0x7F000001)
@example(0xA9FEA9FE)
def test_no_spelling_of_an_address_is_a_name(address: int) -> None:
    for spelling in spellings(address):
        assert links.problem(f"https://{spelling}/a.png") is not None


@given(st.ip_addresses(v=4) | st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address))
def test_a_public_ipv4_address_is_global_to_python_as_well(address: ipaddress.IPv4Address) -> None:
    if links.is_public(str(address)):
        assert address.is_global
        assert not address.is_multicast
        assert not address.is_reserved


@given(st.ip_addresses(v=6) | st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address))
def test_a_public_ipv6_address_stands_for_no_ipv4_address_and_is_handed_out(address: ipaddress.IPv6Address) -> None:
    if links.is_public(str(address)):
        assert address.is_global
        assert not address.is_multicast
        assert not address.is_reserved
        assert address.ipv4_mapped is None
        assert address.sixtofour is None
        assert address.teredo is None
        assert address in ipaddress.ip_network("2000::/3")


@given(st.integers(0, 2**32 - 1))
def test_no_ipv6_form_of_an_ipv4_address_is_public(address: int) -> None:
    for network in ("::ffff:0:0", "::", "64:ff9b::", "64:ff9b:1::", "2001::"):
        assert not links.is_public(str(ipaddress.IPv6Address(int(ipaddress.IPv6Address(network)) | address)))
    assert not links.is_public(str(ipaddress.IPv6Address((0x2002 << 112) | (address << 80) | 1)))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "93.184.216.34", "100.128.0.1", "2606:4700:4700::1111", "2a00:1450::1"]
)
def test_what_is_on_the_internet_is_public(address: str) -> None:
    assert links.is_public(address)


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "169.254.169.254", "172.31.0.1", "192.168.0.1", "224.0.0.1",
     "239.1.1.1", "240.0.0.1", "255.255.255.255", "0.0.0.1", "192.0.0.1", "198.18.0.1", "::", "::1", "fe80::1", "fe80::1%eth0",
     "fc00::1", "fd00::1", "ff02::1", "::ffff:8.8.8.8", "2002:7f00:1::", "64:ff9b::808:808", "2001:db8::1", "2001:0:1::",
     "2606:4700::1%eth0", "localhost", "", "127.1", "0x7f000001", "2130706433"],
)  # fmt: skip
def test_what_is_not_there_is_not_public(address: str) -> None:
    assert not links.is_public(address)


@pytest.mark.parametrize(
    ("hosts", "link", "is_allowed"),
    [
        ("cdn.example.com", "https://cdn.example.com/a", True),
        ("cdn.example.com", "https://CDN.EXAMPLE.COM/a", True),
        ("cdn.example.com", "https://a.cdn.example.com/a", False),
        ("cdn.example.com", "https://cdn.example.com.evil.org/a", False),
        ("*.example.com", "https://cdn.example.com/a", True),
        ("*.example.com", "https://a.b.example.com/a", True),
        ("*.example.com", "https://example.com/a", False),
        ("*.example.com", "https://badexample.com/a", False),
        ("one.org, *.example.com", "https://one.org/", True),
    ],
)
def test_a_list_of_hosts_allows_these_and_no_others(hosts: str, link: str, is_allowed: bool) -> None:
    assert (links.problem(link, links.host_rules(hosts)) is None) == is_allowed


@pytest.mark.parametrize("hosts", ["https://example.com", "example", "*", "*.com:443", "a b.com", "*.*.example.com"])
def test_what_is_no_list_of_hosts_is_an_error(hosts: str) -> None:
    with pytest.raises(ValueError, match="names of hosts"):
        links.host_rules(hosts)


def test_a_redirect_is_read_from_where_it_was_given() -> None:
    assert links.redirected("https://example.com/a/b", "../c") == "https://example.com/c"
    assert links.redirected("https://example.com/a", "//127.0.0.1/") == "https://127.0.0.1/"
    assert links.problem(links.redirected("https://example.com/a", "https://[::1")) is not None
