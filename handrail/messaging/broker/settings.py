"""The settings of RabbitMQ: where it is, and as which user a process comes."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote, urlsplit

from pydantic import Field

from handrail.connection_settings import ConnectionSettings
from handrail.secret_files import secret_of
from handrail.setting_types import AmqpUrl, HttpUrl, Logins, Unset


class BrokerSettings(ConnectionSettings):
    """Part of the library's settings."""

    broker_url: Annotated[AmqpUrl | None, Unset, secret_of("relay", "consumer", "topology")] = (
        Field(
            default=None,
            repr=False,
            description="Where RabbitMQ is, with the user of the process that reads this. "
            "Unset: there is none, and consumers are fed from the outbox.",
        )
    )
    broker_management_url: Annotated[HttpUrl | None, Unset, secret_of("topology")] = Field(
        default=None,
        repr=False,
        description="RabbitMQ's management API, with an administrator: "
        "`http://user:password@host:15672`. For `handrail topology`, and to start everything.",
    )
    broker_bindings_url: Annotated[HttpUrl | None, Unset, secret_of("relay")] = Field(
        default=None,
        repr=False,
        description="RabbitMQ's management API for the relay, with a login that may look: "
        "`http://relay:password@host:15672`. There it sees which forms of an event queues are "
        "bound to. Unset: an event that has several forms is published in all of them.",
    )
    broker_operator_url: Annotated[AmqpUrl | None, Unset, secret_of("api")] = Field(
        default=None,
        repr=False,
        description="RabbitMQ for the API, with a login that may handle what lies in `dead` and "
        "`unrouted`: `amqp://operator:password@host:5672`. Unset: only `handrail topology` may.",
    )
    broker_operator_management_url: Annotated[HttpUrl | None, Unset, secret_of("api")] = Field(
        default=None,
        repr=False,
        description="RabbitMQ's management API for the API, with the same login: "
        "`http://operator:password@host:15672`. Unset: the console shows nothing of the broker.",
    )
    broker_ui_url: Annotated[HttpUrl | None, Unset] = Field(
        default=None,
        description="Where operators see RabbitMQ's own pages; for links only, without a login.",
    )
    broker_passwords: Annotated[Logins, secret_of("topology")] = Field(
        default=(),
        repr=False,
        description="The passwords of the broker's users, `user=password`, comma-separated. For "
        "`handrail topology`, and to start everything: it gives each process its own.",
    )

    @property
    def passwords_at_the_broker(self) -> dict[str, str]:
        """By user."""
        return {
            user: password
            for user, _, password in (
                one.partition("=") for one in self.current("broker_passwords")
            )
        }

    def broker_url_of(self, user: str) -> str | None:
        """With this user where the password is known, else as it was given."""
        password = self.passwords_at_the_broker.get(user)
        url: str | None = self.current("broker_url")
        if url is None or password is None:
            return url
        parts = urlsplit(url)
        _, _, address = parts.netloc.rpartition("@")
        return f"{parts.scheme}://{user}:{quote(password, safe='')}@{address}"
