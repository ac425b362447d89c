"""The models that come in rapidocr's wheel (PP-OCRv6 small), cut into the parts that are needed.

The recogniser ends in a layer with 18,710 characters, nearly all of them Chinese or Japanese. It costs an
eighth of the time and a hundred times the memory of the rest. So it is cut off: one model reads a line with
the other 1,750 characters and returns the features of the line, from which another one tells all characters.
"""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.utils import Extractor

from pagemill.extraction.recognition.device import CUDA, Device

DETECTOR = "PP-OCRv6_det_small.onnx"
RECOGNISER = "PP-OCRv6_rec_small.onnx"
INPUT = "x"
FIRST_IDEOGRAPH = 0x2E80
"""Characters from here on are Chinese, Japanese and Korean ones, and full-width forms."""
CUDA_OPTIONS = {"cudnn_conv_algo_search": "HEURISTIC"}
"""Pages are of many sizes: to try all algorithms for each new size takes longer than reading the page."""
_INDEX, _PROBABILITY = "index", "probability"


@dataclass(frozen=True, slots=True)
class LineModels:
    """The recogniser in two models, and the characters that each of them knows.

    ``alphabetic`` takes lines (count, 3, 48, width) in -1..1; ``complete`` takes the features that it
    returns. Both return, for each eighth pixel, the index of the character (0: none) and its probability.
    """

    alphabetic: bytes
    alphabetic_characters: tuple[str, ...]
    complete: bytes
    complete_characters: tuple[str, ...]
    features: str
    """Name of the output of ``alphabetic`` that is the input of ``complete``."""


def open_session(model: bytes, device: Device) -> onnxruntime.InferenceSession:
    """Load a model on a device, with one thread for each run."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    providers = [(name, CUDA_OPTIONS) if name == CUDA else name for name in device.providers]
    return onnxruntime.InferenceSession(model, options, providers=providers)


def detector_model() -> bytes:
    """Return the model that marks where lines of text are."""
    return (_folder() / DETECTOR).read_bytes()


@functools.cache
def line_models() -> LineModels:
    """Return the recogniser's models."""
    model = onnx.load(_folder() / RECOGNISER)
    properties = {one.key: one.value for one in model.metadata_props}
    characters = ("", *properties["character"].splitlines(), " ")
    layer = _last_layer(model)
    backbone = Extractor(model).extract_model([INPUT], [layer.features])
    kept = np.array([0, *(index for index, one in enumerate(characters) if _is_alphabetic(one))])
    alphabetic = onnx.ModelProto()
    alphabetic.CopyFrom(backbone)
    _add_layer(alphabetic.graph, layer, kept)
    complete = helper.make_model(
        helper.make_graph([], "complete", [backbone.graph.output[0]], []),
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
    )
    _add_layer(complete.graph, layer, np.arange(len(characters)))
    return LineModels(
        alphabetic=alphabetic.SerializeToString(),
        alphabetic_characters=tuple(characters[index] for index in kept),
        complete=complete.SerializeToString(),
        complete_characters=characters,
        features=layer.features,
    )


@dataclass(frozen=True, slots=True)
class _Layer:
    """The last layer: its input, its weights (features, characters) and biases (characters)."""

    features: str
    weights: NDArray[np.float32]
    biases: NDArray[np.float32]


def _last_layer(model: onnx.ModelProto) -> _Layer:
    """Return the layer before the only output: product, sum, identities, softmax."""
    maker: dict[str, Any] = {output: node for node in model.graph.node for output in node.output}
    constants = {one.name: one for one in model.graph.initializer}
    found: dict[str, NDArray[np.float32]] = {}
    name = model.graph.output[0].name
    while len(found) < 2:
        node = maker[name]
        constant = [one for one in node.input if one in constants]
        if node.op_type in ("Add", "MatMul"):
            found[node.op_type] = numpy_helper.to_array(constants[constant[0]])
        name = next(one for one in node.input if one not in constants)
    return _Layer(name, found["MatMul"], found["Add"])


def _add_layer(graph: onnx.GraphProto, layer: _Layer, kept: NDArray[np.int64]) -> None:
    """Add the layer for some characters; return indexes and probabilities in place of all of them."""
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.ascontiguousarray(layer.weights[:, kept]), "weights"),
            numpy_helper.from_array(layer.biases[kept], "biases"),
        ]
    )
    graph.node.extend(
        [
            helper.make_node("MatMul", [layer.features, "weights"], ["product"]),
            helper.make_node("Add", ["product", "biases"], ["scores"]),
            helper.make_node("ArgMax", ["scores"], [_INDEX], axis=2, keepdims=0),
            helper.make_node("Softmax", ["scores"], ["probabilities"], axis=2),
            helper.make_node("ReduceMax", ["probabilities"], [_PROBABILITY], axes=[2], keepdims=0),
        ]
    )
    graph.output.extend(
        [
            helper.make_tensor_value_info(_INDEX, TensorProto.INT64, [None, None]),
            helper.make_tensor_value_info(_PROBABILITY, TensorProto.FLOAT, [None, None]),
        ]
    )


def _is_alphabetic(character: str) -> bool:
    return len(character) == 1 and ord(character) < FIRST_IDEOGRAPH


def _folder() -> Path:
    # Not by importing it: the library itself, which this package does not use, would load much more.
    found = importlib.util.find_spec("rapidocr")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "models"
