"""Our schema says on the wire exactly what the published `flyteidl` says.

Both are read from the descriptors of their generated Python. Flyte's names are renamed to ours (`flyteidl.core.Literal`
to `sailplane.core.Literal`, `datacatalog.Tag` to `sailplane.datacatalog.Tag`), every file is spelled out as facts, one
per thing that a client can notice, and the two lists of facts are equal. Nothing is skipped.

Five packages are ours alone: `sailplane.governance`, `.notification`, `.propeller`, `.scheduler` and `.watch`. In the
others, a field or enum value that Flyte does not have must be numbered from 1000 up; Flyte has none there, so that a
stock client never sees it unless its user asks for it by number.

What is compared: files and packages; messages; fields with number, type, cardinality, oneof, JSON name, presence,
packing and deprecation; enums with their values and aliases; reserved numbers; services and methods with types,
streaming and HTTP bindings. What is not: comments, the order within a file, imports, the options that steer code
generators of other languages, and OpenAPI texts.
"""

import importlib
import pkgutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

import flyteidl
import pytest
import sailplane_protos
from google.api import annotations_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    EnumValueDescriptor,
    FieldDescriptor,
    FileDescriptor,
    MethodDescriptor,
)
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import Default, DescriptorPool

OURS_ALONE = (
    "sailplane.governance",
    "sailplane.notification",
    "sailplane.propeller",
    "sailplane.scheduler",
    "sailplane.watch",
)
FIRST_EXTENSION = 1000
HTTP: Any = annotations_pb2.http

Facts = dict[str, str]
Protos = dict[str, FileDescriptorProto]

# --- reading the descriptors


def files_of(package: ModuleType) -> list[FileDescriptor]:
    modules = pkgutil.walk_packages(package.__path__, prefix=f"{package.__name__}.")
    return [importlib.import_module(module.name).DESCRIPTOR for module in modules if module.name.endswith("_pb2")]


def mirrored(files: Iterable[FileDescriptor]) -> list[FileDescriptor]:
    return [file for file in files if file.package not in OURS_ALONE]


@pytest.fixture(scope="module")
def flyte() -> list[FileDescriptor]:
    return files_of(flyteidl)


@pytest.fixture(scope="module")
def ours() -> list[FileDescriptor]:
    return mirrored(files_of(sailplane_protos))


# --- spelling them out as facts


def renamed(name: str) -> str:
    """Flyte's name of a package, type or file, as we call it. Other names stay."""
    first = name.replace("/", ".").split(".")[0]
    if first == "flyteidl":
        return "sailplane" + name.removeprefix("flyteidl")
    if first == "datacatalog":
        return f"sailplane.{name}"
    return name


def facts_of(files: Iterable[FileDescriptor]) -> Facts:
    """Everything the contract consists of. Facts of one name would hide one another, so they are refused."""
    pairs = [pair for file in files for pair in _file(file)]
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    assert not twice
    return dict(pairs)


def _file(file: FileDescriptor) -> Iterator[tuple[str, str]]:
    syntax = _proto(file, FileDescriptorProto()).syntax
    yield f"file {renamed(file.name)}", f"package {renamed(file.package)}, {syntax}"
    for enum in file.enum_types_by_name.values():
        yield from _enum(enum)
    for message in file.message_types_by_name.values():
        yield from _message(message)
    for service in file.services_by_name.values():
        yield f"service {renamed(service.full_name)}", f"in {renamed(file.name)}"
        for method in service.methods:
            yield _method(method)
    assert not file.extensions_by_name


def _message(message: Descriptor) -> Iterator[tuple[str, str]]:
    proto = _proto(message, DescriptorProto())
    options = message.GetOptions()
    reserved = _reserved(((r.start, r.end) for r in proto.reserved_range), proto.reserved_name)
    yield (
        f"message {renamed(message.full_name)}",
        f"in {renamed(message.file.name)}, deprecated={options.deprecated}, map_entry={options.map_entry}, {reserved}",
    )
    for field in message.fields:
        if field.number < FIRST_EXTENSION:
            yield f"field {renamed(message.full_name)}.{field.name}", _field(field)
    for enum in message.enum_types:
        yield from _enum(enum)
    for nested in message.nested_types:
        yield from _message(nested)
    assert not message.extensions


def _field(field: FieldDescriptor) -> str:
    parent = _proto(field.containing_type, DescriptorProto())
    proto = next(other for other in parent.field if other.number == field.number)
    named = field.message_type or field.enum_type
    kind = f"{FieldDescriptorProto.Type.Name(proto.type)} {renamed(named.full_name) if named else ''}"
    label = FieldDescriptorProto.Label.Name(proto.label)
    oneof = field.containing_oneof.name if field.containing_oneof else ""
    return (
        f"{field.number}: {kind}, {label}, optional={proto.proto3_optional}, oneof={oneof}, json={field.json_name}, "
        f"presence={field.has_presence}, packed={field.is_packed}, deprecated={field.GetOptions().deprecated}"
    )


