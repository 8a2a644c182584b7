"""OpenVINO: run_openvino.py FOLDER"""

import sys
from pathlib import Path

import openvino
import protocol

FOLDER = Path(sys.argv[1])
SETTINGS = [
    {"graph": graph, "hint": hint, "batch": batch}
    for graph in ("openvino.xml", "plain.onnx")
    for hint in ("LATENCY", "THROUGHPUT")
    for batch in (1, 8, 32)
]


def load(setting):
    throughput = setting["hint"] == "THROUGHPUT"
    setting["callers"] = 2 if throughput else 1
    config = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": setting["hint"],
        "INFERENCE_NUM_THREADS": 2,
        "NUM_STREAMS": 2 if throughput else 1,
    }
    model = openvino.Core().compile_model(FOLDER / setting["graph"], "CPU", config)
    requests = [model.create_infer_request() for _ in range(setting["callers"])]

    def score(batch):
        request = requests.pop()
        try:
            return next(iter(request.infer(batch).values())).copy()
        finally:
            requests.append(request)

    return protocol.Texts(FOLDER, setting, score)


if __name__ == "__main__":
    version = openvino.get_version().split("-")[0]
    protocol.serve(f"OpenVINO {version}", SETTINGS, load)
