//! Where and how a model runs, decided for the machine at hand.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use heartbeat_core::{Error, Result};
use tch::{Cuda, Kind, TchError, Tensor};

use super::encoder::Format;
use super::kernels::Kernels;
use super::linear::{Layout, Linear};
use super::weights::Parameters;
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
            return Ok(Format::Float(Layout::Plain(match self.precision {
                Precision::Bf16 => Kind::BFloat16,
                Precision::Fp32 | Precision::Int8 => Kind::Float,
            })));
        }
        let onednn = || Kernels::onednn().map(Arc::new);
        Ok(match self.precision {
            Precision::Fp32 => Format::Float(best()?),
            Precision::Bf16 => Format::Float(Layout::Packed(Kind::BFloat16, onednn()?)),
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

/// The best of what this LibTorch has for this processor, on a layer of the usual size.
///
/// MKL is the fastest on most, and what it needs of memory does not grow. Others have to be clearly faster.
fn best() -> Result<Layout, TchError> {
    /// Of a tweet, and of several.
    const ROWS: [i64; 2] = [24, 128];
    const INPUTS: i64 = 768;
    const OUTPUTS: i64 = 3072;
    const ROUNDS: usize = 6;
    /// By so much in each of the two.
    const CLEARLY: f64 = 0.85;

    let options = (Kind::Float, tch::Device::Cpu);
    let parameters = Parameters {
        weight: Tensor::f_randn([OUTPUTS, INPUTS], options)?,
        bias: Tensor::f_zeros([OUTPUTS], options)?,
    };
    let layer = |layout: &Layout| Linear::new(&parameters, layout);
    let plain = Layout::Plain(Kind::Float);
    let reference = layer(&plain)?;
    let mut trials = Vec::new();
    for rows in ROWS {
        let x = Tensor::f_randn([rows, INPUTS], options)?;
        trials.push((reference.forward(&x)?, x));
    }
    let is_right = |layer: &Linear| -> Result<bool, TchError> {
        for (expected, x) in &trials {
            let y = layer.forward(x)?;
            if !y.f_allclose(expected, 1e-3, 1e-3, false)? {
                return Ok(false);
            }
        }
        Ok(true)
    };

    let libraries = [Kernels::mkl(), Kernels::onednn()].into_iter().flatten();
    let packed = libraries.map(|kernels| Layout::Packed(Kind::Float, Arc::new(kernels)));
    let mut rivals = Vec::new();
    for layout in packed.chain([plain]) {
        // What fails here takes no part, nor what is wrong: MKL does not promise that what it packs
        // serves any number of rows.
        if let Ok(layer) = layer(&layout)
            && let Ok(true) = is_right(&layer)
        {
            rivals.push((layout, layer));
        }
    }
    // By turns: the processor's speed changes.
    let mut shortest = vec![[Duration::MAX; ROWS.len()]; rivals.len()];
    for _ in 0..ROUNDS {
        for ((_, layer), shortest) in rivals.iter().zip(&mut shortest) {
            for ((_, x), shortest) in trials.iter().zip(shortest) {
                let start = Instant::now();
                drop(layer.forward(x)?);
                *shortest = start.elapsed().min(*shortest);
            }
        }
    }
    let time = |of: &[Duration]| of.iter().map(Duration::as_secs_f64).product::<f64>();
    let mut times: Vec<f64> = shortest.iter().map(|of| time(of)).collect();
    if let Some(preferred) = times.first_mut() {
        *preferred *= CLEARLY.powi(ROWS.len() as i32);
    }
    let layouts = rivals.into_iter().map(|(layout, _)| layout);
    let best = layouts.zip(times).min_by(|(_, a), (_, b)| a.total_cmp(b));
    Ok(best.map_or(Layout::Plain(Kind::Float), |(layout, _)| layout))
}
