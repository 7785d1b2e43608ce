"""An attempt's verdict: its error document, its exit and its outputs judged together."""

from typing import Any

import pytest
from core import flytekit_values
from core.compiler.building import interface
from core.types.samples import INT, NONE, NOTHING, STR, Literal, Type, enum, list_of, optional
from sailplane_core.failures import CODE_BYTES_MAX, MESSAGE_BYTES_MAX, Failure, FailureKind
from sailplane_core.phases import TaskPhase
from sailplane_core.podphase import PodReport
from sailplane_core.task_result import AttemptFiles, Success, declared_by, judge
from sailplane_protos.core import errors_pb2, execution_pb2, literals_pb2, workflow_pb2

USER, SYSTEM = FailureKind.USER, FailureKind.SYSTEM
GOOD = PodReport(TaskPhase.SUCCEEDED)
BAD = PodReport(TaskPhase.FAILED, failure=Failure("UnknownError", "exit code 1", USER))

NON_RECOVERABLE, RECOVERABLE = errors_pb2.ContainerError.NON_RECOVERABLE, errors_pb2.ContainerError.RECOVERABLE
ErrorKind = execution_pb2.ExecutionError
O0 = {"o0": NONE}


def outputs(*names: str) -> bytes:
    return holding(**dict.fromkeys(names, NOTHING))


def holding(**values: Literal) -> bytes:
    return literals_pb2.LiteralMap(literals=values).SerializeToString()


def error(**fields: object) -> bytes:
    return errors_pb2.ErrorDocument(error=errors_pb2.ContainerError(**fields)).SerializeToString()


def failure(report: PodReport, files: AttemptFiles, bytes_max: int = 100) -> Failure:
    verdict = judge(report, files, O0, bytes_max)
    assert isinstance(verdict, Failure)
    return verdict


def test_declared_outputs_after_a_good_exit_are_success() -> None:
    verdict = judge(GOOD, AttemptFiles(outputs_pb=outputs("o0", "o1")), O0)
    assert isinstance(verdict, Success)
    assert set(verdict.outputs.literals) == {"o0", "o1"}


@pytest.mark.parametrize("files", [AttemptFiles(), AttemptFiles(outputs_pb=b"")])
def test_without_declared_outputs_nothing_needs_to_be_written(files: AttemptFiles) -> None:
    assert judge(GOOD, files, {}) == Success(literals_pb2.LiteralMap())


def test_a_sub_graph_stands_for_outputs() -> None:
    assert judge(GOOD, AttemptFiles(has_futures=True), O0) == Success(literals_pb2.LiteralMap())


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


def test_a_long_error_code_is_cut() -> None:
    found = failure(GOOD, AttemptFiles(error_pb=error(code="C" * 10_000, worker="w" * 10_000)), MESSAGE_BYTES_MAX)
    assert (len(found.code), len(found.worker)) == (CODE_BYTES_MAX, CODE_BYTES_MAX)


@pytest.mark.parametrize("seconds", [2**62, -(2**62), 10**13, 253_402_300_800, -62_135_596_801])
def test_a_time_that_cannot_be_is_left_out(seconds: int) -> None:
    assert failure(GOOD, AttemptFiles(error_pb=error(message="x", timestamp={"seconds": seconds}))).at_s is None
    assert failure(GOOD, AttemptFiles(error_pb=error(message="x", timestamp={"seconds": 7}))).at_s == 7


def test_a_long_error_message_is_cut() -> None:
    found = failure(GOOD, AttemptFiles(error_pb=error(message="x" * (MESSAGE_BYTES_MAX + 1))), 2 * MESSAGE_BYTES_MAX)
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
        (AttemptFiles(error_pb=b"x" * 101), "ErrorDocumentTooLarge", USER, True, "101 bytes, and at most 100"),
        (
            AttemptFiles(error_pb=b"x", error_bytes=102),
            "ErrorDocumentTooLarge",
            USER,
            True,
            "102 bytes, and at most 100",
        ),
    ],
)
def test_what_is_wrong_with_the_files_is_said(
    files: AttemptFiles, code: str, kind: FailureKind, retryable: bool, said: str
) -> None:
    found = failure(GOOD, files)
    assert (found.code, found.kind, found.retryable) == (code, kind, retryable)
    assert said in found.message


