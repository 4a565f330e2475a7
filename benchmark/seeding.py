"""Where a run's randomness comes from."""

from __future__ import annotations

import hashlib

import torch


def seeded(seed: int, purpose: str, device: str = "cpu") -> torch.Generator:
    """A generator of its own for each purpose, so that adding one never changes another; a device draws its own."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:7], "big"))
