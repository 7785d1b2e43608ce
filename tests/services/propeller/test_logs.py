"""Logs are kept before Pods go, and read while they are there."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from sailplane_core.errors import InvalidRequest, NotFound, Unavailable
from sailplane_core.layout import Layout
from sailplane_core.ports import PodLauncher, PodPhase, PodStatus
from sailplane_propeller.inputs import Literals
from sailplane_propeller.inspection import Inspection
from sailplane_propeller.logs import CHUNK_BYTES_MAX, CUT, Logs
from sailplane_propeller.pods import PodNames
from sailplane_propeller.ports import PropellerPorts
from sailplane_propeller.sweeper import Sweeper
from sailplane_propeller.watch import Watcher
from sailplane_propeller.worker import EXECUTIONS_TOPIC
from sailplane_protos.propeller import service_pb2
from sailplane_runtime.blobs.files import FileBlobs
from sailplane_runtime.blobs.signed_urls import UrlSigner
from sailplane_runtime.clock import ManualClock
from services.propeller.conftest import X, abort_message, engine
from structlog.testing import capture_logs

NAMESPACE, POD = "p-development", "x-a-0"
LABELS = {"project": "p", "domain": "development", "execution-id": "x"}


class Printed:
    """A launcher whose one Pod has printed this."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks
        self.error: Exception | None = None
        self.is_there = True
        self.acts: list[str] = []

    async def log(self, namespace: str, name: str, container: str, *, follow: bool = False) -> AsyncIterator[bytes]:
        """What was printed."""
        if not self.is_there or (namespace, name) != (NAMESPACE, POD):
            raise NotFound("pod", name)
        self.acts.append("read")
        for chunk in self.chunks:
            yield chunk
        if self.error is not None:
            raise self.error

    async def remove(self, namespace: str, name: str) -> None:
        """Takes its output along."""
        self.acts.append("removed")
        self.is_there = False


@pytest.fixture
def launcher() -> Printed:
    return Printed(b"one\n", b"two\n")


@pytest.fixture
def with_pod(ports: PropellerPorts, launcher: Printed, tmp_path: Path) -> PropellerPorts:
    blobs = FileBlobs(tmp_path / "blobs", UrlSigner(b"s" * 32), ports.clock)
    return replace(ports, blobs=blobs, launcher=cast("PodLauncher", launcher))


async def kept(ports: PropellerPorts) -> bytes | None:
    try:
        return await ports.blobs.get(Layout(ports.blobs.uri("").rstrip("/"), "", X).log_uri(POD))
    except NotFound:
        return None


async def test_a_log_is_kept_once_whatever_is_printed_later(with_pod: PropellerPorts, launcher: Printed) -> None:
    await Logs(with_pod).keep(X, NAMESPACE, POD)
    assert await kept(with_pod) == b"one\ntwo\n"
    launcher.chunks = (b"other\n",)
    await Logs(with_pod).keep(X, NAMESPACE, POD)
    assert await kept(with_pod) == b"one\ntwo\n"


async def test_of_a_long_log_the_beginning_is_kept_with_a_word_about_the_rest(with_pod: PropellerPorts) -> None:
    short = replace(with_pod, settings=replace(with_pod.settings, log_bytes_max=6))
    await Logs(short).keep(X, NAMESPACE, POD)
    assert await kept(with_pod) == b"one\ntw" + CUT


async def test_a_log_of_just_the_limit_is_whole(with_pod: PropellerPorts) -> None:
    exact = replace(with_pod, settings=replace(with_pod.settings, log_bytes_max=8))
    await Logs(exact).keep(X, NAMESPACE, POD)
    assert await kept(with_pod) == b"one\ntwo\n"


async def test_of_nothing_nothing_is_kept(with_pod: PropellerPorts, launcher: Printed) -> None:
    launcher.chunks = ()
    await Logs(with_pod).keep(X, NAMESPACE, POD)
    assert await kept(with_pod) is None


@pytest.mark.parametrize("error", [Unavailable("the launcher"), RuntimeError("a bug")])
async def test_a_log_that_cannot_be_kept_stops_nobody(
    error: Exception, with_pod: PropellerPorts, launcher: Printed
) -> None:
    launcher.error = error
    with capture_logs() as lines:
        await Logs(with_pod).keep(X, NAMESPACE, POD)
        await Logs(with_pod).keep(X, NAMESPACE, "unknown")
    assert [line["event"] for line in lines] == ["log_not_kept"]
    assert await kept(with_pod) is None


async def test_it_is_not_waited_for_for_ever(with_pod: PropellerPorts, launcher: Printed, monkeypatch: Any) -> None:
    async def silent(*names: str, follow: bool = False) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    monkeypatch.setattr(launcher, "log", silent)
    hasty = replace(with_pod, settings=replace(with_pod.settings, log_keep_timeout_s=0.01))
    await asyncio.wait_for(Logs(hasty).keep(X, NAMESPACE, POD), 5)


async def test_the_sweeper_keeps_a_log_before_it_removes_the_pod(with_pod: PropellerPorts, launcher: Printed) -> None:
    def nothing(*seen: Any) -> Any:
        raise AssertionError(seen)

    watcher = Watcher(with_pod, PodNames(), Literals(with_pod.blobs), nothing, nothing)
    watcher.take(PodStatus(POD, NAMESPACE, PodPhase.SUCCEEDED, LABELS))
    confirmations = with_pod.queue.confirmed(EXECUTIONS_TOPIC)
    intake = asyncio.create_task(engine(with_pod).worker.run())
    await with_pod.queue.publish([abort_message()])
    await anext(confirmations)
    intake.cancel()
    cast("ManualClock", with_pod.clock).advance(with_pod.settings.pod_retention_s + 1)
    await Sweeper(with_pod, watcher, list, nothing).sweep()
    assert launcher.acts == ["read", "removed"]
    assert await kept(with_pod) == b"one\ntwo\n"


def asked(offset: int = 0, pod: str = POD, namespace: str = NAMESPACE) -> service_pb2.ReadLogRequest:
    return service_pb2.ReadLogRequest(namespace=namespace, pod_name=pod, offset=offset)


@pytest.mark.parametrize(
    ("offset", "rest"), [(0, b"one\ntwo\n"), (2, b"e\ntwo\n"), (4, b"two\n"), (5, b"wo\n"), (9, b"")]
)
async def test_a_log_is_read_from_an_offset(offset: int, rest: bytes, with_pod: PropellerPorts) -> None:
    chunks = [chunk.data async for chunk in Inspection(with_pod).ReadLog(asked(offset), None)]
    assert b"".join(chunks) == rest
    assert all(chunks)


async def test_chunks_are_bounded(with_pod: PropellerPorts, launcher: Printed) -> None:
    launcher.chunks = (b"x" * (CHUNK_BYTES_MAX + 1),)
    chunks = [len(chunk.data) async for chunk in Inspection(with_pod).ReadLog(asked(), None)]
    assert chunks == [CHUNK_BYTES_MAX, 1]


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        (asked(pod=""), InvalidRequest, "pod_name"),
        (asked(namespace=""), InvalidRequest, "namespace"),
        (asked(-1), InvalidRequest, "offset"),
        (asked(pod="x-b-0"), NotFound, "x-b-0"),
    ],
)
async def test_what_cannot_be_read(
    request_: service_pb2.ReadLogRequest, error: type[Exception], words: str, with_pod: PropellerPorts
) -> None:
    with pytest.raises(error, match=words):
        await anext(Inspection(with_pod).ReadLog(request_, None))
