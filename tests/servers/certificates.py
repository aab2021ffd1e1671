"""An authority of a test's own, with certificates for servers on loopback and for their clients."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Pair:
    cert: Path
    key: Path


@dataclass(frozen=True)
class Certificates:
    """`ca` is what both sides trust; `stranger` is of an authority that neither does."""

    ca: Path
    server: Pair
    client: Pair
    stranger: Pair
    other_ca: Path


def certificates(folder: Path, client: str = "handrail_app") -> Certificates:
    """`client` is the common name of the client's certificate."""
    folder.mkdir(parents=True, exist_ok=True)
    ours, theirs = trustme.CA(), trustme.CA()
    return Certificates(
        ca=_written(folder / "ca.pem", ours.cert_pem),
        server=_pair(folder, "server", ours.issue_cert("127.0.0.1", "localhost")),
        client=_pair(folder, "client", ours.issue_cert("client.test", common_name=client)),
        stranger=_pair(folder, "stranger", theirs.issue_cert("127.0.0.1", common_name=client)),
        other_ca=_written(folder / "other-ca.pem", theirs.cert_pem),
    )


def demanding(made: Certificates, *alpn: str) -> ssl.SSLContext:
    """What a server listens with that demands a certificate of each client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.server.cert, made.server.key)
    context.load_verify_locations(made.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def _pair(folder: Path, name: str, issued: trustme.LeafCert) -> Pair:
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    cert.write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
    key.touch(mode=0o600)
    issued.private_key_pem.write_to_path(key)
    return Pair(cert, key)


def _written(path: Path, blob: trustme.Blob) -> Path:
    blob.write_to_path(path)
    return path
