"""The machine's best rate of fp32 matrix multiplication, as an engine: run_gemm.py

A setting is a library and a shape, and a pass is so many operations of it, however long they take.
"""

import itertools
import time

import numpy
import protocol
import torch

OPERATIONS = 1e11
SETTINGS = [
    {"library": library, "shape": [rows, inner, columns]}
    for library, rows, (inner, columns) in itertools.product(
        ("MKL", "MKL, packed before", "oneDNN, packed before", "OpenBLAS"),
        (256, 1024, 4096),
        ((768, 2304), (768, 3072), (3072, 768), (2048, 2048)),
    )
]


class Gemm:
    """`rows × inner` times `inner × columns`, the right one transposed in memory as weights are."""

    def __init__(self, setting):
        rows, inner, columns = setting["shape"]
        left, right, out = torch.randn(rows, inner), torch.randn(columns, inner), torch.empty(rows, columns)
        match setting["library"]:
            case "MKL":
                self.multiply = lambda: torch.mm(left, right.T, out=out)
            case "OpenBLAS":
                self.multiply = lambda: numpy.matmul(left.numpy(), right.numpy().T, out=out.numpy())
            case "MKL, packed before":
                packed = torch.ops.mkl._mkl_reorder_linear_weight(right, rows)
                self.multiply = lambda: torch.ops.mkl._mkl_linear(left, packed, right, None, rows)
            case _:
                packed = torch.ops.mkldnn._reorder_linear_weight(right, rows)
                self.multiply = lambda: torch.ops.mkldnn._linear_pointwise(left, packed, None, "none", [], "")
        self.operations = 2 * rows * inner * columns

    def once(self):
        times = round(OPERATIONS / self.operations)
        self.multiply()
        started = time.perf_counter()
        for _ in range(times):
            self.multiply()
        seconds = time.perf_counter() - started
        return {"seconds": seconds * OPERATIONS / (times * self.operations), "operations": OPERATIONS}


if __name__ == "__main__":
    torch.set_num_threads(2)
    torch.set_grad_enabled(False)
    protocol.serve(f"matrix multiplication, fp32, PyTorch {torch.__version__}", SETTINGS, Gemm)
