"""gRPC server reflection, so that grpcurl and its like need no .proto files, for our names and Flyte's.

Flyte's descriptors are made from ours by renaming, in a pool of their own: in the process-wide pool they would collide
with those of `flyteidl`, which task code of the same process may have imported. It is built at the first question.
Both versions of the protocol are offered; they differ in nothing but the package's name.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import Default, DescriptorPool
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection import aio as library

from .flyte_names import flyte_name

V1ALPHA = "grpc.reflection.v1alpha.ServerReflection"
V1 = "grpc.reflection.v1.ServerReflection"

_Request = reflection_pb2.ServerReflectionRequest


class Reflection:
    """The servicer of both versions.

    `services` maps the names that services go by to the names that our schema has for them.
    """

    def __init__(self, services: Mapping[str, str]) -> None:
        self._services = services
        self._pool: DescriptorPool | None = None
        self._answers: Any = None

    async def ServerReflectionInfo(  # noqa: N802
        self, requests: AsyncIterator[_Request], context: Any
    ) -> AsyncIterator[reflection_pb2.ServerReflectionResponse]:
        """Answer each question in turn."""
        if self._pool is None:
            self._pool = pool_of(self._services.values())
            self._answers = library.ReflectionServicer(self._services, self._pool)
        async for request in requests:
            async for answer in self._answers.ServerReflectionInfo(_only(_findable(request, self._pool)), context):
                answer.original_request.CopyFrom(request)
                yield answer


async def _only(request: _Request) -> AsyncIterator[_Request]:
    yield request


def _findable(request: _Request, pool: DescriptorPool) -> _Request:
    """A question about an RPC or a field asks for what contains it: Python's pools find neither by name."""
    symbol = request.file_containing_symbol
    if not symbol:
        return request
    try:
        pool.FindFileContainingSymbol(symbol)
    except KeyError:
        return _Request(file_containing_symbol=symbol.rpartition(".")[0])
    return request


def pool_of(services: Iterable[str]) -> DescriptorPool:
    """Descriptors of the services and of all that they use, under our names and under the others.

    `services` are names of the process-wide pool.
    """
    pool = DescriptorPool()
    added: set[str] = set()
    for service in services:
        _add(Default().FindServiceByName(service).file, pool, added)
    return pool


def _add(file: FileDescriptor, pool: DescriptorPool, added: set[str]) -> None:
    if file.name in added:
        return
    added.add(file.name)
    for dependency in file.dependencies:
        _add(dependency, pool, added)
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    for message in proto.message_type:
        _name_in_json(message)
    pool.AddSerializedFile(proto.SerializeToString())
    if _other_name(file.package) is not None:
        pool.AddSerializedFile(_renamed(proto).SerializeToString())


def _name_in_json(message: DescriptorProto) -> None:
    """Write out the JSON names that Python leaves out of descriptors: without them grpcurl shows `full_outputs` where
    it shows `fullOutputs` of a server in Go."""
    for field in message.field:
        if not field.json_name:
            head, *tail = field.name.split("_")
            field.json_name = head + "".join(part[:1].upper() + part[1:] for part in tail)
    for nested in message.nested_type:
        _name_in_json(nested)


def _other_name(name: str) -> str | None:
    if name.startswith("grpc.reflection.v1alpha"):
        return name.replace("v1alpha", "v1", 1)
    return flyte_name(name)


def _renamed(proto: FileDescriptorProto) -> FileDescriptorProto:
    """The same file with every name of a package, type or imported file changed to its other one."""
    other = FileDescriptorProto()
    other.CopyFrom(proto)
    other.name = _other_path(proto.name)
    other.package = _other_name(proto.package) or proto.package
    other.dependency[:] = [_other_path(path) for path in proto.dependency]
    for message in other.message_type:
        _rename_types(message)
    for service in other.service:
        for method in service.method:
            method.input_type = _other_type(method.input_type)
            method.output_type = _other_type(method.output_type)
    return other


def _rename_types(message: DescriptorProto) -> None:
    for field in message.field:
        if field.type_name:
            field.type_name = _other_type(field.type_name)
    for nested in message.nested_type:
        _rename_types(nested)


def _other_type(type_name: str) -> str:
    """Of a fully qualified name, which starts with a dot."""
    other = _other_name(type_name[1:])
    return type_name if other is None else f".{other}"


def _other_path(path: str) -> str:
    other = _other_name(path.removesuffix(".proto").replace("_", ".").replace("/", "."))
    return path if other is None else f"{other.replace('.', '/')}.proto"
