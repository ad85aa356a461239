"""Certificates of workloads: from the mesh's own CA, and such as it never issues.

istiod's CA is asked as a sidecar asks it: `IstioCertificateService/CreateCertificate`, with a
ServiceAccount's token. The messages are so small (Istio's security/proto/istio/v1/auth/ca.proto)
that they are written here by hand: a request has the PEM request in field 1 and seconds in field
3, a response has PEM certificates in field 1, the leaf first.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Protocol

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from testbed.certificates import KeyPair
from testbed.istiod import CLUSTER_ID, SERVER_NAME

AUDIENCE = "istio-ca"
CREATE = "/istio.v1.auth.IstioCertificateService/CreateCertificate"
SECONDS = 3600
LIFETIME = dt.timedelta(hours=1)
CSR_FIELD, SECONDS_FIELD = b"\x0a", b"\x18"
CHAIN_FIELD = 0x0A
CONTINUES = 0x80


class MeshAuthority(Protocol):
    """Where the mesh's CA is asked, and its certificate as PEM: an Istiod, or what is known of one
    in another process."""

    @property
    def address(self) -> str: ...
    @property
    def root(self) -> str: ...


def issued(istiod: MeshAuthority, token: str) -> KeyPair:
    """A key, and the chain that istiod issues for whoever has this token (audience `istio-ca`)."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    pem = request.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    message = CSR_FIELD + _varint(len(pem)) + pem + SECONDS_FIELD + _varint(SECONDS)
    credentials = grpc.ssl_channel_credentials(istiod.root.encode())
    options = [("grpc.ssl_target_name_override", SERVER_NAME)]
    with grpc.secure_channel(istiod.address, credentials, options) as channel:
        metadata = [("authorization", f"Bearer {token}"), ("clusterid", CLUSTER_ID)]
        answer = channel.unary_unary(CREATE)(message, timeout=20, metadata=metadata)
    return KeyPair("".join(_chain(answer)), _private_pem(key))


def signed(authority: tuple[str, str], names: Sequence[str]) -> KeyPair:
    """A key, and a certificate for these URIs by whoever has this CA (certificate and key in PEM).

    No CA of a mesh issues one to a workload: a test does it in its place.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    root = x509.load_pem_x509_certificate(authority[0].encode())
    signer = load_pem_private_key(authority[1].encode(), None)
    now = dt.datetime.now(dt.UTC)
    uris = [x509.UniformResourceIdentifier(name) for name in names]
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(root.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - LIFETIME)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(uris), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())  # type: ignore[arg-type]  # a CA's key can sign
    )
    pem = certificate.public_bytes(Encoding.PEM).decode() + authority[0]
    return KeyPair(pem, _private_pem(key))


def made_up_authority() -> tuple[str, str]:
    """A CA that calls itself as the mesh's does, certificate and key in PEM; nobody trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "cluster.local")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - LIFETIME)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode(), _private_pem(key)


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | CONTINUES]) + _varint(rest) if rest else bytes([low])


def _chain(message: bytes) -> Iterator[str]:
    at = 0
    while at < len(message):
        if message[at] != CHAIN_FIELD:
            raise ValueError(f"field {message[at] >> 3} in the CA's answer")
        length, shift, at = 0, 0, at + 1
        while message[at] & CONTINUES:
            length, shift, at = length | (message[at] & 0x7F) << shift, shift + 7, at + 1
        length, at = length | message[at] << shift, at + 1
        yield message[at : at + length].decode()
        at += length


def _private_pem(key: ec.EllipticCurvePrivateKey) -> str:
    form = PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
