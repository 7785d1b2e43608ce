"""The cache of parsed versions: the ones used last, up to a size."""

from sailplane_admin.cache import EntityCache
from sailplane_core.ids import EntityId, ResourceType
from sailplane_protos.admin import task_pb2, workflow_pb2


def id_of(name: str) -> EntityId:
    return EntityId(ResourceType.TASK, "p", "d", name, "v")


def test_what_was_not_used_for_longest_makes_room() -> None:
    cache = EntityCache(size_bytes_max=10)
    messages = {name: task_pb2.Task(short_description=name) for name in "abc"}
    cache.put(id_of("a"), messages["a"], 4)
    cache.put(id_of("b"), messages["b"], 4)
    assert cache.get(id_of("a"), task_pb2.Task) is messages["a"]
    cache.put(id_of("c"), messages["c"], 4)
    assert cache.get(id_of("b"), task_pb2.Task) is None
    assert cache.get(id_of("a"), task_pb2.Task) is messages["a"]
    assert cache.get(id_of("c"), task_pb2.Task) is messages["c"]


def test_putting_it_again_does_not_count_twice() -> None:
    cache = EntityCache(size_bytes_max=10)
    for name in ("a", "a", "a", "b"):
        cache.put(id_of(name), task_pb2.Task(), 5)
    assert cache.get(id_of("a"), task_pb2.Task) is not None
    assert cache.get(id_of("b"), task_pb2.Task) is not None


def test_what_is_too_large_is_not_kept_and_pushes_nothing_out() -> None:
    cache = EntityCache(size_bytes_max=10)
    cache.put(id_of("a"), task_pb2.Task(), 10)
    cache.put(id_of("b"), task_pb2.Task(), 11)
    assert cache.get(id_of("a"), task_pb2.Task) is not None
    assert cache.get(id_of("b"), task_pb2.Task) is None


def test_a_message_of_another_type_is_not_given() -> None:
    cache = EntityCache()
    cache.put(id_of("a"), task_pb2.Task(), 1)
    assert cache.get(id_of("a"), workflow_pb2.Workflow) is None
