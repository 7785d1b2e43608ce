"""Lists of artifacts and datasets, filtered and in pages."""

from typing import Any

from sailplane_core.errors import InvalidRequest
from sailplane_protos.datacatalog import datacatalog_pb2 as pb
from sqlalchemy import ColumnElement, Connection, Row, Table, select

from . import tables
from .catalog import add_data, artifact_message, check_dataset_id, dataset_message, find_dataset
from .keyset import Order
from .paging import PageRequest, asked_bytes, page_key, read_page
from .ports import AdminPorts

ROWS_MAX = 50
"""Of a page; what a request gets that names no limit."""

_DATASETS = tables.catalog_datasets.c
_ARTIFACTS = tables.catalog_artifacts.c
_TAGS = tables.catalog_tags.c


async def list_artifacts(ports: AdminPorts, request: pb.ListArtifactsRequest) -> pb.ListArtifactsResponse:
    """The artifacts of a dataset with their data. Raises `NotFound` without the dataset."""
    check_dataset_id(request.dataset)
    asked = await _page_request(ports, "ListArtifacts", request)
    partitions = _partitions(request.filter)

    def query(connection: Connection) -> tuple[list[tuple[pb.Artifact, Row[Any]]], str]:
        dataset = find_dataset(connection, request.dataset)
        statement = select(tables.catalog_artifacts).where(
            _ARTIFACTS.dataset_id == dataset.id, *_artifact_conditions(dataset.id, request.filter)
        )
        # Partitions are kept in the message: such filters are rare, and a dataset's artifacts few.
        keep = (lambda row: partitions <= _partitions_of(row)) if partitions else None
        order = _order(tables.catalog_artifacts, request.pagination)
        page = read_page(connection, statement, order, asked, keep=keep)
        return [(artifact_message(connection, dataset, row), row) for row in page.rows], page.next_token

    found, next_token = await ports.store.read(query)
    for artifact, row in found:
        await add_data(ports, artifact, row)
    return pb.ListArtifactsResponse(artifacts=[artifact for artifact, _ in found], next_token=next_token)


async def list_datasets(ports: AdminPorts, request: pb.ListDatasetsRequest) -> pb.ListDatasetsResponse:
    """All datasets that the filters let through."""
    asked = await _page_request(ports, "ListDatasets", request)
    statement = select(tables.catalog_datasets).where(*_dataset_conditions(request.filter))
    order = _order(tables.catalog_datasets, request.pagination)
    page = await ports.store.read(lambda connection: read_page(connection, statement, order, asked))
    return pb.ListDatasetsResponse(datasets=map(dataset_message, page.rows), next_token=page.next_token)


async def _page_request(
    ports: AdminPorts, method: str, request: pb.ListArtifactsRequest | pb.ListDatasetsRequest
) -> PageRequest:
    pagination = request.pagination
    if pagination.sortKey != pb.PaginationOptions.CREATION_TIME:
        raise InvalidRequest.invalid("pagination.sortKey")
    if pagination.sortOrder not in pb.PaginationOptions.SortOrder.values():
        raise InvalidRequest.invalid("pagination.sortOrder")
    if pagination.limit > ROWS_MAX:
        raise InvalidRequest.invalid("pagination.limit", f"at most {ROWS_MAX} are allowed")
    # There is one sort key only, so that the direction is all of the pagination that a token is held to.
    asked = asked_bytes(f"{method} {pagination.sortOrder}", request, ("pagination",))
    return PageRequest(pagination.limit or ROWS_MAX, pagination.token, asked, await page_key(ports))


def _order(table: Table, pagination: pb.PaginationOptions) -> Order:
    return Order([table.c.created_at_us, table.c.id], pagination.sortOrder == pb.PaginationOptions.DESCENDING)


def _artifact_conditions(dataset_id: int, filters: pb.FilterExpression) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    for one in filters.filters:
        _check_operator(one)
        match one.WhichOneof("property_filter"):
            case "tag_filter":
                tagged = select(_TAGS.artifact_row).where(
                    _TAGS.dataset_id == dataset_id, _TAGS.name == one.tag_filter.tag_name
                )
                conditions.append(_ARTIFACTS.id.in_(tagged))
            case "artifact_filter":
                conditions.append(_ARTIFACTS.artifact_id == one.artifact_filter.artifact_id)
            case "partition_filter":
                pass
            case kind:
                raise InvalidRequest.invalid("filter", f"artifacts cannot be filtered by {kind or 'nothing'}")
    return conditions


def _partitions(filters: pb.FilterExpression) -> set[tuple[str, str]]:
    wanted = (one.partition_filter.key_val for one in filters.filters if one.HasField("partition_filter"))
    return {(pair.key, pair.value) for pair in wanted}


def _partitions_of(row: "Row[Any]") -> set[tuple[str, str]]:
    return {(partition.key, partition.value) for partition in pb.Artifact.FromString(row.artifact).partitions}


def _dataset_conditions(filters: pb.FilterExpression) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    for one in filters.filters:
        _check_operator(one)
        name = one.dataset_filter.WhichOneof("property") if one.HasField("dataset_filter") else None
        if name is None or name == "org":
            raise InvalidRequest.invalid("filter", "datasets are filtered by project, domain, name and version")
        conditions.append(_DATASETS[name] == getattr(one.dataset_filter, name))
    return conditions


def _check_operator(one: pb.SinglePropertyFilter) -> None:
    if one.operator != pb.SinglePropertyFilter.EQUALS:
        raise InvalidRequest.invalid("filter.operator")
