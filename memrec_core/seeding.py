"""Random numbers that depend on what they are for, and never on the order of the work."""

import hashlib

import torch


def seed_for(seed: int, *purpose: object) -> int:
    """A number of 63 bits derived from the experiment's seed and the purpose, for instance ("noise", image id)."""
    text = "\x1f".join([str(seed), *map(str, purpose)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, *purpose: object) -> torch.Generator:
    """A CPU generator, so that the same numbers are drawn whatever the device of the computation.

    It keeps 32 bits of its seed: of 100,000 purposes two have the same numbers, more likely than not.
    """
    return torch.Generator().manual_seed(seed_for(seed, *purpose))
