"""The tenant of what a request makes: the caller's own, or the one that its body names."""

from __future__ import annotations

from handrail.access.principal import Principal
from handrail.http.problems import Problem, at


def tenant_of(principal: Principal, named: str | None, word: str) -> str:
    """`word` is the field of the body. Raises Problem where a caller of a tenant names another, one
    of none names none, or the caller is a party, which has nothing of a tenant's.
    """
    if principal.party and not principal.tenant:
        raise Problem("not-found", "there is nothing under this address")
    tenant = principal.tenant or named
    if tenant is None:
        said = "is needed here: whose endpoint it is"
    elif named not in {None, tenant}:
        said = "must be your own, or left out"
    else:
        return tenant
    raise Problem("invalid-request", f"#/{word}: {said}", [at(f"#/{word}", said)])
