"""Data of containers without an SDK: inputs become files before the process starts, files become outputs after it.

Stands in for the helper containers that Flyte puts beside such a container. Files are named by the variable:

- Simple values are text, None is `null`, structures are JSON; lists and maps are directories with an entry per
  element; files and whatever has a URI are copied, directories included.
- `inputs.pb` holds all of them with URIs turned into local paths, `inputs.json` or `inputs.yaml` the same as values.
- An output is read from `<name>`, or else from the only file called `<name>.*`. A directory becomes a multi-part blob
  with the paths below it kept. `_ERROR` holds the message of a failure.

Everything here can be done again after a crash.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError
from sailplane_core.dataconfig import DataConfig
from sailplane_core.errors import InvalidRequest, LimitReached, NotFound, Unavailable
from sailplane_core.layout import ERROR, OUTPUTS
from sailplane_core.literal_parse import parse
from sailplane_core.literal_text import Json, json_value, text
from sailplane_core.ports import BlobStore, Pod
from sailplane_protos.core import errors_pb2, execution_pb2, literals_pb2, types_pb2

from ..blobs.offloaded import onload
from .attempt_files import AttemptFiles
from .command import data_config_of

ERROR_FILE = "_ERROR"
ERROR_BYTES_MAX = 1024 * 1024
VALUE_BYTES_MAX = 10 * 1024 * 1024
"""A larger text is refused as an output value: it belongs into a file."""
CHUNK_BYTES = 8 * 1024 * 1024

DOWNLOAD_FAILED = "InputDownloadFailed"
UPLOAD_FAILED = "OutputUploadFailed"

_Kind = errors_pb2.ContainerError.Kind
_Origin = execution_pb2.ExecutionError.ErrorKind
_MULTIPART = types_pb2.BlobType.MULTIPART


def is_delivered(pod: Pod, files: AttemptFiles) -> bool:
    """Whether nothing remains to be stored of what it left."""
    return data_config_of(pod) is None or files.delivered.exists()


async def download(blobs: BlobStore, config: DataConfig, files: AttemptFiles) -> None:
    """Write the inputs as files. Raises `InvalidRequest`, `NotFound` and `Unavailable`, and `OSError`."""
    files.inputs.mkdir(exist_ok=True)
    files.outputs.mkdir(exist_ok=True)
    try:
        inputs = literals_pb2.LiteralMap.FromString(await blobs.get(config.inputs_uri))
    except DecodeError as error:
        raise InvalidRequest(f"the inputs at {config.inputs_uri} are not a core.LiteralMap") from error
    local = literals_pb2.LiteralMap()
    for name, literal in inputs.literals.items():
        _check_name(name)
        local.literals[name].CopyFrom(literal)
        await _write(blobs, files.inputs / name, local.literals[name])
    (files.inputs / "inputs.pb").write_bytes(local.SerializeToString())
    values: dict[str, Json] = {name: json_value(value) for name, value in sorted(local.literals.items())}
    if config.format in ("JSON", "YAML"):
        # Every JSON document is a YAML document.
        (files.inputs / f"inputs.{config.format.lower()}").write_text(json.dumps(values, ensure_ascii=False))


async def deliver(blobs: BlobStore, config: DataConfig, files: AttemptFiles, exit_code: int) -> None:
    """Store the outputs, or the error that there is instead: no room for them is one. Raises `Unavailable`."""
    try:
        error = _user_error(files)
        if error is None and exit_code == 0 and config.outputs.get("variables"):
            outputs = await _collect(blobs, config, files)
            await blobs.put(f"{config.output_prefix}/{OUTPUTS}", outputs.SerializeToString())
    except (InvalidRequest, NotFound, OSError) as problem:
        error = error_document(UPLOAD_FAILED, str(problem), _Origin.USER)
    except LimitReached as problem:
        error = error_document(UPLOAD_FAILED, str(problem), _Origin.SYSTEM)
    if error is not None:
        await _report(blobs, config, error)
    try:
        files.delivered.touch()
    except OSError as problem:
        raise Unavailable(f"the directory of the attempt ({problem})") from problem


def error_document(
    code: str, message: str, origin: "execution_pb2.ExecutionError.ErrorKind.ValueType"
) -> errors_pb2.ErrorDocument:
    """A failure that another attempt may mend."""
    error = errors_pb2.ContainerError(code=code, message=message, kind=_Kind.RECOVERABLE, origin=origin)
    return errors_pb2.ErrorDocument(error=error)


async def report_download_failure(blobs: BlobStore, config: DataConfig, problem: Exception) -> None:
    """Say in the attempt's error document that its inputs could not be put in place."""
    await _report(blobs, config, error_document(DOWNLOAD_FAILED, str(problem), _Origin.SYSTEM))


async def _report(blobs: BlobStore, config: DataConfig, error: errors_pb2.ErrorDocument) -> None:
    """Store the error; where not even that has room, the attempt waits until it has."""
    try:
        await blobs.put(f"{config.output_prefix}/{ERROR}", error.SerializeToString())
    except LimitReached as full:
        raise Unavailable(f"room for an error document ({full})") from full


