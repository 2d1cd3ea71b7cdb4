"""Charts as SVG: small, sharp at any width, in the page's colours, and with words for those who don't see them."""
