"""Our own method: method.py what it does; attempt.py one try; best.py which of an image's tries counts; colour.py,
anything.py and noise.py what erased pixels may hold; rest.py where an estimate ends."""

from memrec_core.recovery.adaptive.method import Adaptive, recover_adaptive

__all__ = ["Adaptive", "recover_adaptive"]
