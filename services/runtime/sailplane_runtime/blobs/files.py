"""The BlobStore port on a directory of files.

URIs are absolute paths, as they are: flytekit takes a `FlyteFile` only by its path, it looks for a file of the whole
name when it is given a `file://` URI. Those are understood, without percent-encoding, as fsspec does. A key with a
space, `=` or `%` in it is the file of that very name.

Paths are text in here, as in the URIs: making Path objects would double what a small blob costs.
"""

import asyncio
import errno
import os
import secrets
import stat
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from sailplane_core.errors import InvalidRequest, LimitReached, NotFound, Unavailable
from sailplane_core.ports import BlobInfo, Clock, SignedUrl

from .signed_urls import UrlSigner

T = TypeVar("T")

SCHEME = "file://"
INCOMING = ".incoming"
"""How names of unfinished objects begin; no other name may. Large objects and uploads are written to a directory of
this name in the root, which is cleared at the start. Small ones are written beside the place where they will be, which
is two to four times as fast: file systems keep a directory's files together, and pay for those made elsewhere."""
INLINE_BYTES_MAX = 64 * 1024
"""Up to this size a file is read and written on the event loop: some 30 us through the page cache, where handing it to
a thread costs 100 us and more. Larger ones go to a thread, so that nobody waits for them."""
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
"""Non-blocking for the sake of a named pipe that somebody left in the directory: opening it would wait for a writer."""


