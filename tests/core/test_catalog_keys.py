"""What decides whether two runs share an entry of the cache."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sailplane_core.catalog_keys import CACHE_KEY_METADATA, CachePolicy, CatalogKey, cache_policy, catalog_key
from sailplane_core.ids import EntityId, ResourceType
from sailplane_protos.core import interface_pb2, literals_pb2, tasks_pb2, types_pb2, workflow_pb2

INTEGER = types_pb2.LiteralType(simple=types_pb2.INTEGER)
STRING = types_pb2.LiteralType(simple=types_pb2.STRING)
ID = EntityId(ResourceType.TASK, "p", "development", "t", "v7")


POLICY = CachePolicy("1")


def task(**inputs: types_pb2.LiteralType) -> tasks_pb2.TaskTemplate:
    """A cached task that gives an integer `o0`."""
    template = tasks_pb2.TaskTemplate(id=ID.to_message())
    template.metadata.discoverable = True
    template.metadata.discovery_version = "1"
    for name, declared in inputs.items():
        template.interface.inputs.variables[name].CopyFrom(interface_pb2.Variable(type=declared))
    template.interface.outputs.variables["o0"].CopyFrom(interface_pb2.Variable(type=INTEGER))
    return template


def integer(value: int) -> literals_pb2.Literal:
    return literals_pb2.Literal(scalar={"primitive": {"integer": value}})


def text(value: str) -> literals_pb2.Literal:
    return literals_pb2.Literal(scalar={"primitive": {"string_value": value}})


def key(template: tasks_pb2.TaskTemplate, policy: CachePolicy = POLICY, **values: literals_pb2.Literal) -> CatalogKey:
    return catalog_key(template, policy, literals_pb2.LiteralMap(literals=values))


PLAIN = task(x=INTEGER)
GOLDEN_TAG = "flyte_cached-lDqljsSlmXQ8ajL2_WC7rzjWr3zdLjQKZAxq-4c4lRk"


# Whether at all


def test_a_task_says_that_it_is_cached() -> None:
    assert cache_policy(workflow_pb2.Node(), PLAIN) == CachePolicy("1")


@pytest.mark.parametrize("what", ["flag", "version", "outputs"])
def test_without_a_flag_a_version_or_outputs_nothing_is_cached(what: str) -> None:
    template = task()
    if what == "flag":
        template.metadata.discoverable = False
    elif what == "version":
        template.metadata.discovery_version = "  "
    else:
        template.interface.outputs.variables.clear()
    assert cache_policy(workflow_pb2.Node(), template) is None


def test_the_nodes_word_stands_above_the_tasks() -> None:
    node = workflow_pb2.Node()
    node.metadata.cacheable = False
    assert cache_policy(node, PLAIN) is None
    node.metadata.cacheable = True
    node.metadata.cache_version = "2"
    node.metadata.cache_serializable = True
    uncached = task()
    uncached.metadata.discoverable = False
    assert cache_policy(node, uncached) == CachePolicy("2", is_serializable=True)


def test_ignored_inputs_and_serial_runs_come_from_the_task() -> None:
    template = task()
    template.metadata.cache_ignore_input_vars.append("why")
    template.metadata.cache_serializable = True
    assert cache_policy(workflow_pb2.Node(), template) == CachePolicy("1", True, frozenset({"why"}))


# Which entry


def test_the_names_are_flytes_and_the_hashes_stay_as_they_are() -> None:
    # If this fails, an upgrade empties everybody's cache.
    assert key(PLAIN, x=integer(3)) == CatalogKey("p", "development", "flyte_task-t", "1-YJBrg1P--0HJHfFzO", GOLDEN_TAG)


def test_the_version_of_the_task_does_not_count_and_that_of_the_cache_does() -> None:
    other = task(x=INTEGER)
    other.id.version = "v8"
    assert key(PLAIN, x=integer(3)) == key(other, x=integer(3))
    assert key(PLAIN, x=integer(3)) != key(PLAIN, CachePolicy("2"), x=integer(3))


def test_types_count_and_what_is_said_about_them_does_not() -> None:
    remarked = task(x=INTEGER)
    remarked.interface.inputs.variables["x"].description = "a number"
    remarked.interface.inputs.variables["x"].type.metadata["schema"] = "..."
    assert key(remarked, x=integer(3)).version == key(PLAIN, x=integer(3)).version
    assert key(task(x=STRING), x=integer(3)).version != key(PLAIN, x=integer(3)).version
    assert key(task(x=INTEGER, y=INTEGER), x=integer(3)).version != key(PLAIN, x=integer(3)).version


def test_one_annotation_counts() -> None:
    annotated = task(x=INTEGER)
    annotations = annotated.interface.inputs.variables["x"].type.annotation.annotations
    annotations["remark"] = "no"
    assert key(annotated, x=integer(3)).version == key(PLAIN, x=integer(3)).version
    annotations[CACHE_KEY_METADATA] = {"kind": "a"}
    assert key(annotated, x=integer(3)).version != key(PLAIN, x=integer(3)).version


def test_ignored_inputs_count_neither_by_value_nor_by_type() -> None:
    policy = CachePolicy("1", ignored_inputs=frozenset({"why"}))
    one = key(task(x=INTEGER, why=STRING), policy, x=integer(3), why=text("a"))
    assert one == key(task(x=INTEGER, why=STRING), policy, x=integer(3), why=text("b"))
    assert one == key(task(x=INTEGER, why=INTEGER), policy, x=integer(3), why=integer(1))


def hashed(value: literals_pb2.Literal, digest: str) -> literals_pb2.Literal:
    literal = literals_pb2.Literal()
    literal.CopyFrom(value)
    literal.hash = digest
    return literal


def test_a_value_with_a_hash_of_its_own_is_that_hash_at_any_depth() -> None:
    def listed(value: literals_pb2.Literal) -> literals_pb2.Literal:
        return literals_pb2.Literal(collection={"literals": [value]})

    assert key(PLAIN, x=hashed(integer(3), "h")) == key(PLAIN, x=hashed(integer(4), "h"))
    assert key(PLAIN, x=hashed(integer(3), "h")) != key(PLAIN, x=hashed(integer(3), "g"))
    assert key(PLAIN, x=listed(hashed(integer(3), "h"))) == key(PLAIN, x=listed(hashed(integer(4), "h")))
    assert key(PLAIN, x=listed(hashed(integer(3), "h"))) != key(PLAIN, x=hashed(integer(3), "h"))


def test_what_is_stored_apart_counts_by_its_hash_or_else_its_place() -> None:
    def apart(uri: str, digest: str = "") -> literals_pb2.Literal:
        return literals_pb2.Literal(offloaded_metadata={"uri": uri, "size_bytes": 5}, hash=digest)

    assert key(PLAIN, x=apart("/a", "h")) == key(PLAIN, x=apart("/b", "h"))
    assert key(PLAIN, x=apart("/a")) != key(PLAIN, x=apart("/b"))


SCALARS = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(integer),
    st.text().map(text),
    st.floats().map(lambda value: literals_pb2.Literal(scalar={"primitive": {"float_value": value}})),
    st.booleans().map(lambda value: literals_pb2.Literal(scalar={"primitive": {"boolean": value}})),
    st.binary().map(lambda value: literals_pb2.Literal(scalar={"binary": {"value": value, "tag": "msgpack"}})),
    st.just(literals_pb2.Literal(scalar={"none_type": {}})),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda ones: literals_pb2.Literal(collection={"literals": ones})),
        st.dictionaries(st.text(max_size=3), inner, max_size=3).map(
            lambda entries: literals_pb2.Literal(map={"literals": entries})
        ),
    ),
    max_leaves=6,
)


@given(VALUES, VALUES)
def test_equal_values_share_a_tag_and_others_do_not(one: literals_pb2.Literal, other: literals_pb2.Literal) -> None:
    same = one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)
    assert (key(PLAIN, x=one).tag == key(PLAIN, x=other).tag) is same


@given(st.dictionaries(st.text(min_size=1, max_size=5), VALUES, max_size=4))
def test_the_order_of_inputs_does_not_count(values: dict[str, literals_pb2.Literal]) -> None:
    forth = literals_pb2.LiteralMap(literals=values)
    back = literals_pb2.LiteralMap(literals=dict(reversed(values.items())))
    assert catalog_key(PLAIN, CachePolicy("1"), forth) == catalog_key(PLAIN, CachePolicy("1"), back)


def test_not_a_number_is_itself() -> None:
    nan = literals_pb2.Literal(scalar={"primitive": {"float_value": math.nan}})
    assert key(PLAIN, x=nan) == key(PLAIN, x=nan)
