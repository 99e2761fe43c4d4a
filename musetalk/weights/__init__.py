"""Files of weights: which there are, whether they are here and whole, how they come here, and leaner copies of them."""

from musetalk.weights.check import Verdict, adopt, verify
from musetalk.weights.download import FetchProgress, fetch, left
from musetalk.weights.files import HubPlace, UrlPlace, WeightFile, lacking, readable_size
from musetalk.weights.lean import first_of, preferred
from musetalk.weights.registry import LATENTSYNC_15, LATENTSYNC_16, MUSETALK_V1, MUSETALK_V15, TAESD, WEIGHT_SETS

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
