"""The RPCs of a service, found by its descriptor, each with a guard around the servicer's method.

Every door offers the same: methods come from the descriptors, and one that a servicer does not define is answered with
UNIMPLEMENTED.
"""

from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, NoReturn

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass
from sailplane_core.errors import Unimplemented

from .flyte_names import is_flyte_name
from .interceptors import Guard, Handler, Method

_GENERATED = "_pb2_grpc"


def rpcs_of(
    name: str, schema_name: str, servicer: object, slow_call_s: float
) -> Iterator[tuple[MethodDescriptor, Guard]]:
    """The methods of the service that our schema calls `schema_name`, to be called under `name`."""
    for descriptor in _describe(schema_name).methods:
        method = Method(
            f"/{name}/{descriptor.name}",
            GetMessageClass(descriptor.input_type),
            GetMessageClass(descriptor.output_type),
            takes_stream=descriptor.client_streaming,
            gives_stream=descriptor.server_streaming,
            as_flyte=is_flyte_name(name),
        )
        yield descriptor, Guard(method, _implementation(servicer, descriptor.name) or _not_offered(method), slow_call_s)


def _describe(service: str) -> ServiceDescriptor:
    """The descriptor of a service. Of our schema's it is found without anybody having imported it before."""
    try:
        return Default().FindServiceByName(service)
    except KeyError:
        package = import_module(service.rpartition(".")[0].replace("sailplane", "sailplane_protos", 1))
        names = {module.name for module in iter_modules(package.__path__)}
        for name in sorted(names):
            if f"{name}_grpc" in names:
                import_module(f"{package.__name__}.{name}")
        return Default().FindServiceByName(service)


def _implementation(servicer: object, name: str) -> Handler | None:
    """The servicer's method, unless it is only the one that it inherits from generated code."""
    for owner in type(servicer).__mro__:
        if name in vars(owner):
            return None if owner.__module__.endswith(_GENERATED) else getattr(servicer, name)
    return None


def _not_offered(method: Method) -> Handler:
    error_text = f"this server does not offer {method.name[1:].replace('/', '.')}"

    async def refuse(request: Any, context: Any) -> NoReturn:
        raise Unimplemented(error_text)

    async def refuse_stream(request: Any, context: Any) -> AsyncIterator[Any]:
        raise Unimplemented(error_text)
        yield

    return refuse_stream if method.gives_stream else refuse