def _enum(enum: EnumDescriptor) -> Iterator[tuple[str, str]]:
    proto = _proto(enum, EnumDescriptorProto())
    options = enum.GetOptions()
    # An enum's reserved ranges include their end, unlike a message's.
    reserved = _reserved(((r.start, r.end + 1) for r in proto.reserved_range), proto.reserved_name)
    yield (
        f"enum {renamed(enum.full_name)}",
        f"in {renamed(enum.file.name)}, deprecated={options.deprecated}, allow_alias={options.allow_alias}, {reserved}",
    )
    for value in enum.values:
        if value.number >= FIRST_EXTENSION:
            continue
        yield (
            f"value {renamed(enum.full_name)}.{value.name}",
            f"{value.number}, deprecated={value.GetOptions().deprecated}",
        )


def _method(method: MethodDescriptor) -> tuple[str, str]:
    options = method.GetOptions()
    request = f"{'stream ' if method.client_streaming else ''}{renamed(method.input_type.full_name)}"
    response = f"{'stream ' if method.server_streaming else ''}{renamed(method.output_type.full_name)}"
    http = json_format.MessageToJson(options.Extensions[HTTP], sort_keys=True, indent=None)
    return (
        f"method {renamed(method.full_name)}",
        f"{request} -> {response}, deprecated={options.deprecated}, http={http}",
    )


def _proto(descriptor: Any, proto: Any) -> Any:
    """What the runtime's descriptor does not tell, such as reserved numbers, stands in its message form."""
    descriptor.CopyToProto(proto)
    return proto


def _reserved(ranges: Iterable[tuple[int, int]], names: Iterable[str]) -> str:
    """The numbers one by one, because `3, 4` and `3 to 4` mean the same."""
    numbers = sorted(number for start, end in ranges for number in range(start, end))
    return f"reserved={numbers} {sorted(names)}"


def differences(theirs: Facts, mine: Facts) -> list[str]:
    return [
        f"{name}\n    flyte: {theirs.get(name, 'has none')}\n    ours:  {mine.get(name, 'have none')}"
        for name in sorted(theirs.keys() | mine.keys())
        if theirs.get(name) != mine.get(name)
    ]


def extensions(files: Iterable[FileDescriptor], flyte: Iterable[FileDescriptor]) -> list[FieldDescriptor]:
    """The fields of ours that Flyte's message of that name lacks."""
    known = {full_name(field) for field in fields_of(flyte)}
    return [field for field in fields_of(files) if full_name(field) not in known]


def full_name(field: FieldDescriptor) -> str:
    message: Any = field.containing_type
    return f"{renamed(message.full_name)}.{field.name}"


def fields_of(files: Iterable[FileDescriptor]) -> Iterator[FieldDescriptor]:
    def below(message: Descriptor) -> Iterator[FieldDescriptor]:
        yield from message.fields
        for nested in message.nested_types:
            yield from below(nested)

    for file in files:
        for message in file.message_types_by_name.values():
            yield from below(message)


def enum_values_of(files: Iterable[FileDescriptor]) -> Iterator[EnumValueDescriptor]:
    def below(message: Descriptor) -> Iterator[EnumDescriptor]:
        yield from message.enum_types
        for nested in message.nested_types:
            yield from below(nested)

    for file in files:
        enums = [*file.enum_types_by_name.values()]
        for message in file.message_types_by_name.values():
            enums += below(message)
        for enum in enums:
            yield from enum.values


# --- the contract


def test_nothing_differs_from_flyte(flyte: list[FileDescriptor], ours: list[FileDescriptor]) -> None:
    found = differences(facts_of(flyte), facts_of(ours))
    assert not found, "\n".join(found)


def test_what_we_add_to_flytes_messages_is_numbered_from_1000_up(
    flyte: list[FileDescriptor], ours: list[FileDescriptor]
) -> None:
    assert [field.full_name for field in extensions(ours, flyte) if field.number < FIRST_EXTENSION] == []
    assert [field.full_name for field in fields_of(flyte) if field.number >= FIRST_EXTENSION] == []
    assert [value.name for value in enum_values_of(flyte) if value.number >= FIRST_EXTENSION] == []


def test_the_whole_contract_is_compared(flyte: list[FileDescriptor]) -> None:
    """A map field counts as one field; the message protobuf makes for its entries, with its key and value, does not.

    There are 31 of those, hence 468 messages and 1370 fields as protobuf sees them. Nested messages and enums do count.
    """
    facts = facts_of(flyte)
    entries = {name.removeprefix("message ") for name, fact in facts.items() if "map_entry=True" in fact}
    counts = Counter(
        name.split()[0]
        for name in facts
        if not (name.startswith("message ") and name.removeprefix("message ") in entries)
        and not (name.startswith("field ") and name.removeprefix("field ").rpartition(".")[0] in entries)
    )
    assert len(entries) == 31
    assert [counts[kind] for kind in ("file", "message", "field", "enum", "method")] == [63, 437, 1308, 53, 92]


# --- the comparison itself: whatever is changed, it is seen

Change = Callable[[Protos], None]


