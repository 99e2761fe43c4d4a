"""Files of weights: which there are, whether they are here and whole, how they come here, and leaner copies of them."""

from musetalk.weights.catalog import LATENTSYNC_15, LATENTSYNC_16, MUSETALK_V1, MUSETALK_V15, TAESD, WEIGHT_SETS
from musetalk.weights.download import FetchProgress, fetch, left
from musetalk.weights.variants import first_of, preferred
from musetalk.weights.verify import Verdict, adopt, verify
from musetalk.weights.weight_file import HubPlace, UrlPlace, WeightFile, lacking, readable_size

__all__ = [
    "LATENTSYNC_15",
    "LATENTSYNC_16",
    "MUSETALK_V1",
    "MUSETALK_V15",
    "TAESD",
    "WEIGHT_SETS",
    "FetchProgress",
    "HubPlace",
    "UrlPlace",
    "Verdict",
    "WeightFile",
    "adopt",
    "fetch",
    "first_of",
    "lacking",
    "left",
    "preferred",
    "readable_size",
    "verify",
]
