"""Inputs and outputs of executions, nodes and attempts: inline up to a size, by signed URL always."""

from dataclasses import dataclass

import structlog
from google.protobuf.message import DecodeError
from sailplane_core import flyte_urls, validation
from sailplane_core.errors import InvalidRequest, LimitReached, NotFound, Refused
from sailplane_core.ids import ExecutionId
from sailplane_protos.admin import common_pb2, execution_pb2, node_execution_pb2, task_execution_pb2
from sailplane_protos.core import literals_pb2
from sqlalchemy import select

from . import node_executions, tables, task_executions
from .execution_rows import in_execution
from .ports import AdminPorts

log = structlog.get_logger(__name__)

_EXECUTIONS = tables.executions.c


@dataclass(frozen=True, slots=True)
class Data:
    """One stored literal map: itself, empty when it is too large for a reply, and where it can be fetched."""

    values: literals_pb2.LiteralMap
    url: common_pb2.UrlBlob


async def read(ports: AdminPorts, uri: str) -> Data:
    """What is stored at a URI. Nothing stored, as before a node ran, is nothing at all."""
    nothing = Data(literals_pb2.LiteralMap(), common_pb2.UrlBlob())
    if not uri:
        return nothing
    url = common_pb2.UrlBlob()
    try:
        size_bytes = (await ports.blobs.head(uri)).size_bytes
        signed = await ports.blobs.sign(uri, "GET", ports.settings.download_expires_in_s)
        url = common_pb2.UrlBlob(url=signed.url, bytes=size_bytes)
        if size_bytes > ports.settings.inline_data_bytes_max:
            return Data(literals_pb2.LiteralMap(), url)
        return Data(_parsed(uri, await ports.blobs.get(uri)), url)
    except NotFound:
        return nothing
    except InvalidRequest as error:  # an engine of somebody else's may write where we cannot read
        log.warning("data_outside_the_blob_store", uri=uri, reason=str(error))
        return nothing
    except Refused as error:
        log.warning("data_not_understood", uri=uri, reason=str(error))
        return Data(literals_pb2.LiteralMap(), url)


async def read_whole(ports: AdminPorts, uri: str, bytes_max: int | None = None) -> literals_pb2.LiteralMap:
    """The literal map at a URI, empty when nothing is stored.

    Raises `LimitReached` when it is larger than `bytes_max`, `Refused` when what is stored is something else.
    """
    if not uri:
        return literals_pb2.LiteralMap()
    try:
        data = await ports.blobs.get(uri, bytes_max=None if bytes_max is None else bytes_max + 1)
    except NotFound:
        return literals_pb2.LiteralMap()
    if bytes_max is not None and len(data) > bytes_max:
        raise LimitReached(f"more than {bytes_max} bytes of data at {uri}, which a signed URL gives")
    return _parsed(uri, data)


def _parsed(uri: str, data: bytes) -> literals_pb2.LiteralMap:
    try:
        return literals_pb2.LiteralMap.FromString(data)
    except DecodeError as error:
        raise Refused(f"what is stored at {uri} is no LiteralMap") from error


async def of_execution(
    ports: AdminPorts, request: execution_pb2.WorkflowExecutionGetDataRequest
) -> execution_pb2.WorkflowExecutionGetDataResponse:
    """An execution's complete inputs, and its outputs once it has succeeded."""
    validation.check_execution_id(request.id)
    id = ExecutionId.of(request.id)
    query = select(_EXECUTIONS.inputs_uri, _EXECUTIONS.closure).where(*in_execution(tables.executions, id))
    row = await ports.store.read(lambda connection: connection.execute(query).one_or_none())
    if row is None:
        raise NotFound("execution", str(id))
    closure = execution_pb2.ExecutionClosure.FromString(row.closure)
    inputs, outputs = await read(ports, row.inputs_uri), await read(ports, closure.outputs.uri)
    values = outputs.values
    if closure.WhichOneof("output_result") == "output_data":
        values = closure.output_data
    return execution_pb2.WorkflowExecutionGetDataResponse(
        inputs=inputs.url, outputs=outputs.url, full_inputs=inputs.values, full_outputs=values
    )


async def of_node(
    ports: AdminPorts, request: node_execution_pb2.NodeExecutionGetDataRequest
) -> node_execution_pb2.NodeExecutionGetDataResponse:
    """A node's inputs and outputs."""
    node = await node_executions.load(ports, request.id)
    inputs, outputs = await read(ports, node.input_uri), await read(ports, node.closure.output_uri)
    values = outputs.values
    if node.closure.WhichOneof("output_result") == "output_data":
        values = node.closure.output_data
    return node_execution_pb2.NodeExecutionGetDataResponse(
        inputs=inputs.url,
        outputs=outputs.url,
        full_inputs=inputs.values,
        full_outputs=values,
        dynamic_workflow=await node_executions.find_generated(ports, node.id) if node.metadata.is_dynamic else None,
        flyte_urls=flyte_urls.node_urls(node.id, has_deck=bool(node.closure.deck_uri)),
    )


async def of_task(
    ports: AdminPorts, request: task_execution_pb2.TaskExecutionGetDataRequest
) -> task_execution_pb2.TaskExecutionGetDataResponse:
    """An attempt's inputs and outputs."""
    attempt = await task_executions.load(ports, request.id)
    inputs, outputs = await read(ports, attempt.input_uri), await read(ports, attempt.closure.output_uri)
    values = outputs.values
    if attempt.closure.WhichOneof("output_result") == "output_data":
        values = attempt.closure.output_data
    return task_execution_pb2.TaskExecutionGetDataResponse(
        inputs=inputs.url,
        outputs=outputs.url,
        full_inputs=inputs.values,
        full_outputs=values,
        flyte_urls=flyte_urls.task_urls(attempt.id),
    )
