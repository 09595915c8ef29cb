"""How does a client get into Kafka? Where it is, who we are and whom we trust: the arguments of every client are made here."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any, Literal

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
"""Kafka's words for a listener: whether it asks for a password, and whether it has TLS."""
Mechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]
"""How a password is proved. With SCRAM it never goes over the wire; PLAIN needs TLS around it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A cluster and how one of its principals gets in. The files are read anew for each client that is made."""

    servers: str
    """host:port, comma separated."""
    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism = "SCRAM-SHA-512"
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str | None = None
    """Who signed the brokers' certificates; without it, whomever this machine trusts. Names are checked either way."""
    certificate_file: str | None = None
    """Our own, with its chain, where the listener asks for one."""
    key_file: str | None = None

    @property
    def has_password(self) -> bool:
        """The listener asks for one."""
        return self.protocol.startswith("SASL")

    @property
    def has_tls(self) -> bool:
        return self.protocol.endswith("SSL")


Brokers = str | Access
"""Servers alone are those of a listener that asks nobody who they are."""


def client_options(brokers: Brokers) -> dict[str, Any]:
    """What a client of aiokafka has to be told. OSError (ssl.SSLError is one) for a file that is no certificate or no key."""
    access = Access(servers=brokers) if isinstance(brokers, str) else brokers
    options: dict[str, Any] = {"bootstrap_servers": access.servers, "security_protocol": access.protocol}
    if access.has_tls:
        options["ssl_context"] = _trust(access)
    if access.has_password:
        options |= {
            "sasl_mechanism": access.mechanism,
            "sasl_plain_username": access.user,
            "sasl_plain_password": access.password,
        }
    return options


def _trust(access: Access) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=access.ca_file)
    if access.certificate_file is not None:
        context.load_cert_chain(access.certificate_file, access.key_file)
    return context
