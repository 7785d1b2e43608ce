"""What the store, the queue and the file blobs cost, as JSON. `python bench/store.py [--uvloop]`."""

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from sailplane_core.ports import Message
from sailplane_runtime.blobs.files import FileBlobs
from sailplane_runtime.blobs.signed_urls import UrlSigner
from sailplane_runtime.clock import SystemClock
from sailplane_runtime.outbox import Relay
from sailplane_runtime.queue.memory import MemoryQueue
from sailplane_runtime.store.port import Transaction
from sailplane_runtime.store.sql import SqlStore
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, insert, select

metadata = MetaData()
rows = Table("rows", metadata, Column("id", Integer, primary_key=True), Column("text", String, nullable=False))
INSERT = insert(rows)
ONE = select(rows).where(rows.c.id == 1)


async def measure(act: Callable[[int], Awaitable[object]], rounds: int) -> dict[str, float]:
    """Microseconds of one call after the other."""
    took: list[float] = []
    for index in range(rounds + 50):
        began = time.perf_counter()
        await act(index)
        took.append((time.perf_counter() - began) * 1e6)
    took = sorted(took[50:])
    return {"p50_us": round(took[len(took) // 2]), "p99_us": round(took[len(took) * 99 // 100])}


async def bench_store(root: Path) -> dict[str, object]:
    store = await SqlStore.open(f"sqlite:///{root}/bench.db", metadata)
    text = "x" * 200

    def row(id: int) -> Callable[[Transaction], object]:
        return lambda tx: tx.connection.execute(INSERT, {"id": id, "text": text})

    def row_and_messages(id: int) -> Callable[[Transaction], None]:
        def change(tx: Transaction) -> None:
            tx.connection.execute(INSERT, {"id": id, "text": text})
            for part in range(3):
                tx.send(Message("topic", str(id), f"{id}-{part}", text.encode()))

        return change

    def one(connection: Connection) -> object:
        return connection.execute(ONE).one()

    result: dict[str, object] = {
        "write": await measure(lambda index: store.write(row(index)), 2_000),
        "write_with_3_messages": await measure(lambda index: store.write(row_and_messages(1_000_000 + index)), 1_000),
        "read": await measure(lambda _: store.read(one), 2_000),
    }

    async def client(number: int) -> None:
        for index in range(100):
            await store.write(row(2_000_000 + number * 1_000 + index))

    began = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(64)))
    result["writes_per_s_64_clients"] = round(64 * 100 / (time.perf_counter() - began))
    await store.close()
    return result


async def bench_queue(root: Path) -> dict[str, object]:
    queue = MemoryQueue(SystemClock())

    async def round_trip(index: int) -> None:
        await queue.publish([Message("direct", "key", str(index), b"x" * 200)])
        await queue.ack(await queue.receive("direct", 10))

    store = await SqlStore.open(f"sqlite:///{root}/outbox.db", metadata)
    relay = Relay(store, queue, "relayed")
    await relay.start()

    async def through_outbox(index: int) -> None:
        receiver = asyncio.ensure_future(queue.receive("relayed", 10))
        await store.write(lambda tx: tx.send(Message("relayed", "key", str(index), b"x" * 200)))
        await queue.ack(await receiver)

    result: dict[str, object] = {
        "publish_receive_ack": await measure(round_trip, 5_000),
        "write_to_received_through_outbox": await measure(through_outbox, 1_000),
    }
    await relay.stop()
    await store.close()
    await queue.close()
    return result


async def bench_blobs(root: Path) -> dict[str, object]:
    blobs = FileBlobs(root / "blobs", UrlSigner(secrets.token_bytes(32)), SystemClock())
    small, large = bytes(200), bytes(1024 * 1024)

    def uri(index: int) -> str:
        return blobs.uri(f"metadata/propeller/p/d/{index % 500}/n{index // 500}/data/0/outputs.pb")

    return {
        "put_200_bytes": await measure(lambda index: blobs.put(uri(index), small), 2_000),
        "get_200_bytes": await measure(lambda index: blobs.get(uri(index)), 2_000),
        "put_1_mib": await measure(lambda index: blobs.put(uri(10_000 + index), large), 100),
        "get_1_mib": await measure(lambda index: blobs.get(uri(10_000 + index)), 100),
    }


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="sailplane-bench-") as directory:
        root = Path(directory)
        result = {
            "store": await bench_store(root),
            "queue": await bench_queue(root),
            "blobs": await bench_blobs(root),
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uvloop", action="store_true", help="use the loop that `sailplane up` uses")
    parser.add_argument("--switch-interval-ms", type=float, default=sys.getswitchinterval() * 1e3)
    options = parser.parse_args()
    sys.setswitchinterval(options.switch_interval_ms / 1e3)
    if options.uvloop:
        import uvloop

        uvloop.run(main())
    else:
        asyncio.run(main())
