"""The Store port on a SQL database: SQLite, with one writer and quick reads on the event loop.

    write ──► GroupWriter, at the loop's next turn ──commit──► futures resolved, listeners called
    read  ──► at once, on a budget ──used up──► again from its start, on a reader's thread

Both are on the loop because SQLite answers faster than a thread wakes (`writer` has the argument, `bench/store.py`
the figures). A query that turns out to be long is interrupted, and run again where it holds up nobody.
`sqlite` says what a commit survives.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import structlog
from sailplane_core.errors import Unavailable
from sailplane_core.ports import Message
from sqlalchemy import Connection, Engine, MetaData, bindparam, select
from sqlalchemy.exc import DBAPIError

from . import migrations as schema
from .port import Transaction
from .sqlite import (
    WAL_BYTES_CHECKPOINT,
    StepLimit,
    checkpoint,
    database_path,
    meaning,
    reading_engine,
    transaction,
    wal_bytes,
    wal_path,
    was_interrupted,
    writing_engine,
)
from .tables import outbox_table
from .writer import Change, Commit, GroupWriter

T = TypeVar("T")
Listener = Callable[[Sequence[Message]], None]

READERS = 2
QUICK_READ_STEPS_MAX = 50_000
"""Of SQLite's virtual machine, per query: some thousand rows looked at, 1 to 2 ms."""
CONFIRM_DELAY_S = 0.05
"""How long a confirmation waits for a commit to ride with. Real seconds, because nobody can observe the difference."""

log = structlog.get_logger(__name__)


