"""The operators of LibTorch that `tch` does not bind, as a TorchScript module without weights.

`python3 kernels.py` writes `kernels.pt` beside itself (torch 2.13.0).
"""

import io
import zipfile
from pathlib import Path

import torch
from torch import Tensor


class Kernels(torch.nn.Module):
    @torch.jit.export
    def pack(self, weight: Tensor) -> Tensor:
        """A linear layer's weight in the order that oneDNN likes best."""
        return torch.ops.mkldnn._reorder_linear_weight(weight, None)

    @torch.jit.export
    def linear(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "none")

    @torch.jit.export
    def linear_gelu(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "gelu", [], "none")

    @torch.jit.export
    def linear_add(self, x: Tensor, residual: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, residual, weight, bias, "add")

    @torch.jit.export
    def pack_int8(self, weight: Tensor) -> Tensor:
        return torch.ops.onednn.qlinear_prepack(weight, None)

    @torch.jit.export
    def linear_int8(
        self, x: Tensor, scale: float, zero: int, weight: Tensor, weight_scales: Tensor, weight_zeros: Tensor
    ) -> Tensor:
        """Unsigned 8-bit `x` under one scale by signed 8-bit weights, a scale for each output, to 32-bit floats."""
        return torch.ops.onednn.qlinear_pointwise(
            x, scale, zero, weight, weight_scales, weight_zeros, None, 1.0, 0, torch.float32, "none", [], "none"
        )

    def forward(self, x: Tensor) -> Tensor:
        return x


def main() -> None:
    script = Path(__file__)
    saved = zipfile.ZipFile(io.BytesIO(torch.jit.script(Kernels()).save_to_buffer()))
    with zipfile.ZipFile(script.with_suffix(".pt"), "w") as archive:
        for entry in saved.infolist():
            # They tell on whose machine the file was made.
            if not entry.filename.endswith(".debug_pkl"):
                # An entry with its own header, so that its time is always the same.
                name = entry.filename.replace("archive/", "kernels/", 1)
                archive.writestr(zipfile.ZipInfo(name), saved.read(entry))


if __name__ == "__main__":
    main()