class FileBlobs:
    """Objects below `root`, which is created. Symbolic links are followed as long as they stay inside it.

    `sync_to_disk`: with False an object survives the death of the process, but perhaps not a power cut right after it
    was written. With True every put waits for the disk. `public_base_url` is where `http.blob_routes` answer; it may be
    set later, when the port is known. Clears away what an earlier process left unfinished, so there must be only one.
    """

    def __init__(
        self, root: Path, signer: UrlSigner, clock: Clock, *, public_base_url: str = "", sync_to_disk: bool = False
    ) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = os.path.realpath(root)
        self.signer = signer
        self.clock = clock
        self.public_base_url = public_base_url
        self._sync_to_disk = sync_to_disk
        self._incoming = f"{self.root}/{INCOMING}"
        Path(self._incoming).mkdir(exist_ok=True)
        for left_over in os.scandir(self._incoming):
            Path(left_over).unlink()

    def uri(self, key: str) -> str:
        """The URI of a key: `/root/metadata/p/d/x/inputs.pb`. Raises `InvalidRequest` on `..`."""
        return self.path_of(key)

    async def put(self, uri: str, data: bytes) -> None:
        """Store it, replacing what was there. Raises `InvalidRequest` where a part of the path is an object itself."""
        path = self._path(uri)
        if len(data) <= INLINE_BYTES_MAX and not self._sync_to_disk:
            self._put(path, data)
        else:
            await asyncio.to_thread(self._put, path, data)

    async def put_stream(self, uri: str, chunks: AsyncIterable[bytes]) -> None:
        """Store what the chunks make up together. Raises what `put` raises, and what the chunks raise."""
        path = self._path(uri)
        with as_our_errors(path):
            descriptor, incoming = self.open_incoming()
        with unlinked_on_failure(descriptor, incoming):
            async for chunk in chunks:
                with as_our_errors(path):
                    await asyncio.to_thread(_write, descriptor, chunk)
            with as_our_errors(path):
                await asyncio.to_thread(self.publish, descriptor, incoming, path)

    async def get(self, uri: str, *, start: int = 0, bytes_max: int | None = None) -> bytes:
        """The bytes from `start`, at most `bytes_max`; empty beyond the end. Raises `NotFound`, `InvalidRequest`."""
        if start < 0 or (bytes_max is not None and bytes_max < 0):
            raise InvalidRequest.invalid("range", "start and bytes_max must not be negative")
        with as_our_errors(uri):
            descriptor = os.open(self.existing_path(self._path(uri)), _READ)
            try:
                status = os.fstat(descriptor)
                _must_be_file(status, uri)
                left = max(0, status.st_size - start)
                count = left if bytes_max is None else min(left, bytes_max)
                if count <= INLINE_BYTES_MAX:
                    return _read(descriptor, start, count)
                return await asyncio.to_thread(_read, descriptor, start, count)
            finally:
                os.close(descriptor)

    async def head(self, uri: str) -> BlobInfo:
        """Size and time of change. Raises `NotFound`."""
        path = self._path(uri)
        with as_our_errors(uri):
            status = os.stat(self.existing_path(path))
            _must_be_file(status, uri)
            return _info(path, status)

    async def list(self, prefix_uri: str) -> AsyncIterator[BlobInfo]:
        """The object at the prefix, if it is one, or all below it, ordered by URI. Symbolic links are left out.

        A prefix ends where a path segment ends: `…/a` lists `…/a/b`, not `…/ab`.
        """
        top = self._path(prefix_uri)
        with as_our_errors(prefix_uri):
            status = _stat_if_present(self.existing_path(top))
        if status is None:
            return
        if stat.S_ISREG(status.st_mode):
            yield _info(top, status)
            return
        waiting = [top + "/"]  # a stack; directories end in a slash, which is also how they sort among the objects
        while waiting:
            path = waiting.pop()
            if not path.endswith("/"):
                if (status := _stat_if_present(path)) is not None:  # else deleted since its directory was read
                    yield _info(path, status)
                continue
            waiting.extend(reversed(await asyncio.to_thread(_entries, self.existing_path(path), path)))

    async def delete(self, uri: str) -> None:
        """Missing is fine."""
        path = self._path(uri)
        with as_our_errors(uri), suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            os.unlink(f"{self.existing_path(os.path.dirname(path))}/{os.path.basename(path)}")

    async def sign(self, uri: str, method: str, expires_in_s: float, *, content_md5: bytes | None = None) -> SignedUrl:
        """A URL that permits `GET` (and `HEAD`) or `PUT` of exactly this object until it expires.

        With `content_md5` (16 raw bytes) only that content can be put. No header needs to be sent with it.
        """
        expires_at = self.clock.now() + timedelta(seconds=expires_in_s)
        path = self._path(uri)
        if path == self.root:
            raise InvalidRequest.invalid("uri", "it names no object")
        key = path[len(self.root) + 1 :]
        return SignedUrl(
            f"{self.public_base_url}/blobs/{self.signer.sign(method, key, expires_at, content_md5)}", expires_at
        )

    # For `http`, which streams.

    def path_of(self, key: str) -> str:
        """The absolute path of a key; does not look at the disk. Raises `InvalidRequest` if it would leave the root."""
        segments = [segment for segment in key.split("/") if segment not in ("", ".")]
        if ".." in segments or "\0" in key:
            raise InvalidRequest.invalid("key", "it must stay below the root")
        if any(segment.startswith(INCOMING) for segment in segments):
            raise InvalidRequest.invalid("key", f"names that begin with {INCOMING} are reserved")
        return "/".join((self.root, *segments))

    def existing_path(self, path: str) -> str:
        """The path with its symbolic links resolved. Raises `InvalidRequest` when they lead out of the root.

        Whoever can exchange a directory for a link between this look and the use of it has this process's own rights
        on the disk already, so the race gives nothing away.
        """
        real = os.path.realpath(path)
        if real != self.root and not real.startswith(self.root + "/"):
            raise InvalidRequest.invalid("uri", "a symbolic link leads out of the root")
        return real

    def open_incoming(self) -> tuple[int, str]:
        """A new file to write an object to: its descriptor and path. `publish` or unlink it."""
        return _create(f"{self._incoming}/{secrets.token_hex(8)}")

    def publish(self, descriptor: int, incoming: str, path: str) -> None:
        """Give a completely written file its name, all at once. Raises `InvalidRequest` where it cannot have it."""
        real = self.existing_path(os.path.dirname(path))
        with _as_misplaced():
            _retry_in_new_directory(
                real, lambda: self._rename(descriptor, incoming, f"{real}/{os.path.basename(path)}")
            )

    def _put(self, path: str, data: bytes) -> None:
        if len(data) <= INLINE_BYTES_MAX:
            self._put_small(path, data)
            return
        with as_our_errors(path):
            descriptor, incoming = self.open_incoming()
            with unlinked_on_failure(descriptor, incoming):
                _write(descriptor, data)
                self.publish(descriptor, incoming, path)

    def _put_small(self, path: str, data: bytes) -> None:
        with as_our_errors(path):
            real = self.existing_path(os.path.dirname(path))
            incoming = f"{real}/{INCOMING}-{secrets.token_hex(8)}"
            with _as_misplaced():
                descriptor, _ = _retry_in_new_directory(real, lambda: _create(incoming))
            with unlinked_on_failure(descriptor, incoming):
                _write(descriptor, data)
                with _as_misplaced():
                    self._rename(descriptor, incoming, f"{real}/{os.path.basename(path)}")

    def _rename(self, descriptor: int, incoming: str, path: str) -> None:
        if not self._sync_to_disk:
            os.replace(incoming, path)
            return
        os.fsync(descriptor)  # before the rename: after a power cut the name must not stand for an empty file
        os.replace(incoming, path)
        directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _path(self, uri: str) -> str:
        """The path of a URI of this store, with `file://` before it or without."""
        path = uri.removeprefix(SCHEME)
        if path != self.root and not path.startswith(self.root + "/"):
            raise InvalidRequest.invalid("uri", f"{uri!r} is not in this store")
        return self.path_of(path[len(self.root) :])


