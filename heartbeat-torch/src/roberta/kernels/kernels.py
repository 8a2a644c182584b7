"""The operators of LibTorch that `tch` does not bind, as TorchScript modules without weights.

`python3 kernels.py` writes `mkl.pt` and `onednn.pt` beside itself (torch 2.13.0). There are two since a LibTorch may
lack either library.
"""

import io
import zipfile
from pathlib import Path

import torch
from torch import Tensor


class Mkl(torch.nn.Module):
    @torch.jit.export
    def pack(self, weight: Tensor) -> Tensor:
        """A linear layer's weight in the order that MKL likes best."""
        # It asks how many rows the other matrix will have. What it packs serves any number of them.
        return torch.ops.mkl._mkl_reorder_linear_weight(weight.contiguous(), 512)

    @torch.jit.export
    def linear(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        # The weight as it was is asked for its shape alone, so a single number may stand for it. It would be used if
        # `x` had another number of rows than told.
        rows, inputs, outputs = x.size(0), x.size(1), bias.size(0)
        unpacked = bias.as_strided([outputs, inputs], [0, 0])
        return torch.ops.mkl._mkl_linear(x, weight, unpacked, bias, rows)

    @torch.jit.export
    def linear_gelu(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        y = self.linear(x, weight, bias)
        # GELU is oneDNN's, which compiles it for its number of rows and keeps what it compiled: powers of two keep
        # memory flat.
        start = 0
        while start < y.size(0):
            rows = 1
            while start + 2 * rows <= y.size(0):
                rows = 2 * rows
            torch.ops.aten.gelu_(y.narrow(0, start, rows))
            start += rows
        return y

    @torch.jit.export
    def linear_add(self, x: Tensor, residual: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return self.linear(x, weight, bias).add_(residual)

    def forward(self, x: Tensor) -> Tensor:
        return x


class OneDnn(torch.nn.Module):
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
        self, x: Tensor, zero: int, weight: Tensor, weight_scales: Tensor, weight_zeros: Tensor, bf16: bool
    ) -> Tensor:
        """Unsigned 8-bit `x`, where `zero` stands for 0, by signed 8-bit weights, a scale for each output."""
        kind = torch.bfloat16 if bf16 else torch.float32
        return torch.ops.onednn.qlinear_pointwise(
            x, 1.0, zero, weight, weight_scales, weight_zeros, None, 1.0, 0, kind, "none", [], "none"
        )

    def forward(self, x: Tensor) -> Tensor:
        return x


def save(module: torch.nn.Module, name: str) -> None:
    saved = zipfile.ZipFile(io.BytesIO(torch.jit.script(module).save_to_buffer()))
    with zipfile.ZipFile(Path(__file__).with_name(f"{name}.pt"), "w") as archive:
        for entry in saved.infolist():
            # They tell on whose machine the file was made.
            if not entry.filename.endswith(".debug_pkl"):
                # An entry with its own header, so that its time is always the same.
                path = entry.filename.replace("archive/", f"{name}/", 1)
                archive.writestr(zipfile.ZipInfo(path), saved.read(entry))


if __name__ == "__main__":
    save(Mkl(), "mkl")
    save(OneDnn(), "onednn")
