"""What a run asks of the machine that carries it out: room, and nothing that changes what it computes."""

from __future__ import annotations

import math
from typing import Any

from pydantic import ByteSize, Field, TypeAdapter, ValidationError, field_validator

from accord.benchmark.specs.checked import Checked

MOST_CPUS, MOST_GPUS = 100_000, 1_000


class Resources(Checked):
    """Of one run, and of the training before it."""

    cpus: int = Field(1, ge=1, le=MOST_CPUS, description="Cores; a run computes on one thread whatever it asks for.")
    gpus: float | None = Field(None, gt=0, le=MOST_GPUS, description="With --device cuda; one where nothing is said.")
    memory: ByteSize | None = Field(None, ge=1, description="Like 2GB or 512MiB.")

    @field_validator("gpus")
    @classmethod
    def _is_whole_or_a_part_of_one(cls, gpus: float | None) -> float | None:
        if gpus is not None and gpus > 1 and gpus != math.floor(gpus):
            raise ValueError("must be a whole number, or a part of one GPU that several runs share, like 0.25")
        return gpus

    @field_validator("memory", mode="before")
    @classmethod
    def _is_a_size(cls, memory: Any) -> Any:
        try:
            return TypeAdapter(ByteSize | None).validate_python(memory)
        except ValidationError:
            raise ValueError("must be a size, like 2GB or 512MiB") from None

    def over(self, own: Resources | None) -> Resources:
        """These, with what `own` says in place of what they say."""
        return self if own is None else self.model_copy(update=own.model_dump(exclude_unset=True))
