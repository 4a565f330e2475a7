"""Cases that are drawn by a seed: the name of each, and the generator that it is drawn by."""

from collections.abc import Callable, Iterator
from random import Random

Draw = Callable[[str, int], Iterator[tuple[str, Random]]]
