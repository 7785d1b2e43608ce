"""The catalog."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "catalog_datasets",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("project", sa.String(length=512), nullable=False),
        sa.Column("domain", sa.String(length=512), nullable=False),
        sa.Column("name", sa.String(length=512), nullable=False),
        sa.Column("version", sa.String(length=512), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("dataset", sa.LargeBinary(), nullable=False, comment="datacatalog.Dataset, without its id"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("project", "domain", "name", "version", name="catalog_datasets_id"),
    )
    op.create_table(
        "catalog_reservations",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("project", sa.String(length=512), nullable=False),
        sa.Column("domain", sa.String(length=512), nullable=False),
        sa.Column("name", sa.String(length=512), nullable=False),
        sa.Column("version", sa.String(length=512), nullable=False),
        sa.Column("tag_name", sa.String(length=512), nullable=False),
        sa.Column("owner_id", sa.String(length=512), nullable=False),
        sa.Column("heartbeat_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("project", "domain", "name", "version", "tag_name", name="catalog_reservations_id"),
    )
    op.create_table(
        "catalog_artifacts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("dataset_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("artifact_id", sa.String(length=512), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column(
            "artifact",
            sa.LargeBinary(),
            nullable=False,
            comment="datacatalog.Artifact, without id, dataset, data and tags",
        ),
        sa.Column(
            "data",
            sa.LargeBinary(),
            nullable=True,
            comment="datacatalog.Artifact with its data only; null if that is in the blob store",
        ),
        sa.Column("data_uri", sa.Text(), nullable=False, comment="where the data is if it is large"),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["catalog_datasets.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("dataset_id", "artifact_id", name="catalog_artifacts_id"),
    )
    op.create_table(
        "catalog_tags",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("dataset_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("artifact_row", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=512), nullable=False),
        sa.ForeignKeyConstraint(
            ["artifact_row"],
            ["catalog_artifacts.id"],
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["catalog_datasets.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("dataset_id", "name", name="catalog_tags_name"),
    )
    with op.batch_alter_table("catalog_tags", schema=None) as batch_op:
        batch_op.create_index("catalog_tags_of_artifact", ["artifact_row"], unique=False)
