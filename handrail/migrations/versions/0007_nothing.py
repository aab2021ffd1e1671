"""Nothing. Tables of a business stood here, and are made by its own branch of revisions now."""

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Databases of before have passed this revision, so the line goes through it."""


def downgrade() -> None:
    """Nothing was made."""
