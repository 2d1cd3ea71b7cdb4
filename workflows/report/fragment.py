"""What the page's address says after the #: a view of the gallery that can be sent."""

from urllib.parse import urlencode


def link_to(data_set: str, split: str, image: str) -> str:
    """The fragment that opens one image."""
    return "#" + urlencode({"image": f"{data_set}/{split}/{image}"})
