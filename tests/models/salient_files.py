"""Salient-object models whose maps are known."""

from pathlib import Path

import onnx
from onnx import TensorProto, helper


def write_model(path: Path, side_px: int | None = 64, *, num_channels: int = 3) -> Path:
    """Write a model to which bright pixels are salient: its map is their mean color."""
    shape = [1, num_channels, side_px or "height", side_px or "width"]
    given = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)
    made = helper.make_tensor_value_info("map", TensorProto.FLOAT, [1, 1, *shape[2:]])
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    mean = helper.make_node("ReduceMean", ["pixels", "axes"], ["map"], keepdims=1)
    graph = helper.make_graph([mean], "bright", [given], [made], initializer=[axes])
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path
