"""URLs that carry their own permission: what may be done, to which object, until when, with which content.

    <method>-<seconds since the epoch>-<MD5 in hex, when bound>-<signature in hex>/<percent-encoded key>

The signature is HMAC-SHA256 over all of it with a secret of this installation. Nothing else is looked at: clients send
no credentials to a signed URL, and no header is asked of them. There is no query: fsspec, with which flytekit fetches
what is too large to be inlined, takes a question mark for a pattern of file names.
"""

import hashlib
import hmac
import json
import math
import os
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

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


@dataclass(frozen=True)
class Permission:
    """What the holder of a URL may do to its object."""

    method: str
    expires_at_s: int
    content_md5: bytes
    """Of the one body that may be put; empty when any may."""

    def covers(self, method: str, now: datetime) -> bool:
        """Whether a request may be served now. `GET` covers `HEAD`."""
        return self.method == ("GET" if method == "HEAD" else method) and now.timestamp() < self.expires_at_s


class UrlSigner:
    """Signs and verifies with one secret."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < SECRET_BYTES:
            raise InvalidRequest.invalid("secret", f"it must have at least {SECRET_BYTES} bytes")
        self._secret = secret

    def sign(self, method: str, key: str, expires_at: datetime, content_md5: bytes | None = None) -> str:
        """Path of the URL, relative to where blobs are served."""
        if method not in METHODS:
            raise InvalidRequest.invalid("method", f"must be one of {', '.join(METHODS)}")
        if content_md5 is not None and len(content_md5) != 16:
            raise InvalidRequest.invalid("content_md5", "must have 16 bytes")
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in key):
            raise InvalidRequest.invalid("key", "it must be Unicode text without control characters")
        said = f"{method}-{math.floor(expires_at.timestamp())}-{(content_md5 or b'').hex()}"
        return f"{said}-{self._signature(key, said)}/{quote(key, safe='/')}"

    def permission(self, key: str, text: str) -> Permission | None:
        """What the first segment of a URL's path permits for the key that follows it; None when we never signed that.

        Both as decoded from the path.
        """
        said, _, given = text.rpartition("-")
        if not hmac.compare_digest(self._signature(key, said).encode(), given.encode(errors="replace")):
            return None
        method, expires_at_s, md5 = said.split("-")
        return Permission(method, int(expires_at_s), bytes.fromhex(md5))

    def _signature(self, key: str, said: str) -> str:
        # JSON keeps the parts apart, so that no two different permissions are the same text.
        return hmac.digest(self._secret, json.dumps(["sailplane-blob-2", key, said]).encode(), hashlib.sha256).hex()
