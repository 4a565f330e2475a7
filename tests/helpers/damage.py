"""What a disk, a cable or a person may do to the bytes of a file."""

from collections.abc import Callable
from random import Random

Damage = Callable[[bytes, Random], bytes]


def cut(content: bytes, generator: Random) -> bytes:
    return content[: generator.randrange(len(content))]


def flipped(content: bytes, generator: Random) -> bytes:
    at = generator.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << generator.randrange(8)]) + content[at + 1 :]


def zeroed(content: bytes, generator: Random) -> bytes:
    """A block that was never written; at least one byte is another."""
    first = generator.choice([at for at, byte in enumerate(content[:4096]) if byte])
    last = min(len(content), first + generator.choice((1, 16, 512, 4096)))
    return content[:first] + bytes(last - first) + content[last:]


def emptied(content: bytes, generator: Random) -> bytes:
    return b""


def appended(content: bytes, generator: Random) -> bytes:
    return content + generator.choice((b"\0", b"\n", b"x", content, generator.randbytes(100)))


DAMAGES: dict[str, Damage] = {
    "cut": cut,
    "flipped": flipped,
    "zeroed": zeroed,
    "emptied": emptied,
    "appended": appended,
}
# A file that goes on after its end may say what it said.
LOSSES = {name: damage for name, damage in DAMAGES.items() if name != "appended"}
