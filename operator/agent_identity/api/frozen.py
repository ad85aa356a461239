"""What all types of the API have in common: immutable, strict, and under laws."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from agent_identity.api import fields as f


@dataclass(frozen=True, slots=True)
class Law:
    """A rule over several fields, written for its two readers: CEL for the API server (Kubernetes,
    CustomResourceDefinitions, "Validation rules"), and `holds` for our own parser, since admission
    is a moment and may be off. A rule about a change has no `holds`."""

    cel: str
    message: str
    holds: Callable[[Any], bool] | None = None


class Frozen(BaseModel):
    """A value of the API: camelCase outside, immutable inside, unknown fields refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        strict=True,
        use_attribute_docstrings=True,
    )
    laws: ClassVar[tuple[Law, ...]] = ()

    @model_validator(mode="after")
    def _obey(self) -> Self:
        for law in self.laws:
            if law.holds is not None and not law.holds(self):
                raise ValueError(law.message)
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        if cls.laws:
            extra = f.rules(*(f.rule(law.cel, law.message) for law in cls.laws))
            handler.resolve_ref_schema(schema).update(extra)
        return schema
