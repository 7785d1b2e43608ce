"""What every store promises: whole changes or none, versions checked, an outbox in the same commit, snapshots."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from conformance.conftest import StoreWorld, soon
from sailplane_core.errors import StaleVersion, Unavailable
from sailplane_core.ports import Message
from sailplane_runtime.store.port import Store, Transaction
from sailplane_runtime.store.tables import compare_and_set
from sqlalchemy import Connection, Subquery, func, insert, literal, select, true
from sqlalchemy.exc import DBAPIError, IntegrityError

TOPIC = "events"


def message(id: str, topic: str = TOPIC) -> Message:
    return Message(topic, "key", id, f"payload of {id}".encode())


class Accounts:
    """The changes and queries of these tests."""

    def __init__(self, world: StoreWorld) -> None:
        self.table, self.entries = world.accounts, world.entries

    def add(self, id: str, *messages: Message, then: Exception | None = None):
        def change(tx: Transaction) -> str:
            tx.connection.execute(insert(self.table).values(id=id))
            for sent in messages:
                tx.send(sent)
            if then is not None:
                raise then
            return id

        return change

    def ids(self, connection: Connection) -> list[str]:
        return list(connection.scalars(select(self.table.c.id).order_by(self.table.c.id)))

    def set_balance(self, id: str, version: int, balance: int):
        return lambda tx: compare_and_set(
            tx.connection, self.table, {"id": id}, version, {"balance": balance}, what=f"account {id}"
        )


@pytest.fixture
def accounts(stores: StoreWorld) -> Accounts:
    return Accounts(stores)


def heard(store: Store, topic: str = TOPIC) -> list[list[str]]:
    """The ids that a listener hears, commit by commit."""
    batches: list[list[str]] = []
    store.listen(topic, lambda messages: batches.append([message.id for message in messages]))
    return batches


def ids(messages: Sequence[Message]) -> list[str]:
    return [message.id for message in messages]


async def test_a_change_gives_its_result_and_is_read_at_once(store: Store, accounts: Accounts) -> None:
    assert await store.write(accounts.add("a")) == "a"
    assert await store.read(accounts.ids) == ["a"]


async def test_a_change_that_raises_leaves_nothing(store: Store, accounts: Accounts) -> None:
    batches = heard(store)
    with pytest.raises(LookupError, match="on purpose"):
        await store.write(accounts.add("a", message("1"), then=LookupError("on purpose")))
    assert await store.read(accounts.ids) == []
    assert await store.pending(TOPIC) == []
    assert batches == []


async def test_changes_made_together_fail_alone(store: Store, accounts: Accounts) -> None:
    outcomes = await asyncio.gather(
        store.write(accounts.add("a", message("1"))),
        store.write(accounts.add("b", message("2"), then=LookupError("on purpose"))),
        store.write(accounts.add("a", message("3"))),
        store.write(accounts.add("c", message("4"))),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [str, LookupError, IntegrityError, str]
    assert await store.read(accounts.ids) == ["a", "c"]
    assert ids(await store.pending(TOPIC)) == ["1", "4"]


async def test_what_only_the_commit_refuses_fails_alone(store: Store, accounts: Accounts) -> None:
    def dangling(tx: Transaction) -> None:
        tx.connection.execute(insert(accounts.entries).values(id=1, account_id="nobody"))

    outcomes = await asyncio.gather(
        store.write(accounts.add("a", message("1"))),
        store.write(dangling),
        store.write(accounts.add("b", message("2"))),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [str, IntegrityError, str]
    assert await store.read(accounts.ids) == ["a", "b"]
    assert ids(await store.pending(TOPIC)) == ["1", "2"]


async def test_an_exception_that_a_future_cannot_carry_still_arrives(store: Store) -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        await soon(store.write(lambda tx: next(iter(()))))


async def test_changes_are_made_in_the_order_asked_for(store: Store, accounts: Accounts) -> None:
    await store.write(accounts.add("a"))
    results = await asyncio.gather(*(store.write(accounts.set_balance("a", n, n)) for n in range(1, 200)))
    assert results == list(range(2, 201))


async def test_a_stale_version_is_refused(store: Store, accounts: Accounts) -> None:
    await store.write(accounts.add("a"))
    assert await store.write(accounts.set_balance("a", 1, 10)) == 2
    with pytest.raises(StaleVersion, match="account a"):
        await store.write(accounts.set_balance("a", 1, 20))
    with pytest.raises(StaleVersion):
        await store.write(accounts.set_balance("nobody", 1, 20))
    balance = select(accounts.table.c.balance)
    assert await store.read(lambda connection: connection.execute(balance).scalar_one()) == 10


async def test_of_many_who_compare_and_set_one_wins(store: Store, accounts: Accounts) -> None:
    await store.write(accounts.add("a"))
    attempts = (store.write(accounts.set_balance("a", 1, n)) for n in range(50))
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert [outcome for outcome in outcomes if not isinstance(outcome, StaleVersion)] == [2]


async def test_a_query_cannot_change_anything(store: Store, accounts: Accounts) -> None:
    with pytest.raises(DBAPIError):
        await store.read(lambda connection: connection.execute(insert(accounts.table).values(id="a")))
    assert await store.read(accounts.ids) == []


async def test_a_query_that_raises_does_no_harm(store: Store, accounts: Accounts) -> None:
    with pytest.raises(ZeroDivisionError):
        await store.read(lambda connection: 1 // 0)
    assert await store.read(accounts.ids) == []


async def test_a_cancelled_caller_does_no_harm(store: Store, accounts: Accounts) -> None:
    batches = heard(store)
    cancelled = asyncio.create_task(store.write(accounts.add("a", message("1"))))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    await store.write(accounts.add("b", message("2")))
    stored = await store.read(accounts.ids)
    assert stored in (["b"], ["a", "b"])
    told = [id for batch in batches for id in batch]
    assert told == ids(await store.pending(TOPIC)) == (["2"] if stored == ["b"] else ["1", "2"])


async def test_listeners_hear_every_commit_in_order(store: Store, accounts: Accounts) -> None:
    events, others = heard(store), heard(store, "others")
    await store.write(accounts.add("a", message("1"), message("x", "others"), message("2")))
    await asyncio.gather(*(store.write(accounts.add(f"b{n}", message(f"m{n}"))) for n in range(150)))
    assert events[0] == ["1", "2"]
    assert [id for batch in events[1:] for id in batch] == [f"m{n}" for n in range(150)]
    assert others == [["x"]]


async def test_a_listener_that_raises_disturbs_nobody(store: Store, accounts: Accounts) -> None:
    def fails(messages: Sequence[Message]) -> None:
        raise LookupError("on purpose")

    store.listen(TOPIC, fails)
    batches = heard(store)
    await store.write(accounts.add("a", message("1")))
    assert batches == [["1"]]
    assert ids(await store.pending(TOPIC)) == ["1"]


async def test_pending_messages_are_whole_and_in_order(store: Store, accounts: Accounts) -> None:
    sent = [message(str(number)) for number in (3, 1, 2)]
    await store.write(accounts.add("a", *sent, message("x", "others")))
    assert await store.pending(TOPIC) == sent
    assert await store.pending("nothing") == []


async def test_pending_messages_of_one_key(store: Store, accounts: Accounts) -> None:
    sent = [replace(message(str(number)), key=key) for number, key in enumerate(("a", "b", "a"))]
    await store.write(accounts.add("a", *sent))
    assert await store.pending(TOPIC, "a") == [sent[0], sent[2]]
    assert await store.pending(TOPIC, "") == []


async def test_confirmed_messages_are_pending_no_more(store: Store, accounts: Accounts) -> None:
    await store.write(accounts.add("a", message("1"), message("2"), message("3")))
    await store.confirm(["2", "unknown"])
    assert ids(await store.pending(TOPIC)) == ["1", "3"]
    await store.confirm(["2", "3", "1"])
    assert ids(await store.pending(TOPIC)) == []


async def test_a_confirmation_rides_with_a_change_even_if_that_fails(store: Store, accounts: Accounts) -> None:
    await store.write(accounts.add("a", message("1"), message("2")))
    await store.confirm(["1"])
    with pytest.raises(LookupError):
        await store.write(accounts.add("b", then=LookupError()))
    assert ids(await store.pending(TOPIC)) == ["2"]


async def test_an_id_in_the_outbox_is_stored_once_and_told_again(store: Store, accounts: Accounts) -> None:
    batches = heard(store)
    await store.write(accounts.add("a", message("1")))
    await store.write(accounts.add("b", message("1"), message("2")))
    assert batches == [["1"], ["1", "2"]]
    assert ids(await store.pending(TOPIC)) == ["1", "2"]


async def test_an_id_that_is_confirmed_and_sent_again_is_pending(store: Store, accounts: Accounts) -> None:
    await store.write(accounts.add("a", message("1")))
    await store.confirm(["1"])
    await store.write(accounts.add("b", message("1")))
    assert ids(await store.pending(TOPIC)) == ["1"]


async def test_everything_is_there_after_a_restart(stores: StoreWorld, accounts: Accounts) -> None:
    first = await stores.start()
    await first.write(accounts.add("a", message("1"), message("2")))
    await first.confirm(["1"])
    await first.close()
    second = await stores.start()
    assert await second.read(accounts.ids) == ["a"]
    assert ids(await second.pending(TOPIC)) == ["2"]


async def test_closing_commits_what_was_asked_for_before(stores: StoreWorld, accounts: Accounts) -> None:
    store = await stores.start()
    writes = [asyncio.create_task(store.write(accounts.add(f"{n:03}"))) for n in range(200)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*writes)
    assert len(await (await stores.start()).read(accounts.ids)) == 200


async def test_a_closed_store_says_so(stores: StoreWorld, accounts: Accounts) -> None:
    store = await stores.start()
    await store.close()
    await store.close()
    with pytest.raises(Unavailable):
        await store.write(accounts.add("a"))
    with pytest.raises(Unavailable):
        await store.read(accounts.ids)


async def test_a_query_sees_one_snapshot(stores: StoreWorld, accounts: Accounts) -> None:
    """Of two accounts between which money moves, every reader sees the same sum, however long it looks."""
    store = await stores.start()
    await store.write(accounts.add("a"))
    await store.write(accounts.add("b"))
    table = accounts.table
    numbers = select(func.count()).select_from(_many_rows(300))

    def move(tx: Transaction) -> None:
        tx.connection.execute(table.update().where(table.c.id == "a").values(balance=table.c.balance - 1))
        tx.connection.execute(table.update().where(table.c.id == "b").values(balance=table.c.balance + 1))

    def balances(connection: Connection) -> int:
        first = connection.execute(select(table.c.balance).where(table.c.id == "a")).scalar_one()
        connection.execute(numbers).scalar_one()  # long enough to be moved off the event loop
        return first + connection.execute(select(table.c.balance).where(table.c.id == "b")).scalar_one()

    async def move_often() -> None:
        for _ in range(100):
            await store.write(move)

    mover = asyncio.create_task(move_often())
    sums = [await soon(store.read(balances)) for _ in range(10)]
    assert set(sums) == {0}
    await mover


def _many_rows(rows: int) -> Subquery:
    """`rows` squared rows, made by the database itself."""
    numbers = select(literal(1).label("n")).cte(recursive=True)
    numbers = numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n < rows))
    others = numbers.alias()
    return select(numbers.c.n, others.c.n.label("m")).join_from(numbers, others, true()).subquery()