def _entries(real: str, directory: str) -> list[str]:
    """Files and directories (with a slash behind them) right below `directory/`, which really is `real`; sorted."""
    found: list[str] = []
    try:
        with os.scandir(real) as entries:
            for entry in entries:
                if entry.name.startswith(INCOMING):
                    continue
                if entry.is_file(follow_symlinks=False):
                    found.append(f"{directory}{entry.name}")
                elif entry.is_dir(follow_symlinks=False):
                    found.append(f"{directory}{entry.name}/")
    except (FileNotFoundError, NotADirectoryError):
        return []  # deleted since its parent was read
    return sorted(found)


@contextmanager
def as_our_errors(uri: str) -> Generator[None]:
    """Say what an error of the file system means to the caller."""
    try:
        yield
    except OSError as error:
        match error.errno:
            case errno.ENOENT | errno.ENOTDIR:
                raise NotFound("blob", uri) from error
            case errno.ENAMETOOLONG | errno.EINVAL | errno.ELOOP:
                raise InvalidRequest.invalid("uri", f"the file system refuses the name ({error.strerror})") from error
            case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
                raise LimitReached(f"disk space for blobs ({error.strerror})") from error
            case _:
                raise Unavailable(f"the blob store ({error.strerror})") from error


def _must_be_file(status: os.stat_result, uri: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotFound("blob", uri)


def _info(path: str, status: os.stat_result) -> BlobInfo:
    return BlobInfo(path, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))


def _stat_if_present(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _read(descriptor: int, start: int, count: int) -> bytes:
    parts: list[bytes] = []
    while count > 0 and (part := os.pread(descriptor, count, start)):
        parts.append(part)
        start += len(part)
        count -= len(part)
    return b"".join(parts)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _create(path: str) -> tuple[int, str]:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), path


def _retry_in_new_directory(directory: str, act: Callable[[], T]) -> T:
    """Do it; if the directory is missing, make it first. Most often it is there, so looking for it would be waste."""
    try:
        return act()
    except FileNotFoundError:
        os.makedirs(directory, exist_ok=True)
        return act()


@contextmanager
def _as_misplaced() -> Generator[None]:
    try:
        yield
    except (NotADirectoryError, IsADirectoryError, FileExistsError) as error:
        raise InvalidRequest.invalid("uri", "it lies below an object, or has objects below it") from error


@contextmanager
def unlinked_on_failure(descriptor: int, incoming: str) -> Generator[None]:
    try:
        yield
    except BaseException:
        with suppress(FileNotFoundError):  # it has its name already
            os.unlink(incoming)
        raise
    finally:
        os.close(descriptor)
