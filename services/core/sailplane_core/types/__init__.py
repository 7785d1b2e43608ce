"""The type system of literals: what may be bound to what.

    type_of(literal)              the type that a value shows by itself
    castable(upstream, downstream)  may a value of one type go where another is declared?
    accepts(type, literal)        may this very value go there? Sees more than its type: enum members, list elements
    describe(type)                the type in a few words, for messages

The rules are Flyte's (`flytepropeller/pkg/compiler/validators/typing.go` of 1.16), with the differences noted where
they are made. Untyped values and types fit nowhere.
"""

from .acceptance import accepts
from .casting import castable
from .inference import type_of
from .naming import describe
from .nesting import NESTING_MAX
from .variants import is_none, is_optional, variants

__all__ = ["NESTING_MAX", "accepts", "castable", "describe", "is_none", "is_optional", "type_of", "variants"]
