"""Addresses of RabbitMQ with what TLS needs: authorities, a certificate of ours, its key."""

from __future__ import annotations

import ssl
from urllib.parse import quote, urlencode

from handrail.messaging.broker.settings import BrokerSettings


def certificates(settings: BrokerSettings) -> str:
    """The certificate files of the settings, as a query of an AMQP URL; empty without any."""
    files = {
        "cafile": settings.broker_ca_file,
        "certfile": settings.broker_cert_file,
        "keyfile": settings.broker_key_file,
    }
    return urlencode({name: str(path.absolute()) for name, path in files.items() if path})


def address_of(settings: BrokerSettings, user: str, vhost: str) -> str:
    """Of a virtual host for a user, with the password as of now."""
    query = certificates(settings)
    url = f"{settings.broker_url_of(user)}/{quote(vhost, safe='')}"
    return f"{url}?{query}" if query else url


def upstream_address(scheme: str, address: str, settings: BrokerSettings) -> str:
    """The broker as the broker itself reaches it, with the files of its own machine."""
    query = settings.broker_federation_query
    return f"{scheme}://{address}" + (f"?{query}" if query else "")


def tls_of_management(settings: BrokerSettings) -> ssl.SSLContext | bool:
    """True where the authorities of the machine will do, and no certificate is shown."""
    authorities, certificate = settings.broker_ca_file, settings.broker_cert_file
    if not (authorities or certificate):
        return True
    context = ssl.create_default_context(cafile=authorities)
    if certificate and settings.broker_key_file:
        context.load_cert_chain(certificate, settings.broker_key_file)
    return context
