"""Ways to start the command line."""

import runpy

import pytest


@pytest.mark.parametrize("package", ["accord.benchmark", "accord.benchmark.cli"])
def test_a_package_that_is_no_command_says_so(package: str) -> None:
    with pytest.raises(ImportError, match=f"{package}.* cannot be directly executed"):
        runpy.run_module(package, run_name="__main__")
