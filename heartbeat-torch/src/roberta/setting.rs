//! Where and how a model runs, decided for the machine at hand.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use heartbeat_core::{Error, Result};
use tch::{Cuda, Kind, TchError, Tensor};

use super::kernels::Kernels;
use super::linear::{Format, Linear};
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
    pub(super) fn format(&self) -> Result<Format, TchError> {
        if self.device.is_cuda() {
            return Ok(Format::Plain(match self.precision {
                Precision::Bf16 => Kind::BFloat16,
                Precision::Fp32 | Precision::Int8 => Kind::Float,
            }));
        }
        let onednn = || Kernels::onednn().map(Arc::new);
        match self.precision {
            Precision::Fp32 => {
                self.work_alone();
                let format = best();
                self.share_work();
                format
            }
            Precision::Bf16 => Ok(Format::Packed(Kind::BFloat16, onednn()?)),
            Precision::Int8 => Ok(Format::Int8(onednn()?)),
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

/// The best of what this LibTorch has for this processor, on a layer of the usual size, by one thread:
/// less depends on what else the machine does.
///
/// MKL is the fastest on most, and what it needs of memory does not grow. Others have to be clearly faster.
fn best() -> Result<Format, TchError> {
    /// Of a tweet, and of several.
    const ROWS: [i64; 2] = [24, 128];
    const INPUTS: i64 = 768;
    const OUTPUTS: i64 = 3072;
    const ROUNDS: usize = 6;
    /// By so much in each of the two.
    const CLEARLY: f64 = 0.85;

    let options = (Kind::Float, tch::Device::Cpu);
    let weight = Tensor::f_randn([OUTPUTS, INPUTS], options)?;
    let bias = Tensor::f_zeros([OUTPUTS], options)?;
    let plain = Format::Plain(Kind::Float);
    let expected = Linear::new(&weight, &bias, &plain)?;

    let libraries = [Kernels::mkl(), Kernels::onednn()].into_iter().flatten();
    let packed = libraries.map(|kernels| Format::Packed(Kind::Float, Arc::new(kernels)));
    let mut rivals = Vec::new();
    for format in packed.chain([plain]) {
        let handicap = if rivals.is_empty() {
            CLEARLY * CLEARLY
        } else {
            1.0
        };
        rivals.push((Linear::new(&weight, &bias, &format)?, format, handicap));
    }
    for rows in ROWS {
        let x = Tensor::f_randn([rows, INPUTS], options)?;
        let expected = expected.forward(&x)?;
        // MKL does not promise that what it packs serves any number of rows.
        let mut right = Vec::new();
        for (layer, format, time) in rivals {
            if layer
                .forward(&x)?
                .f_allclose(&expected, 1e-3, 1e-3, false)?
            {
                right.push((layer, format, time));
            }
        }
        rivals = right;
        // By turns: the processor's speed changes.
        let mut shortest = vec![Duration::MAX; rivals.len()];
        for _ in 0..ROUNDS {
            for ((layer, ..), shortest) in rivals.iter().zip(&mut shortest) {
                let start = Instant::now();
                drop(layer.forward(&x)?);
                *shortest = start.elapsed().min(*shortest);
            }
        }
        for ((.., time), shortest) in rivals.iter_mut().zip(shortest) {
            *time *= shortest.as_secs_f64();
        }
    }
    let best = rivals.into_iter().min_by(|(.., a), (.., b)| a.total_cmp(b));
    Ok(best.map_or(Format::Plain(Kind::Float), |(_, format, _)| format))
}
