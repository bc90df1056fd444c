"""Alerts; what failures are about, as columns that are grouped by; and lighter indexes for the desk's lists."""

import sqlalchemy as sa
from alembic import op

from stores.causes import about

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

OPEN = sa.text("resolved_at IS NULL")
ABOUT = ("kind", "within", "external_id")
GROUPS = ["tenant", "provider", "feed", "class", "code", *ABOUT, "delivery", "at"]
CHUNK = 1000
DUE = sa.text("due_at IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.Text(), primary_key=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("above", sa.BigInteger(), nullable=True),
        sa.Column("within", sa.Integer(), nullable=False),
        sa.Column("least", sa.Integer(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("remind", sa.Integer(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("url", sa.LargeBinary(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
    )
    op.create_table(
        "alert_states",
        sa.Column("alert", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=False),
        sa.Column("reminded", sa.Integer(), nullable=False),
        sa.Column("calm_since", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("alert", "subject"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "alert_messages",
        sa.Column("id", sa.Text(), primary_key=True, nullable=False),
        sa.Column("alert", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=False),
    )
    op.create_index("alert_messages_by_alert", "alert_messages", ["alert", "at"])
    op.create_index("alert_messages_due", "alert_messages", ["due_at"], sqlite_where=DUE, postgresql_where=DUE)
    _failures()
    _indexes()


def _failures() -> None:
    for name in ABOUT:
        op.add_column("failures", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    _say_what_open_ones_are_about()
    op.create_index("failures_groups", "failures", GROUPS, sqlite_where=OPEN, postgresql_where=OPEN)


def _say_what_open_ones_are_about() -> None:
    """Resolved ones are not grouped. In Python: a server's JSON functions fail at a NUL."""
    f = sa.table("failures", *map(sa.column, ("id", "resolved_at", *ABOUT)), sa.column("data", sa.JSON))
    connection, last = op.get_bind(), 0
    chosen = sa.select(f.c.id, f.c.data).where(f.c.resolved_at.is_(None)).order_by(f.c.id).limit(CHUNK)
    while rows := connection.execute(chosen.where(f.c.id > last)).all():
        for id, data in rows:
            if any(found := about(data.get("facts"))):
                connection.execute(f.update().where(f.c.id == id).values(**found._asdict()))
        last = rows[-1][0]


def _indexes() -> None:
    """Nearly all outcomes are accepted, and some feeds have no store: these cost no entry any more."""
    for name in ("outcomes_by_state", "outcomes_by_store", "outcomes_by_store_id"):
        op.drop_index(name, "outcomes")
    for name, columns, where in (
        ("outcomes_not_accepted", ["state", "delivery"], sa.text("state <> 'accepted'")),
        ("outcomes_by_store", ["external_store", "delivery"], sa.text("external_store <> ''")),
    ):
        op.create_index(name, "outcomes", columns, sqlite_where=where, postgresql_where=where)
    op.drop_index("mappings_by_canonical", "mappings")
    op.create_index("mappings_by_canonical", "mappings", ["canonical_id", "tenant"])
