"""Whether an attempt whose process has ended did what it should: its files judged together with its exit."""

from collections.abc import Collection
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from sailplane_protos.core import errors_pb2, execution_pb2, literals_pb2

from .failures import Failure, FailureKind, bounded_message
from .podphase import PodReport

OUTPUT_BYTES_MAX = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class AttemptFiles:
    """What the attempt left below its output prefix. None is a file that is not there.

    `outputs_bytes` is the size of `outputs.pb`; a file over the limit need not be read, only measured.
    """

    error_pb: bytes | None = None
    outputs_pb: bytes | None = None
    outputs_bytes: int = 0
    has_futures: bool = False


@dataclass(frozen=True, slots=True)
class Success:
    """It did. `outputs` is empty for a task that declares none, and for one that left a sub-graph instead."""

    outputs: literals_pb2.LiteralMap


def judge(
    report: PodReport, files: AttemptFiles, declared_outputs: Collection[str], output_bytes_max: int = OUTPUT_BYTES_MAX
) -> Success | Failure:
    """The verdict on an ended attempt: `report` is that of its Pod, SUCCEEDED or FAILED.

    An error document counts before everything else: whoever wrote it knew best. Outputs are looked at only after a
    good exit.
    """
    if files.error_pb is not None:
        return error_document(files.error_pb)
    if report.failure is not None:
        return report.failure
    if files.has_futures:
        return Success(literals_pb2.LiteralMap())
    size = max(files.outputs_bytes, len(files.outputs_pb or b""))
    if size > output_bytes_max:
        message = (
            f"outputs.pb has {size} bytes, and at most {output_bytes_max} are allowed: return large values as files"
        )
        return Failure("OutputSizeExceeded", message, FailureKind.USER, retryable=False)
    if files.outputs_pb is None:
        return _without_outputs(declared_outputs)
    return _outputs(files.outputs_pb, declared_outputs)


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
        message=bounded_message(error.message or "the task wrote an error without a message"),
        kind=FailureKind.SYSTEM if is_system else FailureKind.USER,
        retryable=error.kind == errors_pb2.ContainerError.RECOVERABLE,
        at_s=error.timestamp.seconds + error.timestamp.nanos / 1e9 if error.HasField("timestamp") else None,
        worker=error.worker,
    )


def _without_outputs(declared_outputs: Collection[str]) -> Success | Failure:
    if not declared_outputs:
        return Success(literals_pb2.LiteralMap())
    names = ", ".join(sorted(declared_outputs))
    message = f"the task ended well, but wrote neither outputs.pb nor error.pb; it declares the outputs {names}"
    return Failure("OutputsNotFound", message, FailureKind.USER)


def _outputs(data: bytes, declared_outputs: Collection[str]) -> Success | Failure:
    try:
        outputs = literals_pb2.LiteralMap.FromString(data)
    except DecodeError:
        message = f"outputs.pb ({len(data)} bytes) is not a core.LiteralMap"
        return Failure("MalformedOutputs", message, FailureKind.USER)
    missing = sorted(set(declared_outputs) - set(outputs.literals))
    if missing:
        given = ", ".join(sorted(outputs.literals)) or "nothing"
        message = f"outputs.pb lacks the declared outputs {', '.join(missing)}; it holds {given}"
        return Failure("OutputsNotFound", message, FailureKind.USER)
    return Success(outputs)
