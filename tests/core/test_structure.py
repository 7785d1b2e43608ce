"""Two registrations of one version are compared by what they mean."""

from hypothesis import given
from hypothesis import strategies as st
from sailplane_core import structure
from sailplane_protos.core import interface_pb2, literals_pb2, tasks_pb2, types_pb2, workflow_pb2


def task(image: str = "python:3.12", names: tuple[str, ...] = ("a", "b", "c")) -> tasks_pb2.TaskTemplate:
    template = tasks_pb2.TaskTemplate(type="python-task")
    template.container.image = image
    for name in names:
        template.interface.inputs.variables[name].type.simple = types_pb2.INTEGER
        template.custom.fields[name].number_value = 1
    return template


@given(st.permutations(["a", "b/c", "d~e", "ü", ""]))
def test_order_of_map_entries_does_not_count(names: list[str]) -> None:
    one, other = task(names=("a", "b/c", "d~e", "ü", "")), task(names=tuple(names))
    assert structure.digest(one) == structure.digest(other)
    assert structure.same(one, other)
    assert structure.diff(one, other) == ""


def test_an_empty_message_is_as_good_as_none() -> None:
    bare, padded = tasks_pb2.TaskTemplate(type="x"), tasks_pb2.TaskTemplate(type="x")
    padded.interface.inputs.SetInParent()
    padded.metadata.SetInParent()
    assert structure.same(bare, padded)
    assert structure.diff(bare, padded) == ""
    assert not bare.HasField("interface"), "the arguments are not changed"
    assert padded.HasField("metadata")


def test_the_kind_of_an_empty_value_counts() -> None:
    nothing, empty_list, empty_map = literals_pb2.Literal(), literals_pb2.Literal(), literals_pb2.Literal()
    nothing.scalar.none_type.SetInParent()
    empty_list.collection.SetInParent()
    empty_map.map.SetInParent()
    kinds = [literals_pb2.Literal(), nothing, empty_list, empty_map]
    for left, one in enumerate(kinds):
        for right, other in enumerate(kinds):
            assert structure.same(one, other) == (left == right)


def test_false_in_a_wrapper_differs_from_unset() -> None:
    unset, off = tasks_pb2.TaskTemplate(type="x"), tasks_pb2.TaskTemplate(type="x")
    off.metadata.generates_deck.value = False
    assert not structure.same(unset, off)
    assert "generates_deck" in structure.diff(unset, off)


def test_an_empty_map_entry_counts() -> None:
    one, other = interface_pb2.VariableMap(), interface_pb2.VariableMap()
    other.variables["a"].SetInParent()
    assert not structure.same(one, other)


def test_unknown_fields_count() -> None:
    one = tasks_pb2.TaskTemplate.FromString(task().SerializeToString() + b"\x92\x7d\x01x")
    assert not structure.same(task(), one)
    assert structure.same(one, tasks_pb2.TaskTemplate.FromString(one.SerializeToString()))


def test_the_diff_points_at_what_changed() -> None:
    before, after = workflow_pb2.WorkflowTemplate(), workflow_pb2.WorkflowTemplate()
    before.nodes.add(id="n0").metadata.name = "old"
    after.nodes.add(id="n0").metadata.name = "new"
    after.nodes.add(id="n1")
    before.metadata.tags.update({"a/b~": "1", "c": "2"})
    after.metadata.tags["c"] = "2"
    assert structure.diff(before, after).splitlines() == [
        "/metadata/tags/a~1b~0:",
        "\t- '1'",
        "\t+ (absent)",
        "/nodes/0/metadata/name:",
        "\t- 'old'",
        "\t+ 'new'",
        "/nodes/1:",
        "\t- (absent)",
        '\t+ id: "n1"',
    ]


def test_enums_are_shown_by_name() -> None:
    before, after = types_pb2.LiteralType(simple=types_pb2.INTEGER), types_pb2.LiteralType(simple=types_pb2.STRING)
    assert structure.diff(before, after) == "/simple:\n\t- 'INTEGER'\n\t+ 'STRING'"


def test_the_diff_is_bounded() -> None:
    before = task(names=tuple(f"name-{index:05}" for index in range(5000)))
    text = structure.diff(before, task(image="ä" * 1000, names=()))
    assert len(text.encode()) <= structure.DIFF_BYTES_MAX
    assert text.endswith("...")


@given(st.dictionaries(st.text(max_size=5), st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=5))))
def test_same_agrees_with_diff(values: dict[str, object]) -> None:
    one, other = tasks_pb2.TaskTemplate(), tasks_pb2.TaskTemplate()
    one.custom.update({"kept": 1, **values})
    other.custom.CopyFrom(one.custom)
    assert structure.same(one, other)
    other.custom.update({"added": "value that was not there"})
    assert not structure.same(one, other)
    assert "/custom/fields/added" in structure.diff(one, other)
