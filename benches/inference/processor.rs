//! Whether the machine is quiet: what the processors do beside the one engine whose turn it is.

use std::fs;

use crate::protocol::Result;

/// The processors' time that something else took, turn by turn.
#[derive(Debug, Default)]
pub(crate) struct Others {
    shares: Vec<f64>,
}

/// Ticks of all processors since the machine started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticks {
    busy: u64,
    all: u64,
}

impl Others {
    /// Begins a turn.
    pub(crate) fn start() -> Result<Ticks> {
        let stat = fs::read_to_string("/proc/stat")?;
        let first = stat.lines().next().ok_or("/proc/stat is empty")?;
        // User, nice, system, idle, idle while a disk works, two kinds of interrupts, taken by other machines.
        let ticks = first.split_whitespace().skip(1).take(8).map(str::parse);
        let ticks: Vec<u64> = ticks.collect::<std::result::Result<_, _>>()?;
        let all = ticks.iter().sum();
        let idle: u64 = ticks.iter().skip(3).take(2).sum();
        Ok(Ticks {
            busy: all - idle,
            all,
        })
    }

    /// Ends a turn in which the engine itself used so many ticks.
    pub(crate) fn stop(&mut self, start: Ticks, own: u64) -> Result<()> {
        let now = Self::start()?;
        let others = (now.busy - start.busy).saturating_sub(own);
        self.shares
            .push(others as f64 / (now.all - start.all).max(1) as f64);
        Ok(())
    }

    /// The greatest share of a turn, 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        self.shares.iter().copied().fold(0.0, f64::max)
    }
}
