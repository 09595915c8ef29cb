"""May this link be fetched, and is this address one of the public internet? Pure.

A link that Parley fetches names its host by letters: no address in any spelling, no user, no port but 443, nothing that two
readers of links could read differently. What the name resolves to is judged by `is_public` at the moment of connecting.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urljoin

MAX_URL_CHARACTERS: Final = 2048

_LINK: Final = re.compile(r"https://(?P<host>[A-Za-z0-9.-]+)(?::443)?(?:[/?#][!-\[\]-~]*)?")
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_TOP_LABEL: Final = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_HOST_RULE: Final = re.compile(r"(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)+")
_MAX_HOST_CHARACTERS: Final = 253
_LOCAL: Final = frozenset({"local", "localhost", "internal", "localdomain", "test", "invalid"})

# IANA's special-purpose registries (RFC 6890 and its updates). Of IPv6 only 2000::/3 is handed out; what stands within it for an
# IPv4 address (6to4, Teredo) or for nobody is taken out. Mapped and NAT64 forms are outside of it.
_NOT_PUBLIC_4: Final = tuple(
    ipaddress.IPv4Network(one)
    for one in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
_PUBLIC_6: Final = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_6: Final = tuple(
    ipaddress.IPv6Network(one) for one in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)


def is_public(address: str) -> bool:
    """Whether this is the address of somebody on the public internet. What is no address in its one usual spelling is not."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv4Address):
        return not any(found in network for network in _NOT_PUBLIC_4)
    return found.scope_id is None and found in _PUBLIC_6 and not any(found in network for network in _NOT_PUBLIC_6)


def is_public_name(host: str) -> bool:
    """Whether a host is named so that others can find it, too: not an address in another spelling, not a local name."""
    labels = host.rstrip(".").split(".")
    return len(labels) > 1 and not labels[-1].isdigit() and not labels[-1].startswith("0x") and labels[-1] not in _LOCAL


def problem(link: str, hosts: Sequence[str] = ()) -> str | None:
    """Why Parley does not fetch this link, in words that quote nothing of it; None when it may.

    `hosts`: exact names or `*.example.com` for every name below it; none of them: every public name.
    """
    if len(link) > MAX_URL_CHARACTERS:
        return f"not a link of at most {MAX_URL_CHARACTERS} characters"
    match = _LINK.fullmatch(link)
    if match is None:
        return "not an https link to a host's name on port 443, in ASCII and without a user"
    host = match["host"].lower()
    labels = host.split(".")
    if (
        len(host) > _MAX_HOST_CHARACTERS
        or not all(_LABEL.fullmatch(label) for label in labels)
        or not _TOP_LABEL.fullmatch(labels[-1])
        or not is_public_name(host)
    ):
        return "not the name of a public host"
    if hosts and not any(_is_of(host, rule) for rule in hosts):
        return "not a host of PARLEY_MEDIA_HOSTS"
    return None


def host_of(link: str) -> str:
    """The host of a link that has no problem: all of it that may be logged."""
    match = _LINK.fullmatch(link)
    return "" if match is None else match["host"].lower()


def redirected(link: str, location: str) -> str:
    """Where an answer to `link` points to; to be judged like any other link."""
    try:
        return urljoin(link, location)
    except ValueError:
        return ""


def host_rules(text: str) -> tuple[str, ...]:
    """The hosts of a comma-separated list; a ValueError says what one has to look like."""
    rules = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    if not all(_HOST_RULE.fullmatch(rule) for rule in rules):
        raise ValueError("names of hosts, or *.example.com, separated by commas")
    return rules


def _is_of(host: str, rule: str) -> bool:
    return host.endswith(rule[1:]) if rule.startswith("*.") else host == rule
