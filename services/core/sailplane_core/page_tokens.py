"""Where a page of a list begins: the token that the page before handed out, or an offset that a client computed.

A token is `p1.` and, in base64, a MAC and the sort keys of the last row that was shown. The MAC is over the request
too, so that a token leads on in the list it is from and nowhere else, and nobody can make one up. Whoever reads a
token may see the sort keys in it, which the page has shown as well.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import cast

from .errors import InvalidRequest

KeyValue = str | int | None
"""One sort key of a row; None where it has no value."""

KEY_BYTES = 32
OFFSET_MAX = 1_000_000
"""Rows an offset may skip: each of them is looked at. A token leads further at no cost."""
TOKEN_CHARS_MAX = 16_384

_PREFIX = "p1."
_MAC_BYTES = 16


def issue(key: bytes, asked: bytes, last: Sequence[KeyValue]) -> str:
    """The token that leads on after the row with these sort keys. `asked` is all of the request but the page."""
    payload = json.dumps(last, ensure_ascii=False, separators=(",", ":")).encode()
    return _PREFIX + base64.urlsafe_b64encode(_mac(key, asked, payload) + payload).rstrip(b"=").decode()


def read(key: bytes, asked: bytes, token: str, keys: int) -> int | tuple[KeyValue, ...]:
    """How many rows to skip, or the sort keys, `keys` of them, to go on after.

    Raises `InvalidRequest` for anything that is neither an offset nor a token which `issue` gave for this request.
    """
    if not token:
        return 0
    if not token.startswith(_PREFIX):
        return _offset(token)
    if len(token) > TOKEN_CHARS_MAX:
        raise _invalid(token)
    encoded = token.removeprefix(_PREFIX)
    try:
        sealed = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise _invalid(token) from error
    mac, payload = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(key, asked, payload)):
        raise _invalid(token, "it is from another list, filter or order")
    last = cast("list[KeyValue]", json.loads(payload))
    if len(last) != keys:
        raise _invalid(token, "it is from another version of this list")
    return tuple(last)


def _offset(token: str) -> int:
    if not (token.isascii() and token.isdigit()):
        raise _invalid(token)
    digits = token.lstrip("0") or "0"
    if len(digits) > len(str(OFFSET_MAX)) or int(digits) > OFFSET_MAX:
        raise _invalid(token, f"an offset is at most {OFFSET_MAX}; the token of the page before leads further")
    return int(digits)


def _mac(key: bytes, asked: bytes, payload: bytes) -> bytes:
    """The request goes in by its digest, so that where it ends and the payload begins is never in doubt."""
    return hmac.digest(key, hashlib.sha256(asked).digest() + payload, "sha256")[:_MAC_BYTES]


def _invalid(token: str, why: str = "") -> InvalidRequest:
    return InvalidRequest(f"invalid pagination token {token[:40]!r}{why and f': {why}'}")
