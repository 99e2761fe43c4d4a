"""Small networks in the formats of Piper's and Kokoro's voices."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.helpers.onnx_bytes import FLOAT, INT64, model, node, tensor, value

LETTERS = "_^$ abdefhijklmnoprstuvwzæðɪɐɑɔəɚɛɜɡɹʃʊʌʒθŋɾᵻˈˌː.,;:!?"
IDS = {letter: [number] for number, letter in enumerate(LETTERS)}
HOP, PIPER_RATE = 256, 16_000
UNIT = 600


def write_piper(path: Path, *, lengths: bool = True) -> Path:
    """Write a voice and what is beside it: a letter is as long as its number, and chance, ask for; its sound is noise.

    Args:
        path: Of the ONNX file.
        lengths: Whether lengths are rounded as Piper does it.
    """
    numbers = {"step": [0.1], "one": [1.0], "hop": [float(HOP)]}
    constants = [tensor(name, np.array(values, np.float32)) for name, values in numbers.items()]
    indices = {"first": [0], "second": [1], "third": [2], "flat": [-1], "whole": [1, 1, 1, -1]}
    constants += [tensor(name, np.array(values, np.int64)) for name, values in indices.items()]
    nodes = [
        node("Gather", ("scales", "first"), "noise_scale"),
        node("Gather", ("scales", "second"), "length_scale"),
        node("Gather", ("scales", "third"), "noise_w"),
        node("Cast", ("input",), "ids", {"to": FLOAT}),
        node("Mul", ("ids", "step"), "own"),
        node("RandomNormalLike", ("own",), "chance"),
        node("Abs", ("chance",), "surplus"),
        node("Mul", ("surplus", "noise_w"), "added"),
        node("Add", ("own", "added"), "each"),
        node("Mul", ("each", "length_scale"), "asked"),
        node("Ceil" if lengths else "Floor", ("asked",), "w"),
        node("Add", ("w", "one"), "longer") if not lengths else node("Identity", ("w",), "longer"),
        node("ReduceSum", ("longer",), "sum"),
        node("Reshape", ("sum", "flat"), "total"),
        node("Mul", ("total", "hop"), "samples"),
        node("Cast", ("samples",), "count", {"to": INT64}),
        node("ConstantOfShape", ("count",), "silence"),
        node("RandomNormalLike", ("silence",), "drawn"),
        node("Mul", ("drawn", "noise_scale"), "sound"),
        node("Reshape", ("sound", "whole"), "output"),
    ]
    inputs = [value("input", (1, "phonemes"), INT64), value("input_lengths", (1,), INT64), value("scales", (3,))]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model(13, nodes, constants, inputs, [value("output", (1, 1, 1, "time"))]))
    said = {
        "audio": {"sample_rate": PIPER_RATE, "quality": "medium"},
        "espeak": {"voice": "en-us"},
        "inference": {"noise_scale": 0.1, "length_scale": 1, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "phoneme_id_map": IDS,
        "num_symbols": len(IDS),
        "num_speakers": 1,
    }
    path.with_name(f"{path.name}.json").write_text(json.dumps(said), "utf-8")
    return path


def write_kokoro(path: Path, *, tokens: str = "tokens") -> Path:
    """Write a network: a letter is as long as its number asks for, its sound as loud as the style's first number is.

    Args:
        path: Of the ONNX file.
        tokens: What its input is called.
    """
    constants = [tensor(name, np.array([number], np.float32)) for name, number in (("step", 0.02), ("unit", UNIT))]
    constants += [tensor("least", np.array(1, np.float32)), tensor("flat", np.array([-1], np.int64))]
    constants += [tensor("first", np.array([0], np.int64)), tensor("second", np.array([1], np.int64))]
    nodes = [
        node("Cast", (tokens,), "ids", {"to": FLOAT}),
        node("Mul", ("ids", "step"), "own"),
        node("Div", ("own", "speed"), "asked"),
        node("Round", ("asked",), "rounded"),
        node("Clip", ("rounded", "least"), "lengths"),
        node("ReduceSum", ("lengths",), "sum"),
        node("Reshape", ("sum", "flat"), "total"),
        node("Mul", ("total", "unit"), "samples"),
        node("Cast", ("samples",), "count", {"to": INT64}),
        node("ConstantOfShape", ("count",), "silence"),
        node("Slice", ("style", "first", "second", "second"), "loud"),
        node("Reshape", ("loud", "flat"), "level"),
        node("Add", ("silence", "level"), "audio"),
    ]
    inputs = [value(tokens, (1, "n"), INT64), value("style", (1, 256)), value("speed", (1,))]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model(13, nodes, constants, inputs, [value("audio", ("samples",))]))
    return path


def styles() -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    """Return styles of a voice, float32 [510, 1, 256]: the first number says for how many letters, in thousandths."""
    made = np.zeros((510, 1, 256), np.float32)
    made[:, 0, 0] = np.arange(1, 511) / 1000
    return made
