"""Caching: hits, versions, ignored inputs, hashes, overwriting, serialized computation, and what nodes tell of it."""

from pathlib import Path

from compat.raw import admin
from compat.runs import Runs, marks, phase, result
from flyteidl.admin.node_execution_pb2 import NodeExecutionGetRequest, TaskNodeMetadata
from flyteidl.core.catalog_pb2 import CatalogCacheStatus
from flyteidl.core.identifier_pb2 import NodeExecutionIdentifier
from flytekit.remote.executions import FlyteWorkflowExecution


def told(runs: Runs, done: FlyteWorkflowExecution, node: str = "n0") -> TaskNodeMetadata:
    """What a node tells of the cache."""
    id = NodeExecutionIdentifier(node_id=node, execution_id=done.id.to_flyte_idl())
    return admin(runs.plane).GetNodeExecution(NodeExecutionGetRequest(id=id)).closure.task_node_metadata


def status(runs: Runs, done: FlyteWorkflowExecution, node: str = "n0") -> str:
    """The name of the cache status."""
    return CatalogCacheStatus.Name(told(runs, done, node).cache_status)


def test_the_second_run_is_a_hit(runs: Runs, tmp_path: Path) -> None:
    inputs = {"x": 1, "marks": str(tmp_path)}
    first, second = runs.run("caches.once", inputs), runs.run("caches.once", inputs)
    assert result(first) == result(second) == 2
    assert marks(tmp_path) == {"remembered1": 1}
    assert [status(runs, one) for one in (first, second)] == ["CACHE_POPULATED", "CACHE_HIT"]
    assert second.node_executions["n0"].task_executions == []
    assert second.node_executions["n0"].outputs["o0"] == 2
    source = told(runs, second).catalog_key
    assert source.dataset_id.name == "flyte_task-caches.remembered"
    assert source.artifact_tag.name.startswith("flyte_cached-")
    assert source.source_task_execution.node_execution_id.execution_id.name == first.id.name


def test_ignored_inputs_make_no_difference_and_others_do(runs: Runs, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
        assert result(runs.run("caches.once", {"x": 2, "marks": str(folder)})) == 3
    assert [marks(folder) for folder in folders] == [{"remembered2": 1}, {}]
    assert result(runs.run("caches.once", {"x": 3, "marks": str(folders[1])})) == 4
    assert marks(folders[1]) == {"remembered3": 1}


def test_another_version_of_the_cache_is_a_miss(runs: Runs, tmp_path: Path) -> None:
    inputs = {"x": 4, "marks": str(tmp_path)}
    runs.run("caches.once", inputs)
    assert status(runs, runs.run("caches.other_version", inputs)) == "CACHE_POPULATED"
    assert status(runs, runs.run("caches.other_version", inputs)) == "CACHE_HIT"
    assert marks(tmp_path) == {"remembered4": 2}


def test_a_node_can_turn_the_cache_on_and_off(runs: Runs, tmp_path: Path) -> None:
    inputs = {"x": 5, "marks": str(tmp_path)}
    runs.run("caches.once", inputs)
    assert status(runs, runs.run("caches.never", inputs)) == "CACHE_DISABLED"
    assert marks(tmp_path) == {"remembered5": 2}
    assert status(runs, runs.run("caches.uncached", inputs)) == "CACHE_DISABLED"
    assert status(runs, runs.run("caches.cached_by_node", inputs)) == "CACHE_POPULATED"
    assert status(runs, runs.run("caches.cached_by_node", inputs)) == "CACHE_HIT"
    assert marks(tmp_path) == {"remembered5": 2, "forgetful5": 2}


def test_values_with_the_same_hash_are_the_same(runs: Runs, tmp_path: Path) -> None:
    found = [runs.run("caches.through_hash", {"x": x, "marks": str(tmp_path)}) for x in (11, 21, 12)]
    assert [status(runs, one, "n1") for one in found] == ["CACHE_POPULATED", "CACHE_HIT", "CACHE_POPULATED"]
    assert [result(one) for one in found] == [11, 11, 12]


def test_overwriting_computes_again_and_keeps_the_new_result(runs: Runs, tmp_path: Path) -> None:
    inputs = {"x": 6, "marks": str(tmp_path)}
    runs.run("caches.once", inputs)
    again = runs.run("caches.once", inputs, overwrite_cache=True)
    assert marks(tmp_path) == {"remembered6": 2}
    assert status(runs, again) == "CACHE_POPULATED"
    third = runs.run("caches.once", inputs)
    assert marks(tmp_path) == {"remembered6": 2}
    assert told(runs, third).catalog_key.source_task_execution.node_execution_id.execution_id.name == again.id.name


def test_of_many_that_ask_at_once_one_computes_and_the_others_take(runs: Runs, tmp_path: Path) -> None:
    inputs = {"x": 7, "marks": str(tmp_path)}
    started = [runs.start("caches.one_at_a_time", inputs) for _ in range(3)]
    done = [runs.end(one) for one in started]
    assert [result(one) for one in done] == [8, 8, 8]
    assert marks(tmp_path) == {"serialized7": 1}
    assert sorted(status(runs, one) for one in done) == ["CACHE_HIT", "CACHE_HIT", "CACHE_POPULATED"]


def test_when_the_one_that_computes_fails_another_does(runs: Runs, tmp_path: Path) -> None:
    inputs = {"x": 9, "marks": str(tmp_path)}
    started = [runs.start("caches.one_at_a_time_and_failing", inputs) for _ in range(3)]
    done = [runs.end(one) for one in started]
    assert sorted(phase(one) for one in done) == ["FAILED", "SUCCEEDED", "SUCCEEDED"]
    assert marks(tmp_path) == {"failing": 2}


def test_the_items_of_a_map_are_cached_one_by_one(runs: Runs, tmp_path: Path) -> None:
    assert result(runs.run("caches.mapped", {"xs": [100, 101], "marks": str(tmp_path)})) == 203
    done = runs.run("caches.mapped", {"xs": [101, 102, 100], "marks": str(tmp_path)})
    assert result(done) == 306
    assert marks(tmp_path) == {"remembered100": 1, "remembered101": 1, "remembered102": 1}
    [task] = done.node_executions["n0"].task_executions
    found = {one.index: CatalogCacheStatus.Name(one.cache_status) for one in task.closure.metadata.external_resources}
    assert found == {0: "CACHE_HIT", 1: "CACHE_POPULATED", 2: "CACHE_HIT"}


def test_a_file_that_is_no_longer_there_is_a_miss(runs: Runs, tmp_path: Path) -> None:
    inputs = {"text": "kept", "marks": str(tmp_path)}
    first, second = runs.run("caches.filed", inputs), runs.run("caches.filed", inputs)
    assert [status(runs, one) for one in (first, second)] == ["CACHE_POPULATED", "CACHE_HIT"]
    Path(first.outputs.literals["o0"].scalar.blob.uri).unlink()
    third = runs.run("caches.filed", inputs)
    assert status(runs, third) == "CACHE_POPULATED"
    assert Path(third.outputs["o0"].download()).read_text() == "kept"
    assert marks(tmp_path) == {"written": 2}
