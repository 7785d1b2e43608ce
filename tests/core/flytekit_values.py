"""Python values of every kind, as stock flytekit's type engine writes them."""

import enum
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from flytekit import FlyteDirectory, FlyteFile, HashMethod, StructuredDataset, kwtypes
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.type_engine import TypeEngine
from flytekit.types.error.error import FlyteError
from flytekit.types.file import PNGImageFile
from flytekit.types.pickle import FlytePickle
from flytekit.types.schema import FlyteSchema
from sailplane_protos.core import interface_pb2, literals_pb2


class Color(enum.Enum):
    """An enum of texts."""

    RED = "red"
    GREEN = "green"


@dataclass
class Point:
    """A small dataclass."""

    x: int = 1
    y: float | None = None


@dataclass
class Shape:
    """A dataclass with others, a file and an enum in it."""

    points: list[Point] = field(default_factory=list)
    named: dict[str, Point] = field(default_factory=dict)
    color: Color = Color.RED
    either: int | str = "a"


class Opaque:
    """Nothing that flytekit knows: it is pickled."""


HERE = Path(__file__)
FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
Columned = Annotated[StructuredDataset, kwtypes(a=int)]

VALUES: list[tuple[Any, Any]] = [
    (int, 3),
    (float, 3.5),
    (bool, True),
    (str, "text"),
    (str, ""),
    (datetime, datetime(2030, 1, 1, tzinfo=UTC)),
    (date, date(2030, 1, 1)),
    (timedelta, timedelta(seconds=1)),
    (type(None), None),
    (Color, Color.GREEN),
    (Literal["a", "b"], "a"),
    (list[int], [1, 2]),
    (list[int], []),
    (list[list[str]], [["a"], []]),
    (list[float | None], [1.0, None]),
    (list[Color], [Color.RED]),
    (list[Point], [Point()]),
    (dict[str, int], {"a": 1}),
    (dict[str, int], {}),
    (dict[str, list[dict[str, float]]], {"a": [{"b": 1.0}]}),
    (dict, {"a": [1, None, "x"]}),
    (dict[int, int], {1: 2}),
    (int | None, None),
    (int | None, 3),
    (list[int] | None, []),
    (Point | None, Point()),
    (Color | None, Color.RED),
    (int | str, "a"),
    (int | str | None, 3),
    (list[int] | dict[str, int], {"a": 1}),
    (Point | Shape, Shape()),
    (Color | int, Color.RED),
    (list[int | str], [1, "a"]),
    (dict[str, int | list[str] | None], {"a": ["b"], "c": None}),
    (Point, Point(2, 1.5)),
    (Shape, Shape([Point()], {"a": Point()}, Color.GREEN, 1)),
    (FlyteFile, FlyteFile(str(HERE))),
    (FlyteFile["csv"], FlyteFile["csv"](str(HERE))),
    (PNGImageFile, PNGImageFile(str(HERE))),
    (FlyteFile | None, FlyteFile(str(HERE))),
    (list[FlyteFile], [FlyteFile(str(HERE))]),
    (FlyteDirectory, FlyteDirectory(str(HERE.parent / "podspec_golden"))),
    (FlyteFile | FlyteDirectory, FlyteFile(str(HERE))),
    (Path, HERE),
    (pd.DataFrame, FRAME),
    (pd.DataFrame | None, FRAME),
    (list[pd.DataFrame], [FRAME]),
    (Annotated[pd.DataFrame, kwtypes(a=int)], FRAME),
    (StructuredDataset, StructuredDataset(dataframe=FRAME)),
    (Columned, StructuredDataset(dataframe=FRAME)),
    (Annotated[StructuredDataset, "csv"], StructuredDataset(dataframe=FRAME)),
    (pa.Table, pa.Table.from_pandas(FRAME)),
    (FlyteSchema, FRAME),
    (np.ndarray, np.array([1, 2])),
    (Opaque, Opaque()),
    (Opaque | None, Opaque()),
    (list[Opaque], [Opaque()]),
    (FlytePickle[Opaque], Opaque()),
    (Any, 3),
    (set[int], {1}),
    (bytes, b"x"),
    (complex, 1j),
    (Annotated[int, HashMethod(str)], 3),
    (Annotated[pd.DataFrame, HashMethod(lambda frame: "h")], FRAME),
    (FlyteError, FlyteError(message="m", failed_node_id="n")),
]


def written(python_type: Any, value: Any) -> tuple[interface_pb2.Variable, literals_pb2.Literal]:
    """What a task of stock flytekit declares for the type, and what it writes for the value."""
    context = FlyteContextManager.current_context()
    expected = TypeEngine.to_literal_type(python_type)
    literal = TypeEngine.to_literal(context, value, python_type, expected)
    variable = interface_pb2.Variable()
    variable.type.ParseFromString(expected.to_flyte_idl().SerializeToString())
    return variable, literals_pb2.Literal.FromString(literal.to_flyte_idl().SerializeToString())
