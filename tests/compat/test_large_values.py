"""Outputs that stock flytekit stores apart because of their size."""

from compat.runs import Runs

MEBIBYTES = 11


def test_a_list_over_ten_mebibytes_goes_on_to_the_next_task_and_can_be_taken_apart(runs: Runs) -> None:
    done = runs.run("large.large", {"mebibytes": MEBIBYTES})
    assert (done.outputs["o0"], done.outputs["o1"]) == (MEBIBYTES * 1024 * 1024, "3-")
    apart = done.outputs.literals["o2"].offloaded_metadata
    assert apart.size_bytes > 10 * 1024 * 1024
    assert [text[:3] for text in done.outputs["o2"]][-1] == "10-"
    assert done.outputs["o3"] == [f"{index}-"[:2] for index in range(MEBIBYTES)]
