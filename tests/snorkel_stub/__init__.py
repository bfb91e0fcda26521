"""Snorkel 0.10.0 for tests, without torch.

Snorkel's labeling functions never use torch, but its packages import it, and torch is hundreds of
megabytes. `load_snorkel` imports Snorkel with an empty stand-in in torch's place.
"""

from tests.snorkel_stub.loading import Snorkel, load_snorkel

__all__ = ["Snorkel", "load_snorkel"]
