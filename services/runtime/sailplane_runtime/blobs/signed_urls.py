"""URLs that carry their own permission: what may be done, to which object, until when, with which content.

    <percent-encoded key>?expires=<seconds since the epoch>&md5=<hex, when bound>&method=GET&signature=<hex>

The signature is HMAC-SHA256 over all of it with a secret of this installation. Nothing else is looked at: clients send
no credentials to a signed URL, and no header is asked of them.
"""

import hashlib
import hmac
import json
import math
import os
import secrets
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, urlencode

from sailplane_core.errors import InvalidRequest, Refused

SECRET_BYTES = 32
METHODS = ("GET", "PUT")


def load_secret(path: Path) -> bytes:
    """The installation's secret; made at the first start, readable by its owner alone.

    Raises `Refused` when the file is there but holds no secret of ours.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, secrets.token_bytes(SECRET_BYTES))
            os.fsync(descriptor)
            os.link(new, path)  # unlike a rename this fails if somebody else was first
        except FileExistsError:
            pass
        finally:
            os.close(descriptor)
            new.unlink()
    secret = path.read_bytes()
    if len(secret) != SECRET_BYTES:
        raise Refused(f"{path} must hold a secret of {SECRET_BYTES} bytes; delete it to have a new one made")
    return secret


class UrlSigner:
    """Signs and verifies with one secret."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < SECRET_BYTES:
            raise InvalidRequest.invalid("secret", f"it must have at least {SECRET_BYTES} bytes")
        self._secret = secret

    def sign(self, method: str, key: str, expires_at: datetime, content_md5: bytes | None = None) -> str:
        """Path and query of the URL, relative to where blobs are served."""
        if method not in METHODS:
            raise InvalidRequest.invalid("method", f"must be one of {', '.join(METHODS)}")
        if content_md5 is not None and len(content_md5) != 16:
            raise InvalidRequest.invalid("content_md5", "must have 16 bytes")
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in key):
            raise InvalidRequest.invalid("key", "it must be Unicode text without control characters")
        query = {"expires": str(math.floor(expires_at.timestamp())), "method": method}
        if content_md5 is not None:
            query["md5"] = content_md5.hex()
        query["signature"] = self._signature(key, query)
        return f"{quote(key, safe='/')}?{urlencode(query)}"

    def permits(self, method: str, key: str, query: Mapping[str, str], now: datetime) -> bool:
        """Whether a request may be served: `key` as decoded from the path, `query` as decoded from the URL.

        A `GET` permission covers `HEAD`.
        """
        signed = {name: query[name] for name in ("expires", "method", "md5") if name in query}
        given = query.get("signature", "").encode(errors="replace")
        if not hmac.compare_digest(self._signature(key, signed).encode(), given):
            return False
        covered = "GET" if method == "HEAD" else method
        return covered == signed.get("method") and now.timestamp() < int(signed.get("expires", "0"))

    def _signature(self, key: str, signed: Mapping[str, str]) -> str:
        # JSON keeps the parts apart, so that no two different permissions are the same text.
        said = json.dumps(["sailplane-blob-1", key, sorted(signed.items())])
        return hmac.digest(self._secret, said.encode(), hashlib.sha256).hex()
