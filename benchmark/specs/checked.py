"""Values that are checked wherever they come from, and whose copies are checked too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from accord.baselines.registry import explain, refuse_flags
from accord.envs.errors import UsageError


class Checked(BaseModel):
    """A frozen value without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def of(cls, **fields: Any) -> Self:
        """A value of these fields.

        Raises:
            UsageError: an unknown key, a wrong type or a value out of range.
        """
        refuse_flags(cls, fields)
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise UsageError(explain(error)) from None

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy; what is changed is checked like anything that is given.

        Args:
            update: Fields that are changed.
            deep: Copies share no mutable value with the original.

        Raises:
            UsageError: an unknown key, a wrong type or a value out of range.
        """
        copy = super().model_copy(deep=deep)
        fields = {name: getattr(copy, name) for name in type(self).model_fields}
        return self.of(**fields | dict(update or {}))
