"""What the status of a call of ours means: the error that the other side raised, or that another try may help."""

import pytest
from grpc import StatusCode
from sailplane_core import errors
from sailplane_runtime.grpc_errors import error_of, status_of


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidRequest("missing project"),
        errors.NotFound("LAUNCH_PLAN", "a:b:c:d"),
        errors.AlreadyExists("execution", "p/d/x"),
        errors.Refused("not now"),
        errors.LimitReached("disk space"),
        errors.Unimplemented("nothing of that"),
    ],
)
def test_an_error_comes_back_as_what_it_was(error: errors.SailplaneError) -> None:
    status = status_of(error, None, as_flyte=False)
    back = error_of(status.code, status.message, asked="admin", kind="execution", id="p/d/x")
    assert (type(back), str(back)) == (type(error), str(error))


@pytest.mark.parametrize("code", list(StatusCode))
def test_every_status_means_something(code: StatusCode) -> None:
    error = error_of(code, "because", asked="admin", kind="execution", id="p/d/x")
    assert "because" in str(error)
    faultless = {StatusCode.INTERNAL, StatusCode.UNKNOWN, StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED}
    faultless |= {StatusCode.CANCELLED, StatusCode.DATA_LOSS, StatusCode.ABORTED}
    assert isinstance(error, errors.Unavailable) is (code in faultless)
    at_fault = {StatusCode.INTERNAL, StatusCode.UNKNOWN, StatusCode.DATA_LOSS}
    assert isinstance(error, errors.Malfunction) is (code in at_fault)


def test_what_is_too_large_for_a_message_never_fits() -> None:
    said = "SERVER: Received message larger than max (3 vs. 2)"
    error = error_of(StatusCode.RESOURCE_EXHAUSTED, said, asked="admin", kind="execution", id="p/d/x")
    assert isinstance(error, errors.InvalidRequest)
