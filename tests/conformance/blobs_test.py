"""What every blob store promises: whole objects by URI, ranges, ordered listings, nothing outside its root."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import fsspec
import pytest
from conformance.conftest import BlobWorld, settle
from sailplane_core.errors import InvalidRequest, LimitReached, NotFound, Unavailable
from sailplane_core.ports import BlobStore
from sailplane_runtime.blobs import files
from sailplane_runtime.blobs.files import INCOMING, INLINE_BYTES_MAX, FileBlobs
from sailplane_runtime.blobs.signed_urls import UrlSigner
from sailplane_runtime.clock import ManualClock

SIZES = [0, 1, 200, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1, 3_000_000]
NAMES = [
    "a b.pb",
    "rB1pGvvnIVIF5DvQH8RYrw==/script_mode.tar.gz",
    "100%.txt",
    "%2e%2e%2fescape",
    "a+b&c=d?e#f",
    "été/日本語",
    "narrow\u202fspace",
    "~/home",
    "..hidden/...",
    "-rf",
    "x" * 200,
]


async def uris(blobs: BlobStore, prefix_uri: str) -> list[str]:
    return [info.uri async for info in blobs.list(prefix_uri)]


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_put_is_got(blobs: BlobStore, size: int) -> None:
    data = os.urandom(size)
    uri = blobs.uri("metadata/p/d/x/inputs.pb")
    await blobs.put(uri, data)
    assert await blobs.get(uri) == data
    info = await blobs.head(uri)
    assert (info.uri, info.size_bytes) == (uri, size)
    assert info.modified_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize("size", [1000, INLINE_BYTES_MAX * 3])
async def test_ranges(blobs: BlobStore, size: int) -> None:
    data = os.urandom(size)
    uri = blobs.uri("a")
    await blobs.put(uri, data)
    assert await blobs.get(uri, start=10) == data[10:]
    assert await blobs.get(uri, start=10, bytes_max=size // 2) == data[10 : 10 + size // 2]
    assert await blobs.get(uri, bytes_max=0) == b""
    assert await blobs.get(uri, start=size - 1, bytes_max=100) == data[-1:]
    assert await blobs.get(uri, start=size + 5) == b""
    for bad in ({"start": -1}, {"bytes_max": -1}):
        with pytest.raises(InvalidRequest):
            await blobs.get(uri, **bad)


async def test_putting_again_replaces(blobs: BlobStore) -> None:
    uri = blobs.uri("a/b")
    await blobs.put(uri, b"first, and longer")
    await blobs.put(uri, b"second")
    assert await blobs.get(uri) == b"second"


async def chunks_of(*chunks: bytes, error: Exception | None = None) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
        await asyncio.sleep(0)
    if error is not None:
        raise error


async def test_chunks_become_one_object_once_the_last_has_come(blobs: BlobStore) -> None:
    uri = blobs.uri("a/b")
    last = os.urandom(3_000_000)

    async def watched() -> AsyncIterator[bytes]:
        yield b"first"
        assert await uris(blobs, blobs.uri("a")) == []
        yield last

    await blobs.put_stream(uri, watched())
    assert await blobs.get(uri) == b"first" + last
    await blobs.put_stream(uri, chunks_of())
    assert await blobs.get(uri) == b""


async def test_chunks_that_end_in_an_error_leave_everything_as_it_was(blobs: BlobStore) -> None:
    old, new = blobs.uri("old"), blobs.uri("new")
    await blobs.put(old, b"old")
    for uri in (old, new):
        with pytest.raises(PermissionError):
            await blobs.put_stream(uri, chunks_of(b"some", error=PermissionError("theirs")))
    assert await uris(blobs, blobs.uri("")) == [old]
    assert await blobs.get(old) == b"old"


@pytest.mark.parametrize("size", [100, INLINE_BYTES_MAX * 20])
async def test_a_reader_sees_a_whole_object(blobs: BlobStore, size: int) -> None:
    uri = blobs.uri("a")
    await blobs.put(uri, bytes(size))
    puts = asyncio.gather(*(blobs.put(uri, bytes([number]) * size) for number in range(20)))
    while not puts.done():
        data = await blobs.get(uri)
        assert len(data) == size
        assert len(set(data)) == 1
        await asyncio.sleep(0)
    await puts


async def test_missing_objects(blobs: BlobStore) -> None:
    await blobs.put(blobs.uri("a/b"), b"")
    for key in ("nothing", "a", "a/b/c", "a/c"):
        with pytest.raises(NotFound):
            await blobs.get(blobs.uri(key))
        with pytest.raises(NotFound):
            await blobs.head(blobs.uri(key))
        await blobs.delete(blobs.uri(key))
    assert await blobs.get(blobs.uri("a/b")) == b""


async def test_deleting(blobs: BlobStore) -> None:
    uri = blobs.uri("a/b")
    await blobs.put(uri, b"x")
    await blobs.delete(uri)
    await blobs.delete(uri)
    with pytest.raises(NotFound):
        await blobs.get(uri)
    assert await uris(blobs, blobs.uri("")) == []


async def test_listing_is_ordered_by_uri_and_ends_at_a_segment(blobs: BlobStore) -> None:
    keys = ["a/b/1", "a/b-1", "a/b/2/x", "a/b.pb", "a/b0", "ab/x", "a/c"]
    for key in keys:
        await blobs.put(blobs.uri(key), key.encode())
    everything = sorted(blobs.uri(key) for key in keys)
    assert await uris(blobs, blobs.uri("")) == everything
    assert await uris(blobs, blobs.uri("a")) == [uri for uri in everything if uri.startswith(blobs.uri("a") + "/")]
    assert await uris(blobs, blobs.uri("a/b")) == [blobs.uri("a/b/1"), blobs.uri("a/b/2/x")]
    assert await uris(blobs, blobs.uri("a/c")) == [blobs.uri("a/c")]
    assert await uris(blobs, blobs.uri("nothing")) == []
    assert [info.size_bytes async for info in blobs.list(blobs.uri("a/b"))] == [5, 7]


@pytest.mark.parametrize("key", NAMES)
async def test_unusual_names(blobs: BlobStore, key: str) -> None:
    uri = blobs.uri(f"p/{key}")
    await blobs.put(uri, b"x")
    assert await blobs.get(uri) == b"x"
    assert await uris(blobs, blobs.uri("p")) == [uri]
    url = (await blobs.sign(uri, "GET", 60)).url
    assert unquote(urlsplit(url).path).endswith(f"/p/{key}")


@pytest.mark.parametrize("key", ["..", "../x", "a/../../x", "a/..", "a/../b", "/../x", "a/b\0c"])
def test_keys_that_leave_the_root_are_refused(blobs: BlobStore, key: str) -> None:
    with pytest.raises(InvalidRequest):
        blobs.uri(key)


async def test_uris_of_other_places_are_refused(blobs: BlobStore) -> None:
    root = blobs.uri("").rstrip("/")
    for uri in (
        "file:///etc/passwd",
        "/etc/passwd",
        "s3://bucket/x",
        "http://127.0.0.1/x",
        "",
        "relative",
        f"{root}/../x",
        f"{root}/a/../../x",
        f"{root}-beside/x",
        f"{root}/a/\0",
    ):
        for act in (
            blobs.get(uri),
            blobs.head(uri),
            blobs.put(uri, b""),
            blobs.delete(uri),
            blobs.sign(uri, "GET", 60),
            uris(blobs, uri),
        ):
            with pytest.raises(InvalidRequest):
                await act


async def test_only_get_and_put_of_an_object_are_signed(blobs: BlobStore) -> None:
    for method in ("DELETE", "HEAD", "get", ""):
        with pytest.raises(InvalidRequest, match="method"):
            await blobs.sign(blobs.uri("a"), method, 60)
    with pytest.raises(InvalidRequest, match="content_md5"):
        await blobs.sign(blobs.uri("a"), "PUT", 60, content_md5=b"short")
    with pytest.raises(InvalidRequest, match="names no object"):
        await blobs.sign(blobs.uri(""), "GET", 60)
    with pytest.raises(InvalidRequest, match="control"):
        await blobs.sign(blobs.uri("a\nb"), "GET", 60)


async def test_a_signed_url_says_when_it_expires(blob_world: BlobWorld) -> None:
    signed = await blob_world.blobs.sign(blob_world.blobs.uri("a"), "PUT", 90)
    assert signed.expires_at == blob_world.clock.now() + timedelta(seconds=90)


# Files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root of blobs"


@pytest.fixture
def file_blobs(root: Path) -> FileBlobs:
    return open_blobs(root)


def open_blobs(root: Path, **options: bool) -> FileBlobs:
    return FileBlobs(root, UrlSigner(b"s" * 32), ManualClock(), **options)


@pytest.mark.parametrize("key", NAMES)
async def test_fsspec_opens_the_same_file(file_blobs: FileBlobs, key: str) -> None:
    uri = file_blobs.uri(f"in/{key}")
    await file_blobs.put(uri, b"from us")
    with fsspec.open(uri) as file:
        assert file.read() == b"from us"
    with fsspec.filesystem("file", auto_mkdir=True).open(file_blobs.uri(f"out/{key}"), "wb") as file:
        file.write(b"from a task")
    assert await file_blobs.get(file_blobs.uri(f"out/{key}")) == b"from a task"


async def test_a_file_scheme_before_the_path_is_understood(file_blobs: FileBlobs) -> None:
    uri = file_blobs.uri("a/b")
    await file_blobs.put(f"file://{uri}", b"x")
    assert await file_blobs.get(uri) == b"x"


async def test_doubled_slashes_name_the_same_object(file_blobs: FileBlobs) -> None:
    assert file_blobs.uri("/a//./b") == file_blobs.uri("a/b")
    await file_blobs.put(file_blobs.uri("") + "//a//b", b"x")
    assert await file_blobs.get(file_blobs.uri("a/b")) == b"x"


async def test_links_that_lead_out_of_the_root_are_refused(file_blobs: FileBlobs, root: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (tmp_path / "outside").mkdir()
    (root / "link").symlink_to(secret)
    (root / "dir").symlink_to(tmp_path / "outside")
    (root / "up").symlink_to("..")
    for key in ("link", "dir/x", "up/secret", "up/outside/x"):
        uri = file_blobs.uri(key)
        for act in (file_blobs.get(uri), file_blobs.head(uri), uris(file_blobs, uri)):
            with pytest.raises(InvalidRequest, match="symbolic link"):
                await act
    for key in ("dir/x", "up/outside/x", "dir/new/x"):
        with pytest.raises(InvalidRequest, match="symbolic link"):
            await file_blobs.put(file_blobs.uri(key), b"overwritten")
        with pytest.raises(InvalidRequest, match="symbolic link"):
            await file_blobs.delete(file_blobs.uri(key))
    await file_blobs.put(file_blobs.uri("link"), b"replaces the link, not its target")
    assert secret.read_text() == "secret"
    assert list((tmp_path / "outside").iterdir()) == []


async def test_links_inside_the_root_are_followed_and_not_listed(file_blobs: FileBlobs, root: Path) -> None:
    await file_blobs.put(file_blobs.uri("real/x"), b"x")
    (root / "link").symlink_to("real")
    assert await file_blobs.get(file_blobs.uri("link/x")) == b"x"
    assert await uris(file_blobs, file_blobs.uri("")) == [file_blobs.uri("real/x")]
    assert await uris(file_blobs, file_blobs.uri("link")) == [file_blobs.uri("link/x")]


async def test_a_named_pipe_is_no_object(file_blobs: FileBlobs, root: Path) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(NotFound):
        await file_blobs.get(file_blobs.uri("pipe"))
    assert await uris(file_blobs, file_blobs.uri("")) == []


async def test_an_object_cannot_lie_below_another(file_blobs: FileBlobs) -> None:
    await file_blobs.put(file_blobs.uri("a/b/c"), b"x")
    for key in ("a/b", "a", "a/b/c/d", "a/b/c/d/e"):
        with pytest.raises(InvalidRequest):
            await file_blobs.put(file_blobs.uri(key), b"y")
    assert await uris(file_blobs, file_blobs.uri("")) == [file_blobs.uri("a/b/c")]


async def test_a_name_that_is_too_long_is_the_callers_mistake(file_blobs: FileBlobs) -> None:
    for act in (file_blobs.put(file_blobs.uri("x" * 300), b""), file_blobs.get(file_blobs.uri("x" * 300))):
        with pytest.raises(InvalidRequest):
            await act


async def test_the_place_of_unfinished_objects_is_out_of_reach(file_blobs: FileBlobs, root: Path) -> None:
    (root / INCOMING / "x").write_text("unfinished")
    (root / f"{INCOMING}-x").write_text("unfinished")
    assert await uris(file_blobs, file_blobs.uri("")) == []
    for key in (INCOMING, f"{INCOMING}/x", f"/./{INCOMING}//x", f"a/{INCOMING}-x"):
        with pytest.raises(InvalidRequest, match="reserved"):
            file_blobs.uri(key)


@pytest.mark.parametrize("size", [10, INLINE_BYTES_MAX * 2])
async def test_a_put_that_fails_leaves_nothing(
    file_blobs: FileBlobs, root: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "write", full)
    with pytest.raises(LimitReached, match="disk space"):
        await file_blobs.put(file_blobs.uri("a"), bytes(size))
    assert await asyncio.to_thread(lambda: [path.name for path in root.rglob("*")]) == [INCOMING]


async def test_a_failing_disk_is_unavailable(file_blobs: FileBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> int:
        raise OSError(5, "Input/output error")

    await file_blobs.put(file_blobs.uri("a"), b"x")
    monkeypatch.setattr(files.os, "pread", broken)
    with pytest.raises(Unavailable):
        await file_blobs.get(file_blobs.uri("a"))


async def test_a_new_start_clears_away_what_was_unfinished(root: Path) -> None:
    first = open_blobs(root)
    await first.put(first.uri("a"), b"x")
    (root / INCOMING / "left over").write_text("unfinished")
    second = open_blobs(root)
    assert list((root / INCOMING).iterdir()) == []
    assert await second.get(second.uri("a")) == b"x"


async def test_a_cancelled_put_is_whole_or_not_there(file_blobs: FileBlobs, root: Path) -> None:
    put = asyncio.create_task(file_blobs.put(file_blobs.uri("a"), bytes(5_000_000)))
    await settle()
    put.cancel()
    await asyncio.gather(put, return_exceptions=True)
    found = [info.size_bytes async for info in file_blobs.list(file_blobs.uri(""))]
    assert found in ([], [5_000_000])


async def test_syncing_to_disk_changes_nothing_else(root: Path) -> None:
    blobs = open_blobs(root, sync_to_disk=True)
    await blobs.put(blobs.uri("a/b"), b"x")
    assert await blobs.get(blobs.uri("a/b")) == b"x"
