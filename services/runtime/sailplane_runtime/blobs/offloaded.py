"""Values that a task stored apart because they are large: read where somebody has to look into them.

flytekit leaves such a value in a file of its own beside `outputs.pb`, which then only says where it lies. Whoever
passes the value on passes that on; only elements, attributes and comparisons need the value itself.
"""

from google.protobuf.message import DecodeError
from sailplane_core.errors import InvalidRequest, NotFound
from sailplane_core.ports import BlobStore
from sailplane_protos.core import literals_pb2

VALUE_BYTES_MAX = 64 * 1024 * 1024
"""A larger value is passed on, but not looked into."""


async def onload(
    blobs: BlobStore, literal: literals_pb2.Literal, bytes_max: int = VALUE_BYTES_MAX
) -> literals_pb2.Literal:
    """The value itself, if it was stored apart, else `literal`.

    Raises `InvalidRequest` if it is gone, damaged, outside the blob store, too large, or again only says where the
    value lies; and `Unavailable`.
    """
    if not literal.HasField("offloaded_metadata"):
        return literal
    uri = literal.offloaded_metadata.uri
    try:
        data = await blobs.get(uri, bytes_max=bytes_max + 1)
    except NotFound as error:
        raise InvalidRequest(f"the value stored at {uri!r} is gone") from error
    if len(data) > bytes_max:
        raise InvalidRequest(f"the value stored at {uri} has more than {bytes_max} bytes, too many to look into it")
    try:
        value = literals_pb2.Literal.FromString(data)
    except DecodeError as error:
        raise InvalidRequest(f"what is stored at {uri} ({len(data)} bytes) is not a core.Literal") from error
    if value.HasField("offloaded_metadata"):
        raise InvalidRequest(f"the value stored at {uri} says that it is stored elsewhere")
    return value
