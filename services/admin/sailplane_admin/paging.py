"""Pages: how many rows, from where on, and the token of the next page."""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

from google.protobuf.message import Message
from sailplane_core import page_tokens, validation
from sailplane_core.page_tokens import KeyValue
from sailplane_protos.admin import common_pb2
from sailplane_runtime.store.port import Transaction
from sqlalchemy import Connection, Row, Select, bindparam, insert, select

from . import tables
from .keyset import Order
from .ports import AdminPorts
from .registration import write_once

PAGE_ROWS_MAX = 10_000
"""Who asks for more gets this many and a token. Flyte has no such limit, and then runs out of memory."""
PAGE_BYTES_MAX = 7 * 512 * 1024
"""A page is closed before it holds more, unless its first row does: below the 4 MiB that gRPC's clients take."""

_KEY_NAME = "page tokens"
_KEYS = tables.installation_keys.c
_GET_KEY = select(_KEYS.key).where(_KEYS.name == bindparam("name"))
_INSERT_KEY = insert(tables.installation_keys)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list. `next_token` leads to the page after it; "" when this one is not full."""

    rows: Sequence[Row[Any]]
    next_token: str


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page of which list is asked for, in which order.

    `asked` is all of the request but the page, as bytes: tokens hold for it alone. `key` is what they are sealed with.
    """

    rows_max: int
    token: str
    asked: bytes
    key: bytes
    sort_by: common_pb2.Sort | None = None

    def start(self, keys: int) -> tuple[int, Sequence[KeyValue]]:
        """Rows to skip, and the sort keys, `keys` of them, to begin after; none for the beginning of the list.

        Raises `InvalidRequest` when the token is not one of this list, and no offset either.
        """
        start = page_tokens.read(self.key, self.asked, self.token, keys)
        return (start, ()) if isinstance(start, int) else (0, start)

    def page(self, rows: Iterable[Row[Any]], keys_of: Callable[[Row[Any]], Sequence[KeyValue]]) -> Page:
        """The page of as many of these rows as it may have; `keys_of` gives a row's sort keys.

        A full page has a token, even if nothing follows, as Flyte's have.
        """
        taken: list[Row[Any]] = []
        bytes_left, is_full = PAGE_BYTES_MAX, False
        for row in rows:
            bytes_left -= sum(len(value) for value in row if isinstance(value, bytes | str))
            if taken and bytes_left < 0:
                is_full = True
                break
            taken.append(row)
            if len(taken) == self.rows_max:
                is_full = True
                break
        return Page(taken, page_tokens.issue(self.key, self.asked, keys_of(taken[-1])) if is_full else "")


async def page_request(ports: AdminPorts, method: str, request: Any, *, zero_is_all: bool = False) -> PageRequest:
    """What `request`, of the RPC `method`, says of its page in `limit`, `token` and, if it has that, `sort_by`.

    Raises `InvalidRequest` for a limit of 0, unless with `zero_is_all` it means as many as a page may have.
    """
    if not zero_is_all:
        validation.check_limit(request.limit)
    rows_max = min(request.limit or PAGE_ROWS_MAX, PAGE_ROWS_MAX)
    asked = asked_bytes(method, request, ("limit", "token"))
    is_sorted = "sort_by" in request.DESCRIPTOR.fields_by_name and request.HasField("sort_by")
    sort_by = request.sort_by if is_sorted else None
    return PageRequest(rows_max, request.token, asked, await page_key(ports), sort_by)


def read_page(
    connection: Connection,
    statement: Select[Any],
    order: Order,
    asked: PageRequest,
    *,
    keep: Callable[[Row[Any]], bool] | None = None,
) -> Page:
    """The page of the rows of `statement` that `keep` lets through. The keys of `order` are among its columns."""
    offset, last = asked.start(len(order.keys))
    statement = statement.order_by(*order.clauses())
    if last:
        statement = statement.where(order.after(last))
    if keep is None:
        statement = statement.offset(offset).limit(asked.rows_max)
    with connection.execute(statement) as found:
        rows = found if keep is None else islice(filter(keep, found), offset, None)
        return asked.page(rows, lambda row: [row._mapping[key] for key in order.keys])


def asked_bytes(method: str, request: Message, of_page: Sequence[str]) -> bytes:
    """All that a request of the RPC `method` asks for, but for the fields `of_page`."""
    rest = type(request)()
    rest.CopyFrom(request)
    for name in of_page:
        rest.ClearField(name)
    return method.encode() + b"\0" + rest.SerializeToString(deterministic=True)


async def page_key(ports: AdminPorts) -> bytes:
    """What this installation seals its tokens with: made once, the same in every process and after every restart."""
    if ports.page_key.value is None:
        ports.page_key.value = await ports.store.read(_find_key) or await _make_key(ports)
    return ports.page_key.value


async def _make_key(ports: AdminPorts) -> bytes:
    made = secrets.token_bytes(page_tokens.KEY_BYTES)
    created_at_us = tables.time_us(ports.clock.now())

    def change(transaction: Transaction) -> bytes:
        found = _find_key(transaction.connection)
        if found is None:
            row = {"name": _KEY_NAME, "key": made, "created_at_us": created_at_us}
            transaction.connection.execute(_INSERT_KEY, row)
        return found or made

    return await write_once(ports.store, change)


def _find_key(connection: Connection) -> bytes | None:
    return cast("bytes | None", connection.execute(_GET_KEY, {"name": _KEY_NAME}).scalar_one_or_none())
