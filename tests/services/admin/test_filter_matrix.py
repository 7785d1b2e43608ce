"""Every function on every field of every list, against a comparison that is made here, row by row; and every order."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sailplane_admin import (
    description_entities,
    executions,
    launch_plans,
    named_entities,
    node_executions,
    projects,
    signals,
    tables,
    task_executions,
    tasks,
    workflows,
)
from sailplane_admin.listing import Listing, list_page
from sailplane_admin.paging import page_request
from sailplane_admin.ports import AdminPorts
from sailplane_core.filter_fields import DATABASE_FIELDS, FIELDS, JOINS, RENAMED, Entity, FieldType
from sailplane_core.filters import REPEATED, TEXTUAL, Function
from sailplane_protos.admin import common_pb2
from sqlalchemy import BigInteger, Boolean, Column, ColumnElement, Integer, LargeBinary, Table, select

from services.admin import list_rows

MODULES = (
    tasks,
    workflows,
    launch_plans,
    executions,
    node_executions,
    task_executions,
    named_entities,
    description_entities,
    projects,
    signals,
)
LISTINGS: dict[Entity, Listing] = {module._LISTING.entity: module._LISTING for module in MODULES}
ROWS = 12
TEXTS = ("", "a", "A", "aB", "b_", "b%", "é", "FAILED", "RUNNING")
MICROSECONDS = (0, 1_000_000, 1_500_000, 2_000_000)
PAIRS = [(primary, entity) for primary in LISTINGS for entity in (primary, *sorted(JOINS[primary]))]
"""What a list is of, and what its filters may name."""
EXECUTION_KEY = ("execution_project", "execution_domain", "execution_name")
VERSION_KEY = ("project", "domain", "name", "version")


def some_value(column: Column[Any], random: Random) -> Any:
    """A value of the column's type; now and then none, where that may be."""
    if column.nullable and random.random() < 0.3:
        return None
    if isinstance(column.type, LargeBinary):
        return b""
    if isinstance(column.type, Boolean):
        return False
    if isinstance(column.type, BigInteger):
        return random.choice(MICROSECONDS)
    return random.randrange(3) if isinstance(column.type, Integer) else random.choice(TEXTS)


def some_rows(table: Table, random: Random, links: Sequence[dict[str, Any]] = ()) -> list[dict[str, Any]]:
    """Rows with ids from 1 on, every one unlike the others. `links` has, for each, columns that are settled."""
    made: list[dict[str, Any]] = []
    seen: set[tuple[Any, ...]] = set()
    unique = [[column.name for column in one.columns] for one in table.constraints | table.indexes if is_unique(one)]
    for number in range(1, ROWS + 1):
        while True:
            row = {column.name: some_value(column, random) for column in table.c}
            row |= {"id": number} | (dict(links[number - 1]) if links else {})
            if table is tables.launch_plans:
                row["state"] = 0 if number % 2 else 2  # one only may be active
            keys = {(*key, *(row[name] for name in key)) for key in unique}
            if not keys & seen:
                break
        seen |= keys
        made.append(row)
    return made


def is_unique(constraint: Any) -> bool:
    return getattr(constraint, "unique", False) or type(constraint).__name__ == "UniqueConstraint"


def of(rows: Sequence[dict[str, Any]], names: Sequence[str], random: Random) -> list[dict[str, Any]]:
    """For each of `ROWS` rows, these columns of one of `rows`."""
    return [pick(random.choice(rows), names) for _ in range(ROWS)]


def pick(row: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: row[name] for name in names}


def references(random: Random, *names: str) -> list[dict[str, Any]]:
    return [{name: random.randrange(1, ROWS + 1) for name in names} for _ in range(ROWS)]


def both(first: Sequence[dict[str, Any]], second: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one | other for one, other in zip(first, second, strict=True)]


