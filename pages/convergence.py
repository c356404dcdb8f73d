"""Step size and convergence: how far from the target does a step size leave you?"""

from lflow.ui import convergence

convergence.show(__file__)
