//! Where and how a model runs, decided for the machine at hand.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use heartbeat_core::{Error, Result};
use tch::{Cuda, Kind, TchError, Tensor};

use super::kernels::Kernels;
use super::linear::{Format, Linear};
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

    /// How linear layers are best kept.
    pub(super) fn format(&self, architecture: &Architecture) -> Result<Format, TchError> {
        if self.device.is_cuda() {
            return Ok(Format::Plain(match self.precision {
                Precision::Bf16 => Kind::BFloat16,
                Precision::Fp32 | Precision::Int8 => Kind::Float,
            }));
        }
        let kernels = Arc::new(Kernels::load()?);
        match self.precision {
            Precision::Fp32 => faster(kernels, architecture),
            Precision::Bf16 => Ok(Format::Packed(Kind::BFloat16, kernels)),
            Precision::Int8 => Ok(Format::Int8(kernels)),
        }
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

/// oneDNN's layout is as fast as any on processors with AVX-512, and the fastest for short texts everywhere. On
/// others LibTorch's own way may be faster in batches, so the two are tried on a layer of the
/// model's size.
fn faster(kernels: Arc<Kernels>, architecture: &Architecture) -> Result<Format, TchError> {
    const ROWS: i64 = 512;
    const ROUNDS: usize = 5;
    /// Short texts are worth so much of the time of long ones, and the machine's moods so much.
    const CLEARLY: f64 = 0.9;

    let packed = Format::Packed(Kind::Float, kernels);
    if has_avx512() {
        return Ok(packed);
    }
    let options = (Kind::Float, tch::Device::Cpu);
    let weight = Tensor::f_randn([architecture.intermediate, architecture.hidden], options)?;
    let bias = Tensor::f_zeros([architecture.intermediate], options)?;
    let x = Tensor::f_randn([ROWS, architecture.hidden], options)?;

    let formats = [packed, Format::Plain(Kind::Float)];
    let mut best = [Duration::MAX; 2];
    let layers = formats
        .each_ref()
        .map(|format| Linear::new(&weight, &bias, format));
    for _ in 0..=ROUNDS {
        for (layer, best) in layers.iter().zip(&mut best) {
            let Ok(layer) = layer else { continue };
            let start = Instant::now();
            drop(layer.forward(&x)?);
            *best = start.elapsed().min(*best);
        }
    }
    let [packed, plain] = formats;
    Ok(if best[1] < best[0].mul_f64(CLEARLY) {
        plain
    } else {
        packed
    })
}

fn has_avx512() -> bool {
    #[cfg(target_arch = "x86_64")]
    let it = is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    let it = false;
    it
}