class SqlStore:
    """A service's tables and its outbox. Open it with `SqlStore.open` on the event loop that uses it."""

    def __init__(self, url: str, metadata: MetaData, *, readers: int = READERS) -> None:
        self._loop = asyncio.get_running_loop()
        self._wal = wal_path(database_path(url))
        outbox = outbox_table(metadata).c
        self._pending = (
            select(outbox.topic, outbox.key, outbox.id, outbox.payload)
            .where(outbox.topic == bindparam("of_topic"))
            .order_by(outbox.seq)
        )
        self._pending_of_key = self._pending.where(outbox.key == bindparam("of_key"))
        self._listeners: dict[str, list[Listener]] = {}
        self._flush: asyncio.TimerHandle | None = None
        self._is_open = True
        self._checkpoint_runs = False
        self._wal_bytes_before = 0
        self._writer = GroupWriter(writing_engine(url), self._committed)
        engine = reading_engine(url)
        self._quick_reader = engine.connect()
        self._quick_read_limit = StepLimit(self._quick_reader, QUICK_READ_STEPS_MAX)
        self._readers = _Readers(engine, readers, self._loop)

    @classmethod
    async def open(
        cls, url: str, metadata: MetaData, *, migrations: Path | None = None, readers: int = READERS
    ) -> "SqlStore":
        """Open `sqlite:///path`, creating the file, and bring its tables up to date first.

        `migrations` is the service's folder of alembic revisions; without one (tests, tools) tables that do not exist
        are created from `metadata` and nothing is ever changed. Raises what `migrations.upgrade` raises.
        """
        database_path(url).parent.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(schema.upgrade, url, migrations, metadata)
        return cls(url, metadata, readers=readers)

    async def close(self) -> None:
        """Commit what was written before, then let go of the database. Later calls raise `Unavailable`."""
        if not self._is_open:
            return
        self._is_open = False
        if self._flush is not None:
            self._flush.cancel()
        self._writer.close()
        self._quick_reader.close()
        await asyncio.to_thread(self._readers.close)

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run a query in a read-only transaction, which sees one snapshot: every commit before this call, or later.

        A query that takes longer than `QUICK_READ_STEPS_MAX` is run a second time, from its start, on a thread.
        """
        self._check_open()
        await asyncio.sleep(0)  # whoever reads in a loop lets the others have their turn
        self._quick_read_limit.renew()
        try:
            with transaction(self._quick_reader, immediate=False):
                return query(self._quick_reader)
        except (DBAPIError, sqlite3.Error) as error:
            if not was_interrupted(error):
                raise (meaning(error) or error) from error
        future = self._loop.create_future()
        self._readers.submit(query, future)
        return await future

    async def write(self, change: Callable[[Transaction], T]) -> T:
        """Run a change and commit it, whole or not at all; what it raises is raised here.

        A caller that is cancelled in here does not know whether the change was committed.
        """
        self._check_open()
        future = self._loop.create_future()
        self._writer.submit(Change(change, future))
        return await future

    def listen(self, topic: str, listener: Listener) -> None:
        """Call `listener`, on the event loop, with each commit's messages of `topic`, in commit order.

        A message whose id is in the outbox already is handed over again, though it is stored once. A listener must
        not raise: it would be logged, and the message stays in the outbox until the next start.
        """
        self._listeners.setdefault(topic, []).append(listener)

    async def pending(self, topic: str, key: str | None = None) -> Sequence[Message]:
        """Outbox messages not yet confirmed, oldest first, of one key or of all."""
        await self._flush_confirmed()
        query = self._pending if key is None else self._pending_of_key
        values = {"of_topic": topic} if key is None else {"of_topic": topic, "of_key": key}
        return await self.read(lambda connection: [Message(*row) for row in connection.execute(query, values)])

    async def confirm(self, ids: Sequence[str]) -> None:
        """Delete outbox rows whose effect is committed elsewhere, with the next commit or `CONFIRM_DELAY_S` later.

        Returns before that: a confirmation that a crash loses brings the message once more, which is harmless.
        """
        self._check_open()
        self._writer.confirmed.extend(ids)
        if self._flush is None:
            self._flush = self._loop.call_later(CONFIRM_DELAY_S, self._submit_flush)

    async def _flush_confirmed(self) -> None:
        if self._writer.confirmed:
            await self.write(_nothing)

    def _submit_flush(self) -> None:
        self._flush = None
        if self._writer.confirmed:
            self._writer.submit(Change(_nothing, self._loop.create_future()))

    def _check_open(self) -> None:
        if not self._is_open:
            raise Unavailable("the store")

    def _committed(self, commit: Commit) -> None:
        for outcome in commit.outcomes:
            _resolve(outcome.change.future, outcome.result, outcome.error)
        if commit.messages:
            self._call_listeners(commit.messages)
        if self._is_open and not self._checkpoint_runs:
            self._checkpoint_if_due()

    def _checkpoint_if_due(self) -> None:
        length = wal_bytes(self._wal)
        self._wal_bytes_before = min(self._wal_bytes_before, length)
        if length - self._wal_bytes_before >= WAL_BYTES_CHECKPOINT:
            self._wal_bytes_before = length
            self._checkpoint_runs = True
            done = self._loop.create_future()
            done.add_done_callback(self._checkpoint_ended)
            self._readers.submit(checkpoint, done)

    def _checkpoint_ended(self, done: asyncio.Future[None]) -> None:
        self._checkpoint_runs = False
        if (error := done.exception()) is not None:
            log.warning("checkpoint failed", error=str(error))

    def _call_listeners(self, messages: Sequence[Message]) -> None:
        by_topic: dict[str, list[Message]] = {}
        for message in messages:
            by_topic.setdefault(message.topic, []).append(message)
        for topic, of_topic in by_topic.items():
            for listener in self._listeners.get(topic, ()):
                try:
                    listener(of_topic)
                except Exception:
                    log.exception("commit listener failed", topic=topic, messages=len(of_topic))


class _Readers:
    """Threads that each keep a read-only connection. Queries are taken first come, first served."""

    def __init__(self, engine: Engine, threads: int, loop: asyncio.AbstractEventLoop) -> None:
        self._engine = engine
        self._loop = loop
        self._inbox: SimpleQueue[tuple[Callable[[Connection], Any], asyncio.Future[Any]] | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"store-reader-{index}", daemon=True) for index in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, query: Callable[[Connection], Any], future: asyncio.Future[Any]) -> None:
        self._inbox.put((query, future))

    def close(self) -> None:
        for _ in self._threads:
            self._inbox.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        with self._engine.connect() as connection:
            while (asked := self._inbox.get()) is not None:
                query, future = asked
                result: Any = None
                error: BaseException | None = None
                try:
                    with transaction(connection, immediate=False):
                        result = query(connection)
                except BaseException as raised:
                    error = meaning(raised) or raised
                self._loop.call_soon_threadsafe(_resolve, future, result, error)


def _resolve(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return  # its caller was cancelled
    if isinstance(error, StopIteration):
        error = RuntimeError(f"a query or change raised {error!r}, which a future cannot carry")
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _nothing(transaction: Transaction) -> None:
    """A change that only gives confirmations a commit to ride with."""
