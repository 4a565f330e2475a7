"""Every method. Importing this package registers them by name: every file in a room of methods is found."""

from importlib import import_module
from pkgutil import iter_modules

from accord.baselines import consensus, control, learners, lgtc
from accord.baselines.registry import METHODS, REFERENCES, load_plugins, make_method

if __name__ != "accord.baselines":
    raise ImportError("import accord.baselines: the folder baselines/ of Accord is imported under this name alone")

for room in (consensus, control, learners, lgtc):
    for module in iter_modules(room.__path__, f"{room.__name__}."):
        import_module(module.name)

load_plugins()

__all__ = ["METHODS", "REFERENCES", "make_method"]
