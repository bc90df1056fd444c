"""The support desk: pages under /desk. Nothing of it is loaded before somebody opens the first of them."""
