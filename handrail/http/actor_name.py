"""ActorName: on whose authority a request is made."""

from __future__ import annotations

from handrail.access.principal import Principal
from handrail.access.roles import ACT_AS
from handrail.http.access import refuse_without


class ActorName(str):
    """The actor of a request, as it is stored. A body may name another instead, where the caller
    may act for others.
    """

    __slots__ = ("principal",)

    principal: Principal

    def instead(self, name: str | None) -> str:
        """The actor where a body names `name`. Raises Problem without the scope for that."""
        return str(self) if name is None else named_by(self.principal, name)


def named_by(principal: Principal, name: str) -> str:
    """The actor where this principal names another. Raises Problem without the scope for that."""
    if principal.kind == "development":
        return name
    refuse_without(principal, [ACT_AS])
    return principal.acting_for(name)
