"""Whether an attempt whose process has ended did what it should: its files judged together with its exit."""

from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from sailplane_protos.core import errors_pb2, execution_pb2, interface_pb2, literals_pb2, types_pb2, workflow_pb2

from .errors import InvalidRequest
from .failures import Failure, FailureKind
from .podphase import PodReport
from .types import accepts, describe, type_of

Declared = Mapping[str, types_pb2.LiteralType]
"""Output name to type."""

OUTPUT_BYTES_MAX = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class AttemptFiles:
    """What the attempt left below its output prefix. None is a file that is not there.

    `outputs_bytes` and `error_bytes` are the sizes of the files; one over the limit need not be read, only measured.
    """

    error_pb: bytes | None = None
    outputs_pb: bytes | None = None
    outputs_bytes: int = 0
    error_bytes: int = 0
    has_futures: bool = False


@dataclass(frozen=True, slots=True)
class Success:
    """It did. `outputs` is empty for a task that declares none, and for one that left a sub-graph instead."""

    outputs: literals_pb2.LiteralMap


def declared_by(interface: interface_pb2.TypedInterface, array: workflow_pb2.ArrayNode | None = None) -> Declared:
    """The outputs that an attempt of a task of this interface must write.

    In an `array` whose task is declared as the whole map, lists for lists, each item writes one element of each list.
    """
    types = {name: variable.type for name, variable in interface.outputs.variables.items()}
    if array is None or array.is_original_sub_node_interface.value:
        return types
    return {name: one.collection_type if one.HasField("collection_type") else one for name, one in types.items()}


def judge(
    report: PodReport, files: AttemptFiles, declared: Declared, output_bytes_max: int = OUTPUT_BYTES_MAX
) -> Success | Failure:
    """The verdict on an ended attempt: `report` is that of its Pod, SUCCEEDED or FAILED.

    An error document counts before everything else: whoever wrote it knew best. Outputs are looked at only after a
    good exit. Those that are not declared are nobody's business, as for Flyte; those that are must have a value of
    their type, which Flyte does not look at.
    """
    if files.error_pb is not None:
        size = max(files.error_bytes, len(files.error_pb))
        if size > output_bytes_max:
            message = f"error.pb has {size} bytes, and at most {output_bytes_max} are read"
            return Failure("ErrorDocumentTooLarge", message, FailureKind.USER)
        return error_document(files.error_pb)
    if report.failure is not None:
        return report.failure
    if files.has_futures:
        return Success(literals_pb2.LiteralMap())
    size = max(files.outputs_bytes, len(files.outputs_pb or b""))
    if size > output_bytes_max:
        return too_large(f"outputs.pb has {size} bytes", output_bytes_max)
    if files.outputs_pb is None:
        return _without_outputs(declared)
    return _outputs(files.outputs_pb, declared)


def error_document(data: bytes) -> Failure:
    """The failure that an `error.pb` tells of; one that cannot be read is a failure of its own."""
    try:
        error = errors_pb2.ErrorDocument.FromString(data).error
    except DecodeError:
        message = f"error.pb ({len(data)} bytes) is not a core.ErrorDocument"
        return Failure("MalformedErrorDocument", message, FailureKind.SYSTEM)
    is_system = error.origin == execution_pb2.ExecutionError.SYSTEM
    return Failure(
        code=error.code or "Unknown",
        message=error.message or "the task wrote an error without a message",
        kind=FailureKind.SYSTEM if is_system else FailureKind.USER,
        retryable=error.kind == errors_pb2.ContainerError.RECOVERABLE,
        at_s=error.timestamp.seconds + error.timestamp.nanos / 1e9 if error.HasField("timestamp") else None,
        worker=error.worker,
    )


def too_large(what: str, bytes_max: int) -> Failure:
    """Outputs that nobody may have in one message."""
    message = f"{what}, and at most {bytes_max} are allowed: return large values as files"
    return Failure("OutputSizeExceeded", message, FailureKind.USER, retryable=False)


def _without_outputs(declared: Declared) -> Success | Failure:
    if not declared:
        return Success(literals_pb2.LiteralMap())
    names = ", ".join(sorted(declared))
    message = f"the task ended well, but wrote neither outputs.pb nor error.pb; it declares the outputs {names}"
    return Failure("OutputsNotFound", message, FailureKind.USER)


def _outputs(data: bytes, declared: Declared) -> Success | Failure:
    try:
        outputs = literals_pb2.LiteralMap.FromString(data)
    except DecodeError:
        message = f"outputs.pb ({len(data)} bytes) is not a core.LiteralMap"
        return Failure("MalformedOutputs", message, FailureKind.USER)
    missing = sorted(set(declared) - set(outputs.literals))
    if missing:
        given = ", ".join(sorted(outputs.literals)) or "nothing"
        message = f"outputs.pb lacks the declared outputs {', '.join(missing)}; it holds {given}"
        return Failure("OutputsNotFound", message, FailureKind.USER)
    for name in sorted(declared):
        if not accepts(declared[name], outputs.literals[name]):
            message = f"output {name!r} is declared as {describe(declared[name])}, {_shown(outputs.literals[name])}"
            return Failure("OutputTypeMismatch", message, FailureKind.USER, retryable=False)
    return Success(outputs)


def _shown(literal: literals_pb2.Literal) -> str:
    try:
        return f"and outputs.pb holds {describe(type_of(literal))}, which does not fit"
    except InvalidRequest as error:
        return f"and what outputs.pb holds does not fit: {error}"
