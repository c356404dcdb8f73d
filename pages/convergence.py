"""Step size and convergence: how far from the target does a step size leave you?"""

from lflow.ui.convergence import page as convergence

convergence.show(__file__)
