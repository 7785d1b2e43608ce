"""Template variables in command lines: Flyte's names, and every kind of input as text."""

import datetime
import math
from typing import Any

import pytest
from sailplane_core.errors import InvalidRequest
from sailplane_core.literal_text import float_text, json_value, text
from sailplane_core.msgpack import pack
from sailplane_core.templating import TemplateValues, render, render_all, uses
from sailplane_protos.core import literals_pb2

Literal, Scalar, Primitive = literals_pb2.Literal, literals_pb2.Scalar, literals_pb2.Primitive


def primitive(**value: object) -> Literal:
    return Literal(scalar=Scalar(primitive=Primitive(**value)))


def integer(value: int) -> Literal:
    return primitive(integer=value)


def string(value: str) -> Literal:
    return primitive(string_value=value)


def union(value: Literal) -> Literal:
    return Literal(scalar=Scalar(union=literals_pb2.Union(value=value)))


def collection(*elements: Literal) -> Literal:
    return Literal(collection=literals_pb2.LiteralCollection(literals=elements))


def mapping(**entries: Literal) -> Literal:
    return Literal(map=literals_pb2.LiteralMap(literals=entries))


def generic(**fields: object) -> Literal:
    literal = Literal()
    literal.scalar.generic.update(fields)
    return literal


def packed(value: object) -> Literal:
    return Literal(scalar=Scalar(binary=literals_pb2.Binary(tag="msgpack", value=pack(value))))


NONE = Literal(scalar=Scalar(none_type=literals_pb2.Void()))
BLOB = Literal(scalar=Scalar(blob=literals_pb2.Blob(uri="s3://b/file")))
FRAME = Literal(scalar=Scalar(structured_dataset=literals_pb2.StructuredDataset(uri="s3://b/frame")))
SCHEMA = Literal(scalar=Scalar(schema=literals_pb2.Schema(uri="s3://b/schema")))
DATETIME = datetime.datetime(2024, 2, 29, 1, 2, 3, tzinfo=datetime.UTC)

VALUES = TemplateValues(
    inputs_uri="file:///m/n1/data/inputs.pb",
    output_prefix="file:///m/n1/data/0",
    raw_output_prefix="file:///raw/x",
    checkpoint_prefix="file:///raw/x/_flytecheckpoints",
    unique_key="9x-n1-0",
    namespace="p-d",
    task_template_uri="file:///m/n1/data/0/task.pb",
    inputs=literals_pb2.LiteralMap(literals={"x": integer(7), "a_b.c": string("dotted"), "none": NONE}),
)


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ("{{.input}}", "file:///m/n1/data/inputs.pb"),
        ("{{.inputPrefix}}", "file:///m/n1/data"),
        ("{{.outputPrefix}}", "file:///m/n1/data/0"),
        ("{{.rawOutputDataPrefix}}", "file:///raw/x"),
        ("{{.checkpointOutputPrefix}}", "file:///raw/x/_flytecheckpoints"),
        ("{{.prevCheckpointPrefix}}", '""'),
        ("{{.perRetryUniqueKey}}", "ax_n1_0"),
        ("{{.namespace}}", "p-d"),
        ("{{.taskTemplatePath}}", "file:///m/n1/data/0/task.pb"),
        ("{{ .OUTPUTprefix }}/{{$input}}", "file:///m/n1/data/0/file:///m/n1/data/inputs.pb"),
        ("--x={{.inputs.x}},{{ $Inputs.x }}", "--x=7,7"),
        ("{{.inputs.a_b.c}}", "dotted"),
        ("[{{.inputs.none}}]", "[]"),
        ("{{.Names}} {{ x }} {{.namespace.x}} {{}}", "{{.Names}} {{ x }} {{.namespace.x}} {{}}"),
        ("plain {text}", "plain {text}"),
    ],
)
def test_variables(template: str, rendered: str) -> None:
    assert render(template, VALUES) == rendered


def test_the_previous_checkpoint_of_a_later_attempt() -> None:
    assert render("{{.prevCheckpointPrefix}}", TemplateValues(previous_checkpoint_prefix="s3://c")) == "s3://c"


