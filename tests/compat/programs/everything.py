"""One workflow with a node of every kind."""

from datetime import timedelta

from branches import double, quadruple
from dynamics import unrolled
from flytekit import approve, conditional, map_task, sleep, wait_for_input, workflow
from launches import child_plan
from maps import stubborn, total
from policies import flaky


@workflow
def everything(x: int, xs: list[int]) -> tuple[int, int, int]:
    """Every kind, one after another."""
    tried = flaky(succeed_at=1)
    nested = quadruple(x=tried)
    child = child_plan(a=nested)
    chosen = conditional("size").if_(child > 5).then(quadruple(x=child)).else_().then(double(x=child))
    allowed = approve(nested, "allowed", timeout=timedelta(hours=1))
    given = wait_for_input("given", timeout=timedelta(hours=1), expected_type=int)
    pause = sleep(timedelta(milliseconds=100))
    mapped = map_task(stubborn)(x=xs)
    made = unrolled(n=x)
    pause >> mapped
    return total(xs=mapped), made, total(xs=[allowed, given, chosen])
