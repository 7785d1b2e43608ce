"""Bodies of requests, never more of one than there is room for."""

from contextlib import suppress

from starlette.requests import ClientDisconnect, Request

UNWANTED_BYTES_MAX = 16 * 1024**2
"""So much of a body that was refused is still taken from the client. Most clients read no answer before they have sent
everything, and would report a broken connection instead of the reason."""


async def read_body(request: Request, bytes_max: int) -> bytes | None:
    """All of the body; None if it is longer than that, of which so much is thrown away that the client hears so.

    Raises `ClientDisconnect` when it ends early.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > bytes_max:
        await discard_body(request)
        return None
    chunks: list[bytes] = []
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > bytes_max:
            chunks.clear()
            if received > bytes_max + UNWANTED_BYTES_MAX:
                break
        else:
            chunks.append(chunk)
    return b"".join(chunks) if received <= bytes_max else None


async def discard_body(request: Request) -> None:
    """Take what the client sends, up to `UNWANTED_BYTES_MAX`, and keep none of it."""
    received = 0
    with suppress(ClientDisconnect):
        async for chunk in request.stream():
            received += len(chunk)
            if received > UNWANTED_BYTES_MAX:
                return
