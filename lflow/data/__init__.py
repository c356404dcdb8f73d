"""What models learn from: points in the plane and pictures, by name, from files or from the hub.

Pictures are decoded once and kept as bytes; an epoch decodes nothing. Nothing here knows of models.
"""

from lflow.data.catalogue import Description, describe, load, names, open
from lflow.data.dataset import Data, DataSet

__all__ = ["Data", "DataSet", "Description", "describe", "load", "names", "open"]