def altered(files: Iterable[FileDescriptor], change: Change) -> list[FileDescriptor]:
    """The same files with one thing changed, in a pool of their own."""
    protos = {file.name: _proto(file, FileDescriptorProto()) for file in files}
    change(protos)
    pool = DescriptorPool()
    added: set[str] = set()

    def add(name: str) -> None:
        if name in added:
            return
        added.add(name)
        proto = protos.get(name) or _proto(Default().FindFileByName(name), FileDescriptorProto())
        for dependency in proto.dependency:
            add(dependency)
        pool.Add(proto)

    for name in protos:
        add(name)
    return [pool.FindFileByName(name) for name in protos]


def _message_named(protos: Protos, file: str, name: str) -> DescriptorProto:
    return next(message for message in protos[f"sailplane/{file}.proto"].message_type if message.name == name)


def _field_named(protos: Protos, file: str, name: str) -> FieldDescriptorProto:
    message, _, wanted = name.partition(".")
    return next(field for field in _message_named(protos, file, message).field if field.name == wanted)


def _number(protos: Protos) -> None:
    _field_named(protos, "core/tasks", "TaskTemplate.type").number = 900


def _type(protos: Protos) -> None:
    _field_named(protos, "core/tasks", "TaskTemplate.type").type = FieldDescriptorProto.TYPE_BYTES


def _name(protos: Protos) -> None:
    _field_named(protos, "core/tasks", "TaskTemplate.type").name = "sort"


def _cardinality(protos: Protos) -> None:
    _field_named(protos, "core/tasks", "TaskTemplate.type").label = FieldDescriptorProto.LABEL_REPEATED


def _json_name(protos: Protos) -> None:
    _field_named(protos, "core/tasks", "TaskTemplate.type").json_name = "sort"


def _oneof(protos: Protos) -> None:
    _field_named(protos, "core/tasks", "TaskTemplate.container").ClearField("oneof_index")


def _presence(protos: Protos) -> None:
    message = _message_named(protos, "core/tasks", "TaskTemplate")
    message.oneof_decl.add(name="_type")
    field = _field_named(protos, "core/tasks", "TaskTemplate.type")
    field.proto3_optional, field.oneof_index = True, len(message.oneof_decl) - 1


def _field_gone(protos: Protos) -> None:
    _message_named(protos, "core/tasks", "TaskTemplate").field.remove(
        _field_named(protos, "core/tasks", "TaskTemplate.type")
    )


def _field_added(protos: Protos) -> None:
    string = FieldDescriptorProto.TYPE_STRING
    optional = FieldDescriptorProto.LABEL_OPTIONAL
    _message_named(protos, "core/tasks", "TaskTemplate").field.add(
        name="added", number=999, type=string, label=optional
    )


def _message_added(protos: Protos) -> None:
    protos["sailplane/core/tasks.proto"].message_type.add(name="Added")


def _reservation_gone(protos: Protos) -> None:
    del _message_named(protos, "core/literals", "Literal").reserved_range[:]


def _enum_value(protos: Protos) -> None:
    protos["sailplane/core/identifier.proto"].enum_type[0].value[1].number = 77


def _package(protos: Protos) -> None:
    file = protos["sailplane/service/identity.proto"]
    file.package = "sailplane.elsewhere"
    for method in file.service[0].method:
        method.input_type = method.input_type.replace("sailplane.service", "sailplane.elsewhere")
        method.output_type = method.output_type.replace("sailplane.service", "sailplane.elsewhere")


def _streaming(protos: Protos) -> None:
    protos["sailplane/service/signal.proto"].service[0].method[1].server_streaming = True


def _response(protos: Protos) -> None:
    protos["sailplane/service/signal.proto"].service[0].method[1].output_type = ".sailplane.admin.Signal"


def _http(protos: Protos) -> None:
    protos["sailplane/service/signal.proto"].service[0].method[1].options.Extensions[HTTP].get += "/more"


def _file_gone(protos: Protos) -> None:
    del protos["sailplane/service/signal.proto"]


CHANGES = [
    _number,
    _type,
    _name,
    _cardinality,
    _json_name,
    _oneof,
    _presence,
    _field_gone,
    _field_added,
    _message_added,
    _reservation_gone,
    _enum_value,
    _package,
    _streaming,
    _response,
    _http,
    _file_gone,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__.strip("_"))
def test_a_change_is_seen(change: Change, ours: list[FileDescriptor]) -> None:
    before = facts_of(altered(ours, lambda protos: None))
    assert before == facts_of(ours)
    assert differences(before, facts_of(altered(ours, change)))


@pytest.mark.parametrize(("number", "refused"), [(999, ["sailplane.core.TaskTemplate.added"]), (1000, [])])
def test_an_added_field_is_judged_by_its_number(
    number: int, refused: list[str], flyte: list[FileDescriptor], ours: list[FileDescriptor]
) -> None:
    def change(protos: Protos) -> None:
        _field_added(protos)
        _field_named(protos, "core/tasks", "TaskTemplate.added").number = number

    added = altered(ours, change)
    assert [field.full_name for field in extensions(added, flyte) if field.number < FIRST_EXTENSION] == refused
    assert bool(differences(facts_of(flyte), facts_of(added))) == bool(refused)
