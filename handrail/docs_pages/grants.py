"""The table of roles and tables in the page of the database, from what declares them."""

from __future__ import annotations

from handrail.access.database_roles import DISPATCHER, OPERATOR, READ_MODEL, STORE, DatabaseRoles

BEGIN, END = "<!-- grants -->", "<!-- end of grants -->"


def matrix(roles: DatabaseRoles) -> str:
    """Markdown: a row for each table, a column for each role, with the letters of its rights."""
    by_role = {role: dict(roles.tables_of(role)) for role in roles.all}
    for role, some in READ_MODEL.items():
        by_role[role]["read models"] = some
    tables = sorted({table for those in by_role.values() for table in those})
    shared = [role for role in roles.all if not role.startswith("consumer:")]
    consumers = [role for role in roles.all if role.startswith("consumer:")]
    columns = [*shared, *consumers]
    heads = [f"`{role.removeprefix('consumer:')}`" for role in columns]
    lines = [f"| table | {' | '.join(heads)} |", "|---|" + "---|" * len(columns)]
    for table in tables:
        cells = [
            "".join(right[0] for right in by_role[role].get(table, ())) or "·" for role in columns
        ]
        lines.append(f"| `{table}` | {' | '.join(cells)} |")
    calls = [
        f"- `{role}`: {', '.join(f'`{one}`' for one in sorted(roles.calls_of(role)))}"
        for role in (
            STORE,
            "api",
            "worker",
            "projector",
            "relay",
            "notifier",
            "lake",
            DISPATCHER,
            OPERATOR,
        )
    ]
    return "\n".join(
        [*lines, "", "Functions that each may call; consumers have those of `relay`:", "", *calls]
    )


def with_matrix(page: str, roles: DatabaseRoles) -> str:
    """The page with the table in its place."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{matrix(roles)}\n{END}{after}"