async def _write(blobs: BlobStore, path: Path, literal: literals_pb2.Literal) -> None:
    """Write one value at `path`, and turn the URIs in it into paths."""
    match literal.WhichOneof("value"):
        case "collection":
            path.mkdir(exist_ok=True)
            for index, element in enumerate(literal.collection.literals):
                await _write(blobs, path / str(index), element)
        case "map":
            path.mkdir(exist_ok=True)
            for name, element in literal.map.literals.items():
                _check_name(name)
                await _write(blobs, path / name, element)
        case "scalar":
            await _write_scalar(blobs, path, literal)
        case "offloaded_metadata":
            literal.CopyFrom(await onload(blobs, literal))
            await _write(blobs, path, literal)
        case _:
            path.write_text(text(literal))


async def _write_scalar(blobs: BlobStore, path: Path, literal: literals_pb2.Literal) -> None:
    scalar = literal.scalar
    match scalar.WhichOneof("value"):
        case "union":
            await _write(blobs, path, scalar.union.value)
        case "none_type":
            path.write_text("null")
        case "blob":
            await _fetch(blobs, scalar.blob.uri, path, scalar.blob.metadata.type.dimensionality == _MULTIPART)
            scalar.blob.uri = str(path)
        case "structured_dataset":
            await _fetch(blobs, scalar.structured_dataset.uri, path, True)
            scalar.structured_dataset.uri = str(path)
        case "schema":
            await _fetch(blobs, scalar.schema.uri, path, True)
            scalar.schema.uri = str(path)
        case _:
            path.write_text(text(literal))


async def _fetch(blobs: BlobStore, uri: str, path: Path, is_directory: bool) -> None:
    if not is_directory:
        await _fetch_file(blobs, uri, path)
        return
    path.mkdir(exist_ok=True)
    async for found in blobs.list(uri):
        relative = found.uri[len(uri) :].lstrip("/")
        target = path / relative if relative else path / Path(urlsplit(found.uri).path).name
        target.parent.mkdir(parents=True, exist_ok=True)
        await _fetch_file(blobs, found.uri, target)


async def _fetch_file(blobs: BlobStore, uri: str, path: Path) -> None:
    with path.open("wb") as file:
        while chunk := await blobs.get(uri, start=file.tell(), bytes_max=CHUNK_BYTES):
            await asyncio.to_thread(file.write, chunk)


def _user_error(files: AttemptFiles) -> errors_pb2.ErrorDocument | None:
    path = files.outputs / ERROR_FILE
    if not path.is_file():
        return None
    with path.open("rb") as file:
        message = file.read(ERROR_BYTES_MAX).decode(errors="replace")
    return error_document("USER", message, _Origin.USER)


async def _collect(blobs: BlobStore, config: DataConfig, files: AttemptFiles) -> literals_pb2.LiteralMap:
    outputs = literals_pb2.LiteralMap()
    for name, variable in sorted(config.declared.variables.items()):
        path = _output_path(files.outputs, name)
        outputs.literals[name].CopyFrom(await _read_output(blobs, config, name, path, variable.type))
    return outputs


def _output_path(directory: Path, name: str) -> Path:
    _check_name(name)
    if (directory / name).exists():
        return directory / name
    others = sorted(path for path in directory.iterdir() if path.name.startswith(f"{name}."))
    if len(others) == 1:
        return others[0]
    found = ", ".join(sorted(path.name for path in directory.iterdir())) or "nothing"
    raise InvalidRequest(f"output {name!r} was not written: there is no one file {name} or {name}.*, but {found}")


async def _read_output(
    blobs: BlobStore, config: DataConfig, name: str, path: Path, expected: types_pb2.LiteralType
) -> literals_pb2.Literal:
    if expected.WhichOneof("type") == "blob":
        uri = f"{config.raw_output_prefix}/{path.name}"
        await _store(blobs, uri, path)
        metadata = literals_pb2.BlobMetadata(
            type=types_pb2.BlobType(
                format=expected.blob.format,
                dimensionality=_MULTIPART if path.is_dir() else types_pb2.BlobType.SINGLE,
            )
        )
        return literals_pb2.Literal(scalar=literals_pb2.Scalar(blob=literals_pb2.Blob(metadata=metadata, uri=uri)))
    if not path.is_file():
        raise InvalidRequest(f"output {name!r} is a directory, and its type is not a blob")
    if path.stat().st_size > VALUE_BYTES_MAX:
        raise InvalidRequest(f"output {name!r} has more than {VALUE_BYTES_MAX} bytes; declare it as a file")
    try:
        return parse(path.read_text(), expected)
    except (InvalidRequest, UnicodeDecodeError) as error:
        raise InvalidRequest(f"output {name!r}: {error}") from error


async def _store(blobs: BlobStore, uri: str, path: Path) -> None:
    if path.is_file():
        await blobs.put_stream(uri, _chunks(path))
        return
    for entry in sorted(path.iterdir()):
        await _store(blobs, f"{uri}/{entry.name}", entry)


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk


def _check_name(name: str) -> None:
    if not name or "/" in name or name in (".", ".."):
        raise InvalidRequest(f"{name!r} cannot be the name of a file")
