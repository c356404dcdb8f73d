"""Train: can you watch a model learn?"""

from lflow.ui.train import page as train

train.show(__file__)
