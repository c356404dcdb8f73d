"""What models learn from: points in the plane and pictures, by name, from files or from the hub.

Pictures are decoded once and kept as bytes; an epoch decodes nothing. Nothing here knows of models.
"""

from lflow.data.catalogue import describe, load, names, open
from lflow.data.dataset import Data, DataSet
from lflow.data.descriptions import Description

__all__ = ["Data", "DataSet", "Description", "describe", "load", "names", "open"]