@pytest.fixture
async def filled(ports: AdminPorts) -> AdminPorts:
    """Odd rows in every table that can be listed; what belongs together does so here and there."""
    random = Random(4)
    project_rows = some_rows(tables.projects, random, [{"identifier": f"p{number}"} for number in range(ROWS)])
    task_rows, workflow_rows = some_rows(tables.tasks, random), some_rows(tables.workflows, random)
    plan_rows = some_rows(tables.launch_plans, random, references(random, "workflow_id"))
    entities = references(random, "launch_plan_id", "workflow_id", "task_id")
    copies = [
        {
            "launch_plan_name": plan_rows[launched["launch_plan_id"] - 1]["name"],
            "workflow_name": workflow_rows[launched["workflow_id"] - 1]["name"],
        }
        for launched in entities
    ]
    parents = [
        {"parent_execution_id": random.choice([None, 1, 2, 3]), "parent_node_id": random.choice(["n0", "n1"])}
        for _ in range(ROWS)
    ]
    execution_rows = some_rows(tables.executions, random, both(both(entities, copies), parents))
    node_links = [
        pick(execution_rows[number // 3], EXECUTION_KEY) | {"node_id": f"n{number % 3}", "parent_id": None}
        for number in range(ROWS)
    ]
    node_rows = some_rows(tables.node_executions, random, node_links)
    attempt_links = both(of(node_rows, (*EXECUTION_KEY, "node_id"), random), of(task_rows, VERSION_KEY, random))
    await list_rows.put(ports, tables.projects, [row | {"id": row["id"] + 1} for row in project_rows])  # there is one
    for table, rows in {
        tables.tasks: task_rows,
        tables.workflows: workflow_rows,
        tables.launch_plans: plan_rows,
        tables.executions: execution_rows,
        tables.node_executions: node_rows,
        tables.task_executions: some_rows(
            tables.task_executions, random, [link | {"retry_attempt": n} for n, link in enumerate(attempt_links)]
        ),
        tables.execution_tags: some_rows(tables.execution_tags, random, of(execution_rows, EXECUTION_KEY, random)),
        tables.signals: some_rows(tables.signals, random, of(execution_rows, EXECUTION_KEY, random)),
        tables.named_entities: some_rows(tables.named_entities, random),
        tables.description_entities: some_rows(tables.description_entities, random),
    }.items():
        await list_rows.put(ports, table, rows)
    return ports


async def listed(ports: AdminPorts, listing: Listing, filters: str, sort: common_pb2.Sort | None = None) -> list[int]:
    """The row numbers of a list with a limit that they all go into, in its order."""
    request = list_rows.executions(1000)
    if sort is not None:
        request.sort_by.CopyFrom(sort)
    asked = await page_request(ports, "", request)
    page = await ports.store.read(
        lambda connection: list_page(connection, listing, [listing.table.c.id], (), asked, filters=filters)
    )
    return [row.id for row in page.rows]


def columns_of(key: ColumnElement[Any] | Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    return [key] if isinstance(key, ColumnElement) else list(key)


async def compared(ports: AdminPorts, listing: Listing, entity: Entity, field: str) -> list[tuple[int, Any]]:
    """The row number of each listed row, with the field's value in each row that belongs to it."""
    column = listing.fields[entity][field]
    join = listing.joins.get(entity)
    here = columns_of(join.here) if join else [listing.table.c.id]
    there = columns_of(join.there) if join else [listing.table.c.id]

    def query(connection: Any) -> tuple[Any, Any]:
        rows = connection.execute(select(listing.table.c.id, *(one.label(None) for one in here))).all()
        return rows, connection.execute(select(column.label(None), *(one.label(None) for one in there))).all()

    rows, others = await ports.store.read(query)
    return [(row[0], other[0]) for row in rows for other in others if tuple(row)[1:] == tuple(other)[1:]]


def written(kind: FieldType, value: Any) -> str:
    """A column's value as a filter says it."""
    if kind is FieldType.TIME:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)).isoformat().replace("+00:00", "Z")
    return f"{value / 1e6}s" if kind is FieldType.DURATION else str(value)


def holds(function: Function, value: Any, wanted: Sequence[Any]) -> bool:
    """The meaning of each function. Nothing holds of a value that is not there."""
    if value is None:
        return False
    match function:
        case Function.CONTAINS:
            return wanted[0] in value
        case Function.NOT_LIKE:
            return not (value.startswith(wanted[0][:-1]))
        case Function.GREATER_THAN:
            return value > wanted[0]
        case Function.GREATER_THAN_OR_EQUAL:
            return value >= wanted[0]
        case Function.LESS_THAN:
            return value < wanted[0]
        case Function.LESS_THAN_OR_EQUAL:
            return value <= wanted[0]
        case Function.EQUAL | Function.VALUE_IN:
            return value in wanted
        case _:
            return value not in wanted


def example(function: Function, kind: FieldType, values: Sequence[Any]) -> list[Any]:
    """What to compare with, so that some rows are less and some are more."""
    if function is Function.NOT_LIKE:
        return [next((one for one in values if not set(one) & set("%_")), "a") + "%"]
    several = [values[0], values[-1]] if values else ["a" if kind is FieldType.TEXT else 1_000_000]
    return several if function in REPEATED else several[:1]


@pytest.mark.parametrize(("primary", "entity"), PAIRS)
async def test_every_function_on_every_field(filled: AdminPorts, primary: Entity, entity: Entity) -> None:
    listing = LISTINGS[primary]
    for field, function in itertools.product(DATABASE_FIELDS | FIELDS[entity], Function):
        kept_in, kept_as = RENAMED.get((entity, field), (entity, field))
        kind = (DATABASE_FIELDS | FIELDS[kept_in])[kept_as]
        if function in TEXTUAL and kind is not FieldType.TEXT:
            continue
        found = await compared(filled, listing, kept_in, kept_as)
        wanted = example(function, kind, sorted({value for _, value in found} - {None, ""}))
        ids = {row_id for row_id, value in found if holds(function, value, wanted)}
        for key in (f"{entity}.{field}", field) if entity is primary else (f"{entity}.{field}",):
            text = f"{function}({key},{';'.join(written(kind, value) for value in wanted)})"
            assert set(await listed(filled, listing, text)) == ids, text


@pytest.mark.parametrize("primary", list(LISTINGS))
async def test_every_order(filled: AdminPorts, primary: Entity) -> None:
    listing = LISTINGS[primary]
    last = dict(await compared(filled, listing, primary, "identifier" if primary is Entity.PROJECT else "id"))
    for field in DATABASE_FIELDS | FIELDS[primary]:
        if (primary, field) in RENAMED:
            continue
        found = await compared(filled, listing, primary, field)
        ordered = [row_id for row_id, _ in sorted(found, key=lambda one: (one[1] is None, one[1], last[one[0]]))]
        for key in (field, f"{primary}.{field}"):
            for direction, wanted in (
                (common_pb2.Sort.ASCENDING, ordered),
                (common_pb2.Sort.DESCENDING, ordered[::-1]),
            ):
                sort = common_pb2.Sort(key=key, direction=direction)
                assert await listed(filled, listing, "", sort) == wanted, sort


@pytest.mark.parametrize("primary", list(LISTINGS))
async def test_no_list_can_be_joined_with_what_does_not_belong_to_it(filled: AdminPorts, primary: Entity) -> None:
    for entity in set(Entity) - {primary} - JOINS[primary]:
        with pytest.raises(Exception, match=f"'{entity}' entity is not allowed in filters"):
            await listed(filled, LISTINGS[primary], f"eq({entity}.id,1)")
