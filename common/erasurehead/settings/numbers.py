"""Settings that are numbers, or a word in place of one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, GetCoreSchemaHandler, ValidationError, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

AUTO: Literal["auto"] = "auto"

NUMBER_OR_AUTO = "number_or_auto"
"""Type of the validation's error about what is neither."""


class OrAuto:
    """Metadata of a number's type: the word is taken as well, and stays the word."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Check what is not the word as a finite number of at least 0."""
        number = Annotated[float, Field(ge=0, allow_inf_nan=False)]
        return core_schema.no_info_wrap_validator_function(
            self._checked,
            handler.generate_schema(number),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value),
        )

    def _checked(self, value: Any, number: ValidatorFunctionWrapHandler) -> Any:
        if value == AUTO:
            return AUTO
        try:
            return number(value)
        except ValidationError as error:
            if error.errors()[0]["type"] in ("float_parsing", "float_type"):
                raise PydanticCustomError(NUMBER_OR_AUTO, "neither a number nor auto") from None
            raise


WeightOrAuto = Annotated[float | Literal["auto"], OrAuto()]
