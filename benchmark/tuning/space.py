"""What a search for settings looks through, and at what effort; one YAML file each."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from accord.baselines.registry import make_method, nest
from accord.benchmark.specs.limits import MOST
from accord.benchmark.specs.named import files_of
from accord.benchmark.specs.run import CPU, Device
from accord.benchmark.specs.yaml_file import read_model
from accord.envs.errors import UsageError

HOME = "accord.benchmark.searches"  # where those lie that come with Accord


class Range(BaseModel):
    """What one setting may be: a number between two others, or one of some choices."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    low: float | None = None
    high: float | None = None
    log: bool = Field(False, description="Search on a logarithmic scale.")
    choices: tuple[Any, ...] = ()

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Range:
        if bool(self.choices) == (self.low is not None and self.high is not None):
            raise ValueError("must give `low` and `high`, or `choices`")
        if self.choices and (self.low is not None or self.high is not None or self.log):
            raise ValueError("must not give `low`, `high` or `log` beside `choices`")
        if self.low is not None and self.high is not None:
            if self.low >= self.high:
                raise ValueError(f"`low` must be less than `high`, got {self.low} and {self.high}")
            if self.log and self.low <= 0:
                raise ValueError(f"`low` must be more than 0 with `log`, got {self.low}")
        return self


class Finals(BaseModel):
    """What becomes of the best trials."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    best: int = Field(ge=1, description="Trials that enter.")
    steps: int = Field(gt=0, description="Agent-steps of each training.")
    trials: int = Field(ge=1, description="Of the settings that concern execution alone, on each policy.")


class Search(BaseModel):
    """What is searched, and at what effort."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    trials: int = Field(ge=0, description="With none, the finals begin with what the methods have.")
    tuned: bool = Field(False, description="Methods have the settings of `tuned.yaml`, and not what their classes say.")
    executions: int = Field(1, ge=1, description="Per trial, of the settings that concern execution alone.")
    steps: int = Field(gt=0, description="Agent-steps of each training.")
    seed: int = Field(ge=0, le=MOST, description="Of every training; no published run has it.")
    scenarios: tuple[str, ...] = Field(min_length=1)
    device: Device = Field(CPU, description="Where trials are trained and scored that can be.")
    finals: Finals
    methods: dict[str, dict[str, Range]]

    @model_validator(mode="after")
    def _has_one_to_begin_with(self) -> Search:
        if not self.trials and self.finals.best > 1:
            raise ValueError(f"`finals.best` must be 1 without trials, got {self.finals.best}")
        return self

    def what(self, method: str) -> dict[str, Any]:
        """What a file of results says of the search of a method; one with another is of another search."""
        space = {k: v.model_dump(exclude_defaults=True, mode="json") for k, v in self.methods[method].items()}
        effort = self.model_dump(mode="json", exclude={"methods"}, exclude_defaults=True)
        return {"method": method, "search": effort, "space": space}


def load_search(name: str) -> Search:
    """A search by name.

    Raises:
        UsageError: no such search; its file has an unknown key or a wrong value.
    """
    files = files_of(HOME)
    if name not in files:
        raise UsageError(f"--search: unknown search '{name}'; allowed: {', '.join(files)}")
    return read_model(files[name], Search)


def defaults(method: str, space: dict[str, Range], tuned: bool = False) -> dict[str, Any]:
    """What a method's class, or `tuned.yaml`, says of the settings in a space, by dotted name.

    Raises:
        UsageError: the space names a setting that the method does not have.
    """
    config = make_method(method, tuned=tuned).config
    try:
        return {name: attrgetter(name)(config) for name in space}
    except AttributeError as error:
        raise UsageError(f"search: key 'methods.{method}': no setting '{error.name}'") from None


def only_executes(method: str, name: str, values: Range) -> bool:
    """No training depends on which of several values the setting has."""
    first, last = (values.choices[0], values.choices[-1]) if values.choices else (values.low, values.high)
    keys = [make_method(method, nest({name: value}), tuned=False).config.training_key() for value in (first, last)]
    return bool(first != last) and keys[0] == keys[1]
