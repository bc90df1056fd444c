"""A first provider file from samples of what a provider sends. Pure: bytes in, text and guesses out.

    samples ─ decoded ─ kinds of objects ─ rules ─ sketches ─ YAML ─ loaded and tried ─ mended ─ file

The file is loaded and every sample is run through it; what does not work on a sample is taken out again, so that
what is handed back loads and gives commands. Uninferrable, with the reason, is raised where nothing can be made.
"""

from flows.inferring.files import Inferred, Wishes, infer
from flows.inferring.samples import Sample
from flows.inferring.sketches import Guess, Uninferrable

__all__ = ["Guess", "Inferred", "Sample", "Uninferrable", "Wishes", "infer"]
