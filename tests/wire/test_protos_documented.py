"""Every file, message, enum, service and RPC of the schema has a comment above it.

Comments are not in the generated Python. They are read from what protoc says about the source.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import google.api
import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet

PROTOS = Path(__file__).parents[2] / "protos"
FILES = sorted(str(path.relative_to(PROTOS)) for path in (PROTOS / "sailplane").rglob("*.proto"))

# How protoc numbers the parts of a file in the paths of its source locations.
PACKAGE, MESSAGE, ENUM, SERVICE = 2, 4, 5, 6
NESTED_MESSAGE, NESTED_ENUM = 3, 4
METHOD = 2


def compiled(root: Path, files: list[str], out: Path) -> dict[str, FileDescriptorProto]:
    google_protos = Path(next(iter(google.api.__path__))).parents[1]
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"-I{root}", f"-I{google_protos}"]
    subprocess.run([*protoc, "--include_source_info", f"--descriptor_set_out={out}", *files], check=True)
    return {file.name: file for file in FileDescriptorSet.FromString(out.read_bytes()).file}


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FileDescriptorProto]:
    return compiled(PROTOS, FILES, tmp_path_factory.mktemp("schema") / "schema.binpb")


def undocumented(file: FileDescriptorProto) -> list[str]:
    commented = {tuple(place.path) for place in file.source_code_info.location if place.leading_comments.strip()}
    return [name for path, name in elements_of(file) if path not in commented]


Element = tuple[tuple[int, ...], str]


def elements_of(file: FileDescriptorProto) -> Iterator[Element]:
    """What needs a comment, each with its path in the file. The file's own comment is the one above `package`."""
    yield (PACKAGE,), file.name
    for index, message in enumerate(file.message_type):
        yield from _message((MESSAGE, index), message, file.package)
    for index, enum in enumerate(file.enum_type):
        yield _enum((ENUM, index), enum, file.package)
    for index, service in enumerate(file.service):
        name = f"{file.package}.{service.name}"
        yield (SERVICE, index), name
        for number, method in enumerate(service.method):
            yield (SERVICE, index, METHOD, number), f"{name}.{method.name}"


def _message(path: tuple[int, ...], message: DescriptorProto, scope: str) -> Iterator[Element]:
    if message.options.map_entry:
        return
    name = f"{scope}.{message.name}"
    yield path, name
    for index, nested in enumerate(message.nested_type):
        yield from _message((*path, NESTED_MESSAGE, index), nested, name)
    for index, enum in enumerate(message.enum_type):
        yield _enum((*path, NESTED_ENUM, index), enum, name)


def _enum(path: tuple[int, ...], enum: EnumDescriptorProto, scope: str) -> Element:
    return path, f"{scope}.{enum.name}"


@pytest.mark.parametrize("file", FILES)
def test_everything_has_a_comment(file: str, schema: dict[str, FileDescriptorProto]) -> None:
    assert undocumented(schema[file]) == []


def test_what_has_no_comment_is_found(tmp_path: Path) -> None:
    (tmp_path / "bare.proto").write_text(
        """
        syntax = "proto3";
        package bare;
        message Outer {
          // Has a comment.
          message Inner {}
          enum Kind { NONE = 0; }
          map<string, string> entries = 1;  // beside, not above
        }
        enum Kind { NOTHING = 0; }
        service Service {
          // Has a comment.
          rpc Documented(Outer) returns (Outer);
          rpc Bare(Outer) returns (Outer);
        }
        """
    )
    bare = compiled(tmp_path, ["bare.proto"], tmp_path / "bare.binpb")["bare.proto"]
    assert undocumented(bare) == [
        "bare.proto",
        "bare.Outer",
        "bare.Outer.Kind",
        "bare.Kind",
        "bare.Service",
        "bare.Service.Bare",
    ]
