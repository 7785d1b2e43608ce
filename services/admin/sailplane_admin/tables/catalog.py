"""The cache of outputs: datasets, artifacts and their tags, and who is computing one; and outputs under mere keys."""

from sailplane_runtime.store.times import time_column
from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, String, Table, Text, UniqueConstraint

from .base import id_column, metadata

NAME_CHARS_MAX = 512

catalog_datasets = Table(
    "catalog_datasets",
    metadata,
    id_column(),
    Column("project", String(NAME_CHARS_MAX), nullable=False),
    Column("domain", String(NAME_CHARS_MAX), nullable=False),
    Column("name", String(NAME_CHARS_MAX), nullable=False),
    Column("version", String(NAME_CHARS_MAX), nullable=False),
    Column("uuid", String(36), nullable=False),
    time_column("created_at_us", nullable=False),
    Column("dataset", LargeBinary, nullable=False, comment="datacatalog.Dataset, without its id"),
    UniqueConstraint("project", "domain", "name", "version", name="catalog_datasets_id"),
)

catalog_artifacts = Table(
    "catalog_artifacts",
    metadata,
    id_column(),
    Column("dataset_id", ForeignKey("catalog_datasets.id"), nullable=False),
    Column("artifact_id", String(NAME_CHARS_MAX), nullable=False),
    time_column("created_at_us", nullable=False),
    Column("artifact", LargeBinary, nullable=False, comment="datacatalog.Artifact, without id, dataset, data and tags"),
    Column("data", LargeBinary, comment="datacatalog.Artifact with its data only; null if that is in the blob store"),
    Column("data_uri", Text, nullable=False, comment="where the data is if it is large"),
    UniqueConstraint("dataset_id", "artifact_id", name="catalog_artifacts_id"),
)

catalog_tags = Table(
    "catalog_tags",
    metadata,
    id_column(),
    Column("dataset_id", ForeignKey("catalog_datasets.id"), nullable=False),
    Column("artifact_row", ForeignKey("catalog_artifacts.id"), nullable=False),
    Column("name", String(NAME_CHARS_MAX), nullable=False),
    UniqueConstraint("dataset_id", "name", name="catalog_tags_name"),
    Index("catalog_tags_of_artifact", "artifact_row"),
)

catalog_reservations = Table(
    "catalog_reservations",
    metadata,
    id_column(),
    Column("project", String(NAME_CHARS_MAX), nullable=False),
    Column("domain", String(NAME_CHARS_MAX), nullable=False),
    Column("name", String(NAME_CHARS_MAX), nullable=False),
    Column("version", String(NAME_CHARS_MAX), nullable=False),
    Column("tag_name", String(NAME_CHARS_MAX), nullable=False),
    Column("owner_id", String(NAME_CHARS_MAX), nullable=False),
    Column("heartbeat_us", BigInteger, nullable=False),
    time_column("expires_at_us", nullable=False),
    UniqueConstraint("project", "domain", "name", "version", "tag_name", name="catalog_reservations_id"),
    Index("catalog_reservations_lapsed", "expires_at_us"),
)

cache_entries = Table(
    "cache_entries",
    metadata,
    id_column(),
    Column("key", String(NAME_CHARS_MAX), nullable=False, comment="made up by whoever computes"),
    time_column("created_at_us", nullable=False),
    time_column("last_updated_at_us", nullable=False),
    Column("data", LargeBinary, comment="cacheservice.CachedOutput; null if that is in the blob store"),
    Column("data_uri", Text, nullable=False, comment="where it is if it is large"),
    UniqueConstraint("key", name="cache_entries_key"),
)
