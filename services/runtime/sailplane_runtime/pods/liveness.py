"""Waiting for the end of a process that isn't a child of ours."""

import asyncio
import os

from .attempt_files import ProcessId

POLL_INTERVAL_S = 0.2
"""Where the system has no file descriptor for a process (only Linux has), this often is looked."""


async def ended(process: ProcessId) -> None:
    """Return once the process has ended."""
    if not hasattr(os, "pidfd_open"):
        while process.is_alive():  # noqa: ASYNC110 - nothing announces the end here
            await asyncio.sleep(POLL_INTERVAL_S)
        return
    try:
        fd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if process.is_alive():  # else the number was given to another process meanwhile
            await _readable(fd)
    finally:
        os.close(fd)


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def readable() -> None:
        if not done.done():
            done.set_result(None)

    loop.add_reader(fd, readable)
    try:
        await done
    finally:
        loop.remove_reader(fd)
