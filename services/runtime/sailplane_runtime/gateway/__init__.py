"""The HTTP gateway: the RPCs of our services by path and verb, in JSON or protobuf, as Flyte's gateway has them."""
