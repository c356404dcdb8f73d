"""A scene as pictures: what the player shows, as PNG, GIF and MP4, without a browser.

The look is the player's (assets/player): the same layers, sizes and colours, drawn with numpy and Pillow.
"""

from lflow.ui.film.files import gif, mp4, png
from lflow.ui.film.picture import Picture

__all__ = ["Picture", "gif", "mp4", "png"]
