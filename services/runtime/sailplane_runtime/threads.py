"""Computing without making everybody else wait."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

INLINE_BYTES_MAX = 16 * 1024
"""Compiling, comparing or checking a message of this size takes some 20 ms, for which the event loop can wait."""


async def inline_or_thread(size_bytes: int, compute: Callable[[], T]) -> T:
    """Compute something about messages of this size: at once, or on a thread so that others are answered meanwhile."""
    return compute() if size_bytes <= INLINE_BYTES_MAX else await asyncio.to_thread(compute)