def integer(value: int) -> Literal:
    literal = Literal()
    literal.scalar.primitive.integer = value
    return literal


def text(value: str) -> Literal:
    literal = Literal()
    literal.scalar.primitive.string_value = value
    return literal


def list_literal(*elements: Literal) -> Literal:
    return Literal(collection=literals_pb2.LiteralCollection(literals=elements))


def stored_apart(inferred: Type) -> Literal:
    apart = literals_pb2.LiteralOffloadedMetadata(uri="s3://a/o0_offloaded_metadata.pb", inferred_type=inferred)
    return Literal(offloaded_metadata=apart)


@pytest.mark.parametrize("old_format", [False, True], ids=["msgpack", "struct"])
@pytest.mark.parametrize(
    ("python_type", "value"), flytekit_values.VALUES, ids=[str(one[0]) for one in flytekit_values.VALUES]
)
def test_what_flytekit_writes_for_a_type_is_accepted(
    python_type: Any, value: Any, old_format: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if old_format:
        monkeypatch.setenv("FLYTE_USE_OLD_DC_FORMAT", "true")
    variable, literal = flytekit_values.written(python_type, value)
    verdict = judge(GOOD, AttemptFiles(outputs_pb=holding(o0=literal)), {"o0": variable.type})
    assert isinstance(verdict, Success), verdict
    # Stored apart, as flytekit does with what is large.
    apart = judge(GOOD, AttemptFiles(outputs_pb=holding(o0=stored_apart(variable.type))), {"o0": variable.type})
    assert isinstance(apart, Success), apart


@pytest.mark.parametrize(
    ("declared", "given", "said"),
    [
        (INT, text("3"), "'o0' is declared as integer, and outputs.pb holds string, which does not fit"),
        (INT, NOTHING, "holds none"),
        (list_of(INT), integer(1), "declared as list[integer], and outputs.pb holds integer"),
        (list_of(INT), list_literal(integer(1), integer(2), text("x")), "union[integer | string]"),
        (optional(INT), text("x"), "union[integer | none], and outputs.pb holds string"),
        (enum("red"), text("blue"), "enum[red], and outputs.pb holds string"),
        (list_of(enum("red")), list_literal(text("red"), text("blue")), "list[enum[red]]"),
        (INT, stored_apart(STR), "holds string"),
        (INT, Literal(), "no value of a known type"),
    ],
)
def test_an_output_of_another_type_than_declared_is_the_users_mistake_for_good(
    declared: Type, given: Literal, said: str
) -> None:
    files = AttemptFiles(outputs_pb=holding(o0=given, o1=integer(1)))
    found = judge(GOOD, files, {"o0": declared, "o1": INT})
    assert isinstance(found, Failure)
    assert said in found.message
    assert (found.code, found.kind, found.retryable) == ("OutputTypeMismatch", USER, False)


def test_a_number_of_any_value_stands_for_all_but_not_for_a_text_after_it() -> None:
    many = [integer(i) for i in range(1000)]
    right, wrong = list_literal(*many), list_literal(*many, text("x"))
    assert isinstance(judge(GOOD, AttemptFiles(outputs_pb=holding(o0=right)), {"o0": list_of(INT)}), Success)
    assert isinstance(judge(GOOD, AttemptFiles(outputs_pb=holding(o0=wrong)), {"o0": list_of(INT)}), Failure)


def test_outputs_that_are_not_declared_are_nobodys_business() -> None:
    files = AttemptFiles(outputs_pb=holding(o0=integer(1), more=text("x")))
    assert isinstance(judge(GOOD, files, {"o0": INT}), Success)


def test_an_item_of_a_map_writes_one_element() -> None:
    whole = interface({"a": list_of(INT)}, {"o0": list_of(optional(INT)), "o1": STR})
    array = workflow_pb2.ArrayNode()
    assert declared_by(whole) == {"o0": list_of(optional(INT)), "o1": STR}
    assert declared_by(whole, array) == {"o0": optional(INT), "o1": STR}
    array.is_original_sub_node_interface.value = True
    assert declared_by(whole, array) == declared_by(whole)
    verdict = judge(GOOD, AttemptFiles(outputs_pb=holding(o0=integer(1), o1=text("x"))), declared_by(whole))
    assert isinstance(verdict, Failure)
