"""Whom do tests trust? An authority of their own, which signs for servers on this machine and for clients."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HERE: Final = (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
ELSEWHERE: Final = (x509.DNSName("elsewhere.example"),)


class Issued(NamedTuple):
    """Files in PEM form."""

    certificate: Path
    key: Path
    both: Path
    """As Kafka wants it: the key, then the certificate."""


class Authority:
    """Signs what it is asked to, valid for a day. `ca_file` is its own certificate."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        ca = _builder(self._name, self._name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.ca_file = folder / f"{name}.pem"
        self.ca_file.write_bytes(ca.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, names: tuple[x509.GeneralName, ...] = HERE) -> Issued:
        """A certificate of these names, with its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _builder(_name(name), self._name, key).add_extension(x509.SubjectAlternativeName(names), critical=False)
        pem = leaf.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        issued = Issued(*(self._folder / f"{name}.{ending}" for ending in ("crt", "key", "both")))
        for path, content in zip(issued, (pem, secret, secret + pem), strict=True):
            path.touch(mode=0o600)
            path.write_bytes(content)
        return issued


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )
