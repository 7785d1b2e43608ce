"""An attempt's verdict: its error document, its exit and its outputs judged together."""

import pytest
from sailplane_core.failures import MESSAGE_BYTES_MAX, Failure, FailureKind
from sailplane_core.phases import TaskPhase
from sailplane_core.podphase import PodReport
from sailplane_core.task_result import AttemptFiles, Success, judge
from sailplane_protos.core import errors_pb2, execution_pb2, literals_pb2

USER, SYSTEM = FailureKind.USER, FailureKind.SYSTEM
GOOD = PodReport(TaskPhase.SUCCEEDED)
BAD = PodReport(TaskPhase.FAILED, failure=Failure("UnknownError", "exit code 1", USER))

NON_RECOVERABLE, RECOVERABLE = errors_pb2.ContainerError.NON_RECOVERABLE, errors_pb2.ContainerError.RECOVERABLE
ErrorKind = execution_pb2.ExecutionError


def outputs(*names: str) -> bytes:
    none = literals_pb2.Literal(scalar=literals_pb2.Scalar(none_type=literals_pb2.Void()))
    return literals_pb2.LiteralMap(literals=dict.fromkeys(names, none)).SerializeToString()


def error(**fields: object) -> bytes:
    return errors_pb2.ErrorDocument(error=errors_pb2.ContainerError(**fields)).SerializeToString()


def failure(
    report: PodReport, files: AttemptFiles, declared: tuple[str, ...] = ("o0",), bytes_max: int = 100
) -> Failure:
    verdict = judge(report, files, declared, bytes_max)
    assert isinstance(verdict, Failure)
    return verdict


def test_declared_outputs_after_a_good_exit_are_success() -> None:
    verdict = judge(GOOD, AttemptFiles(outputs_pb=outputs("o0", "o1")), ("o0",))
    assert isinstance(verdict, Success)
    assert set(verdict.outputs.literals) == {"o0", "o1"}


@pytest.mark.parametrize("files", [AttemptFiles(), AttemptFiles(outputs_pb=b"")])
def test_without_declared_outputs_nothing_needs_to_be_written(files: AttemptFiles) -> None:
    assert judge(GOOD, files, ()) == Success(literals_pb2.LiteralMap())


def test_a_sub_graph_stands_for_outputs() -> None:
    assert judge(GOOD, AttemptFiles(has_futures=True), ("o0",)) == Success(literals_pb2.LiteralMap())


def test_a_bad_exit_counts_whatever_outputs_there_are() -> None:
    assert failure(BAD, AttemptFiles(outputs_pb=outputs("o0"))) is BAD.failure


@pytest.mark.parametrize(
    ("kind", "origin", "expected_kind", "retryable"),
    [
        (RECOVERABLE, ErrorKind.USER, USER, True),
        (RECOVERABLE, ErrorKind.SYSTEM, SYSTEM, True),
        (RECOVERABLE, ErrorKind.UNKNOWN, USER, True),
        (NON_RECOVERABLE, ErrorKind.USER, USER, False),
        (NON_RECOVERABLE, ErrorKind.SYSTEM, SYSTEM, False),
    ],
)
@pytest.mark.parametrize("report", [GOOD, BAD], ids=["good exit", "bad exit"])
def test_the_error_document_counts_most(
    report: PodReport, kind: int, origin: int, expected_kind: FailureKind, retryable: bool
) -> None:
    document = error(code="USER:ValueError", message="no", kind=kind, origin=origin, worker="w1")
    found = failure(report, AttemptFiles(error_pb=document, outputs_pb=outputs("o0")))
    assert found == Failure("USER:ValueError", "no", expected_kind, retryable, None, "w1")


def test_the_error_documents_time_is_kept() -> None:
    found = failure(GOOD, AttemptFiles(error_pb=error(timestamp={"seconds": 12, "nanos": 500_000_000})))
    assert found.at_s == 12.5


def test_an_empty_error_document_is_an_error() -> None:
    found = failure(GOOD, AttemptFiles(error_pb=b""))
    assert (found.code, found.retryable) == ("Unknown", False)
    assert found.message


def test_a_long_error_message_is_cut() -> None:
    found = failure(GOOD, AttemptFiles(error_pb=error(message="x" * (MESSAGE_BYTES_MAX + 1))))
    assert len(found.message) == MESSAGE_BYTES_MAX


@pytest.mark.parametrize(
    ("files", "code", "kind", "retryable", "said"),
    [
        (AttemptFiles(), "OutputsNotFound", USER, True, "neither outputs.pb nor error.pb; it declares the outputs o0"),
        (
            AttemptFiles(outputs_pb=outputs("o1")),
            "OutputsNotFound",
            USER,
            True,
            "lacks the declared outputs o0; it holds o1",
        ),
        (AttemptFiles(outputs_pb=b"\xff garbage"), "MalformedOutputs", USER, True, "outputs.pb (9 bytes)"),
        (AttemptFiles(error_pb=b"\xff garbage"), "MalformedErrorDocument", SYSTEM, True, "error.pb (9 bytes)"),
        (AttemptFiles(outputs_bytes=101), "OutputSizeExceeded", USER, False, "101 bytes, and at most 100"),
        (AttemptFiles(outputs_pb=b"x" * 101), "OutputSizeExceeded", USER, False, "101 bytes, and at most 100"),
    ],
)
def test_what_is_wrong_with_the_files_is_said(
    files: AttemptFiles, code: str, kind: FailureKind, retryable: bool, said: str
) -> None:
    found = failure(GOOD, files)
    assert (found.code, found.kind, found.retryable) == (code, kind, retryable)
    assert said in found.message
