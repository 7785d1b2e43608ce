"""What Pods write: read while they are there, and kept in the blob store before they are removed.

Keeping is best effort: no attempt fails, and none waits long, because its log could not be kept.
"""

import asyncio
from collections.abc import AsyncIterator

import structlog
from sailplane_core.errors import NotFound, SailplaneError
from sailplane_core.ids import ExecutionId
from sailplane_core.layout import Layout

from .ports import PropellerPorts

log = structlog.get_logger(__name__)

AT_ONCE_MAX = 4
"""Logs that are kept at one time; each takes a thread for a while."""
CHUNK_BYTES_MAX = 256 * 1024
"""Of one message to whoever reads a log."""
CUT = b"\n[sailplane: nothing after this was kept]\n"


class Logs:
    """The logs of this propeller's Pods."""

    def __init__(self, ports: PropellerPorts) -> None:
        self._ports = ports
        self._places = asyncio.Semaphore(AT_ONCE_MAX)

    async def keep(self, execution: ExecutionId, namespace: str, pod: str) -> None:
        """Store what a Pod has written, unless that was done before or there is nothing."""
        try:
            async with self._places, asyncio.timeout(self._ports.settings.log_keep_timeout_s):
                await self._keep(execution, namespace, pod)
        except NotFound:  # removed already, or it never was
            pass
        except (SailplaneError, TimeoutError) as error:
            log.warning("log_not_kept", pod=pod, reason=str(error) or "it took too long")
        except Exception:  # a log is worth no attempt
            log.exception("log_not_kept", pod=pod)

    async def _keep(self, execution: ExecutionId, namespace: str, pod: str) -> None:
        blobs = self._ports.blobs
        chunks = self._cut(self._ports.launcher.log(namespace, pod, ""))
        first = await anext(chunks, b"")
        if not first:
            return
        uri = Layout(blobs.uri("").rstrip("/"), "", execution).log_uri(pod)
        try:
            await blobs.head(uri)
        except NotFound:
            await blobs.put_stream(uri, _with_first(first, chunks))

    async def _cut(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        left = self._ports.settings.log_bytes_max
        async for chunk in chunks:
            yield chunk[:left]
            left -= len(chunk)
            if left < 0:
                yield CUT
                return

    async def read(self, namespace: str, pod: str, offset: int, *, follow: bool) -> AsyncIterator[bytes]:
        """What a Pod has written after the first `offset` bytes, in chunks. Raises `NotFound`."""
        async for chunk in self._ports.launcher.log(namespace, pod, "", follow=follow):
            skipped = min(offset, len(chunk))
            offset -= skipped
            for start in range(skipped, len(chunk), CHUNK_BYTES_MAX):
                yield chunk[start : start + CHUNK_BYTES_MAX]


async def _with_first(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk
