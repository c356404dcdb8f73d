"""Normalizing flows: RealNVP for vectors, Glow and Flow++ for images."""

from lflow.nets.flows.dequantise import UniformDequantisation, VariationalDequantisation, quantise
from lflow.nets.flows.design import CouplingDesign
from lflow.nets.flows.flow import Flow
from lflow.nets.flows.glow import Glow
from lflow.nets.flows.realnvp import RealNVP, lflow_prior

__all__ = [
    "CouplingDesign",
    "Flow",
    "Glow",
    "RealNVP",
    "UniformDequantisation",
    "VariationalDequantisation",
    "lflow_prior",
    "quantise",
]
