"""What is said of a project, a domain or a workflow: which of it counts, and what is refused."""

from collections.abc import Mapping

import pytest
from sailplane_core.attributes import (
    RESOURCE_OF_TARGET,
    Place,
    check_needs,
    default_needs,
    first_of,
    limits,
    missing_plugin,
    replaced,
    resource_of,
)
from sailplane_core.errors import InvalidRequest
from sailplane_core.resources import Needs, bounded
from sailplane_protos.admin import matchable_resource_pb2 as pb

FAIL, USE_DEFAULT = pb.PluginOverride.FAIL, pb.PluginOverride.USE_DEFAULT


def overrides(given: Mapping[str, str], missing: "pb.PluginOverride.MissingPluginBehavior.ValueType" = FAIL):
    made = pb.MatchingAttributes()
    for task_type, plugin in given.items():
        made.plugin_overrides.overrides.add(task_type=task_type, plugin_id=[plugin], missing_plugin_behavior=missing)
    return made


def plugins(matching: pb.MatchingAttributes) -> dict[str, str]:
    return {one.task_type: one.plugin_id[0] for one in matching.plugin_overrides.overrides}


def test_every_kind_of_attributes_has_its_resource_type() -> None:
    targets = pb.MatchingAttributes.DESCRIPTOR.oneofs_by_name["target"].fields
    assert {field.name for field in targets} == set(RESOURCE_OF_TARGET)
    assert sorted(RESOURCE_OF_TARGET.values()) == sorted(pb.MatchableResource.values())
    assert resource_of(overrides({"spark": "a"})) == pb.PLUGIN_OVERRIDE


def test_the_more_specific_place_ranks_higher() -> None:
    places = [
        Place(project="p", domain="d", workflow="w", launch_plan="l"),
        Place(project="p", domain="d", workflow="w"),
        Place(project="p", domain="d"),
        Place(project="p"),
        Place(domain="d"),
        Place(),
    ]
    assert sorted(places, key=lambda place: place.rank, reverse=True) == places


def test_the_first_of_a_kind_counts() -> None:
    near, far = overrides({"spark": "near"}), overrides({"spark": "far"})
    other = pb.MatchingAttributes(cluster_assignment={"cluster_pool_name": "pool"})
    assert first_of([other, near, far], "plugin_overrides") == near
    assert first_of([other], "plugin_overrides") == pb.MatchingAttributes()


def test_plugin_overrides_are_merged_by_task_type_and_all_else_is_replaced() -> None:
    old = overrides({"spark": "old", "ray": "old"})
    assert plugins(replaced(old, overrides({"spark": "new", "dask": "new"}))) == {
        "spark": "new",
        "ray": "old",
        "dask": "new",
    }
    pool = pb.MatchingAttributes(cluster_assignment={"cluster_pool_name": "new"})
    assert replaced(pb.MatchingAttributes(cluster_assignment={"cluster_pool_name": "old"}), pool) == pool
    assert replaced(None, pool) == pool


def test_a_plugin_that_must_be_used_and_is_not_there_is_missed() -> None:
    given = overrides({"spark": "operator"}).plugin_overrides.overrides
    assert "spark" in missing_plugin(given, "spark", ["container"])
    assert not missing_plugin(given, "spark", ["container", "operator"])
    assert not missing_plugin(given, "ray", ["container"])
    assert not missing_plugin(
        overrides({"spark": "operator"}, USE_DEFAULT).plugin_overrides.overrides, "spark", ["container"]
    )


RESOURCES = pb.TaskResourceAttributes(
    defaults=pb.TaskResourceSpec(cpu="100m", ephemeral_storage="1Gi"),
    limits=pb.TaskResourceSpec(cpu="2", gpu="1", memory="1Gi"),
)


def test_defaults_and_limits_are_told_by_the_names_of_kubernetes() -> None:
    assert default_needs(RESOURCES) == Needs({"cpu": "100m", "ephemeral-storage": "1Gi"}, {})
    assert limits(RESOURCES) == {"cpu": "2", "nvidia.com/gpu": "1", "memory": "1Gi"}
    assert limits(pb.TaskResourceAttributes()) == {}


def test_whoever_asks_for_more_than_the_limit_is_told_so_of_every_resource() -> None:
    check_needs(
        Needs({"cpu": "2000m", "memory": "1024Mi"}, {"cpu": "2", "ephemeral-storage": "5Ti"}), limits(RESOURCES)
    )
    with pytest.raises(InvalidRequest) as caught:
        check_needs(Needs({"cpu": "2001m"}, {"memory": "2Gi", "nvidia.com/gpu": "1"}), limits(RESOURCES))
    assert "CPU default [2001m] is greater than current limit" in str(caught.value)
    assert "MEMORY limit [2Gi]" in str(caught.value)
    assert "GPU" not in str(caught.value)


def test_needs_beyond_the_limit_are_cut_to_it() -> None:
    asked = Needs({"cpu": "4", "memory": "1Gi"}, {"cpu": "8", "ephemeral-storage": "1Gi"})
    assert bounded(asked, {"cpu": "2", "memory": "2Gi"}) == Needs(
        {"cpu": "2", "memory": "1Gi"}, {"cpu": "2", "ephemeral-storage": "1Gi"}
    )
    assert bounded(asked, {}) == asked