def test_a_value_is_not_rendered_again() -> None:
    values = TemplateValues(inputs=literals_pb2.LiteralMap(literals={"x": string("{{.inputs.x}} $(HOME) 'a b'")}))
    assert render_all(["<{{.inputs.x}}>", "b"], values) == ["<{{.inputs.x}} $(HOME) 'a b'>", "b"]


def test_only_values_are_escaped() -> None:
    assert render("$x {{.inputs.x}}", VALUES, lambda value: f"<{value}>") == "$x <7>"


def test_an_unknown_input_is_named_with_those_there_are() -> None:
    with pytest.raises(InvalidRequest, match=r"input 'y', which does not exist \(inputs: a_b.c, none, x\)"):
        render("{{.inputs.y}}", VALUES)


def test_a_value_without_text_is_named() -> None:
    inputs = literals_pb2.LiteralMap(literals={"x": Literal(scalar=Scalar(binary=literals_pb2.Binary(tag="pickle")))})
    with pytest.raises(InvalidRequest, match="input 'x': a binary value tagged 'pickle' has no text form"):
        render("{{.inputs.x}}", TemplateValues(inputs=inputs))


def test_which_variables_are_used() -> None:
    assert uses(["a", "b {{ .TaskTemplatePath }}"], "taskTemplatePath")
    assert not uses(["taskTemplatePath"], "taskTemplatePath")


@pytest.mark.parametrize(
    ("literal", "shown"),
    [
        (integer(-3), "-3"),
        (primitive(float_value=1.0), "1"),
        (primitive(boolean=True), "true"),
        (string(""), ""),
        (string(" ä\n"), " ä\n"),
        (primitive(datetime=DATETIME), "2024-02-29T01:02:03Z"),
        (primitive(datetime=DATETIME.replace(microsecond=100_000)), "2024-02-29T01:02:03.1Z"),
        (primitive(duration=datetime.timedelta(seconds=10)), "seconds:10"),
        (primitive(duration=datetime.timedelta(seconds=1, milliseconds=500)), "seconds:1 nanos:500000000"),
        (BLOB, "s3://b/file"),
        (SCHEMA, "s3://b/schema"),
        (FRAME, "s3://b/frame"),
        (NONE, ""),
        (union(integer(4)), "4"),
        (union(NONE), ""),
        (collection(integer(1), string("a b"), BLOB), "[1,a b,s3://b/file]"),
        (collection(collection(integer(1)), collection()), "[[1],[]]"),
        (collection(generic(a=1), NONE), '[{"a":1},null]'),
        (collection(union(integer(1)), union(NONE)), "[1,]"),
        (mapping(b=integer(2), a=string("ä")), '{"a":"ä","b":2}'),
        (mapping(a=primitive(float_value=2.0), b=BLOB), '{"a":2.0,"b":"s3://b/file"}'),
        (generic(a=1, b=[True, None], c={"d": 1.5}), '{"a":1,"b":[true,null],"c":{"d":1.5}}'),
        (packed({"a": 1, "b": [1.5, None, True]}), '{"a":1,"b":[1.5,null,true]}'),
        (packed("text"), "text"),
        (packed(None), ""),
        (packed(3), "3"),
        (Literal(offloaded_metadata=literals_pb2.LiteralOffloadedMetadata(uri="s3://b/big.pb")), "s3://b/big.pb"),
        (Literal(), ""),
    ],
)
def test_literals_as_text(literal: Literal, shown: str) -> None:
    assert text(literal) == shown


def test_a_broken_msgpack_value_is_refused() -> None:
    broken = Literal(scalar=Scalar(binary=literals_pb2.Binary(tag="msgpack", value=b"\x92\x01")))
    with pytest.raises(InvalidRequest, match="cannot be read"):
        json_value(broken)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (100.0, "100"),
        (0.1, "0.1"),
        (-2.5, "-2.5"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (123456.789, "123456.789"),
        (5e-324, "5e-324"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_floats_are_written_as_go_does(value: float, shown: str) -> None:
    assert float_text(value) == shown


@pytest.mark.parametrize(
    "literal",
    [
        {"scalar": {"primitive": {"datetime": {"seconds": 2**62}}}},
        {"scalar": {"generic": {"fields": {"a": {"number_value": float("nan")}}}}},
    ],
    ids=["datetime", "struct"],
)
def test_what_cannot_be_written_is_refused(literal: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="cannot be written"):
        text(Literal(**literal))
