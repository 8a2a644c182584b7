"""The operators of LibTorch that `tch` does not bind, as a TorchScript module without weights.

`python3 kernels.py` writes `onednn.pt` beside itself (torch 2.13.0).
"""

import io
import zipfile
from pathlib import Path

import torch
from torch import Tensor


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
    save(OneDnn(), "onednn")
