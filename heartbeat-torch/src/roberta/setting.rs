//! Where and how a model runs, decided for the machine at hand.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;

use heartbeat_core::{Error, Result};
use rayon::ThreadPool;
use tch::{Cuda, Kind, TchError};

use super::blocks;
use super::encoder::Format;
use super::float::Layout;
use super::kernels::Kernels;
use crate::architecture::Architecture;
use crate::config::{Device, Precision, RobertaConfig};

/// Where and how a model runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) device: tch::Device,
    pub(crate) precision: Precision,
    pub(crate) threads: usize,
}

impl Setting {
    /// What of `config` this machine can do.
    ///
    /// # Errors
    /// A device that LibTorch does not see, or cannot use with that precision.
    pub(crate) fn new(config: &RobertaConfig) -> Result<Self> {
        let device = find(config.device)?;
        if device.is_cuda() && config.precision == Precision::Int8 {
            return Err(Error::misconfigured("int8 is for the processor only")
                .with("device", config.device)
                .hint("Choose `bf16` on a CUDA device, or the device `cpu`."));
        }
        let threads = config.threads.map_or_else(
            // It knows the limits of a container, which LibTorch does not.
            || available_parallelism().map_or(1, NonZeroUsize::get),
            NonZeroUsize::get,
        );
        Ok(Self {
            device,
            precision: config.precision,
            threads,
        })
    }

    /// All threads share each step of what the calling thread does from now on.
    pub(super) fn share_work(&self) {
        tch::set_num_threads(i32::try_from(self.threads).unwrap_or(i32::MAX));
    }

    /// The calling thread does each of its steps alone from now on.
    pub(super) fn work_alone(&self) {
        tch::set_num_threads(1);
    }

    /// How layers are best kept, those in blocks for `threads` to share.
    pub(super) fn format(
        &self,
        architecture: &Architecture,
        threads: &Arc<ThreadPool>,
    ) -> Result<Format, TchError> {
        if self.device.is_cuda() {
            return Ok(Format::Float(Layout::Plain(match self.precision {
                Precision::Bf16 => Kind::BFloat16,
                Precision::Fp32 | Precision::Int8 => Kind::Float,
            })));
        }
        let onednn = || Kernels::onednn().map(Arc::new);
        Ok(match self.precision {
            Precision::Fp32 if blocks::fit(architecture) => Format::Blocks(Arc::clone(threads)),
            Precision::Fp32 => Format::Float(Layout::Plain(Kind::Float)),
            Precision::Bf16 => {
                let onednn = onednn()?;
                Format::Float(if onednn.has_bfloat16() {
                    Layout::Packed(onednn)
                } else {
                    Layout::Plain(Kind::BFloat16)
                })
            }
            Precision::Int8 => Format::Int8(onednn()?),
        })
    }
}

fn find(device: Device) -> Result<tch::Device> {
    match device {
        Device::Cpu => Ok(tch::Device::Cpu),
        Device::Auto => Ok(tch::Device::cuda_if_available()),
        Device::Cuda(number) => {
            let seen = Cuda::device_count();
            if i64::try_from(number).is_ok_and(|number| number < seen) {
                return Ok(tch::Device::Cuda(number));
            }
            Err(Error::misconfigured("there is no such CUDA device")
                .with("device", device)
                .with("devices", seen)
                .hint(if seen > 0 {
                    "Name one of those that there are, from `cuda:0` on, or the device `cpu`."
                } else {
                    "This LibTorch is without CUDA, or its driver shows it no device: build with one that has it, \
                     check `nvidia-smi` and CUDA_VISIBLE_DEVICES, or choose the device `cpu`."
                }))
        }
    }
}
