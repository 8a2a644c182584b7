"""ONNX Runtime: run_onnxruntime.py FOLDER fp32|int8"""

import sys
from pathlib import Path

import onnxruntime
import protocol

FOLDER = Path(sys.argv[1])
BEST, *OTHERS = {
    "fp32": ["fused.onnx"],
    # "reduced": weights of 7 bits, for processors whose sums of 8-bit products overflow.
    "int8": ["fused-int8.onnx", "plain-int8.onnx", "fused-int8-reduced.onnx", "plain-int8-reduced.onnx"],
}[sys.argv[2]]
SETTINGS = (
    [{"graph": BEST, "batch": batch} for batch in (1, 8, 16, 32)]
    # Texts at the same time, a thread each, instead of threads that share one text's work.
    + [{"graph": BEST, "batch": batch, "callers": 2} for batch in (1, 4, 8, 16)]
    + [{"graph": BEST, "batch": batch, "options": "no spinning"} for batch in (1, 8)]
    + [{"graph": BEST, "batch": 8, "callers": 2, "options": "no memory pattern"}]
    + [{"graph": graph, "batch": batch, "callers": 2} for graph in OTHERS for batch in (4, 8)]
)


def load(setting):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = 2 // setting.get("callers", 1)
    options.enable_mem_pattern = setting.get("options") != "no memory pattern"
    if setting.get("options") == "no spinning":
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(FOLDER / setting["graph"], options, providers=["CPUExecutionProvider"])
    return protocol.Texts(FOLDER, setting, lambda batch: session.run(["logits"], batch)[0])


if __name__ == "__main__":
    protocol.serve(f"ONNX Runtime {onnxruntime.__version__} {sys.argv[2]}", SETTINGS, load)
