"""The science of memrec: autoencoders, degradations, and the recovery of training images.

Knows torch, never Ray, a cluster or a run's files. Source of the method: Abitbul & Dar, "How Much Training Data is
Memorized in Overparameterized Autoencoders? An Inverse Problem Perspective on Memorization Evaluation" (ECML PKDD
2024); equation and algorithm numbers in this package are that paper's.
"""

__version__ = "0.1.0"
