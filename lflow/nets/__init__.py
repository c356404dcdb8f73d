"""The nets that models are made of: energies, generators, encoders, classifiers, and normalizing flows."""

from lflow.nets import flows
from lflow.nets.blocks import ACTIVATIONS, activated, is_smooth, start_orthogonal
from lflow.nets.encoders import Classifier, classifier, encoder
from lflow.nets.energies import EnergyNet, energy_net
from lflow.nets.generators import generator

__all__ = [
    "ACTIVATIONS",
    "Classifier",
    "EnergyNet",
    "activated",
    "classifier",
    "encoder",
    "energy_net",
    "flows",
    "generator",
    "is_smooth",
    "start_orthogonal",
]
