"""Training an autoencoder down a ladder of loss targets, with a checkpoint at each."""

from memrec_core.training.floor import check_floor, loss_floor, rank_for
from memrec_core.training.ladder import train
from memrec_core.training.progress import History, Reached
from memrec_core.training.prospect import expected_step
from memrec_core.training.recipes import RECIPES, Recipe
from memrec_core.training.soap import Soap
from memrec_core.training.starts import STARTS
from memrec_core.training.state import State, StateFile

__all__ = [
    "RECIPES",
    "STARTS",
    "History",
    "Reached",
    "Recipe",
    "Soap",
    "State",
    "StateFile",
    "check_floor",
    "expected_step",
    "loss_floor",
    "rank_for",
    "train",
]
