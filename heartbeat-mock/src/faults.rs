//! Errors on demand.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use heartbeat_core::{Error, Result};

use crate::lock::lock;

/// A call of the bus, of a subscription or of the store that can be told to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// [`Bus::publish`](heartbeat_core::Bus::publish).
    Publish,
    /// [`Bus::position`](heartbeat_core::Bus::position).
    Position,
    /// [`Bus::subscribe`](heartbeat_core::Bus::subscribe).
    Subscribe,
    /// [`Bus::lag`](heartbeat_core::Bus::lag).
    Lag,
    /// [`Subscription::poll`](heartbeat_core::Subscription::poll).
    Poll,
    /// [`Subscription::commit`](heartbeat_core::Subscription::commit).
    Commit,
    /// [`Store::write`](heartbeat_core::Store::write).
    Write,
    /// [`Store::read`](heartbeat_core::Store::read).
    Read,
    /// [`Store::summarize`](heartbeat_core::Store::summarize).
    Summarize,
}

impl Call {
    fn changes(self) -> bool {
        matches!(self, Self::Publish | Self::Commit | Self::Write)
    }
}

/// The errors that the next calls are answered with. Clones are handles to the same ones.
///
/// ```
/// use heartbeat_core::{Bus, Error, Topic};
/// use heartbeat_mock::{Call, MemoryBus};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let bus = MemoryBus::default();
/// bus.faults().fail(Call::Lag, 2, Error::unavailable("the broker is away"));
///
/// let topic = Topic::new("ingest")?;
/// assert!(bus.lag(&topic, "analyze").await.is_err());
/// assert!(bus.lag(&topic, "analyze").await.is_err());
/// assert!(bus.lag(&topic, "analyze").await.is_ok());
/// # Ok::<_, heartbeat_core::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<HashMap<Call, VecDeque<Fault>>>>);

#[derive(Debug, Clone)]
struct Fault {
    error: Error,
    /// Whether the work is done all the same.
    done: bool,
}

impl Faults {
    /// The next `times` such calls do nothing and answer `error`; behind the faults already told.
    pub fn fail(&self, call: Call, times: usize, error: Error) {
        self.push(call, times, error, false);
    }

    /// The next `times` such calls do their work and answer `error` all the same, as when the answer is
    /// lost on its way. Calls that change nothing just fail.
    pub fn lose_answer(&self, call: Call, times: usize, error: Error) {
        self.push(call, times, error, call.changes());
    }

    /// How many faults still wait for such a call.
    #[must_use]
    pub fn pending(&self, call: Call) -> usize {
        lock(&self.0).get(&call).map_or(0, VecDeque::len)
    }

    fn push(&self, call: Call, times: usize, error: Error, done: bool) {
        let faults = std::iter::repeat_n(Fault { error, done }, times);
        lock(&self.0).entry(call).or_default().extend(faults);
    }

    /// To be asked before the work of `call`.
    pub(crate) fn before(&self, call: Call) -> Result<()> {
        self.take(call, false)
    }

    /// To be asked when the work of `call` is done.
    pub(crate) fn after(&self, call: Call) -> Result<()> {
        self.take(call, true)
    }

    fn take(&self, call: Call, done: bool) -> Result<()> {
        let mut faults = lock(&self.0);
        let next = faults
            .get_mut(&call)
            .and_then(|queue| queue.pop_front_if(|fault| fault.done == done));
        next.map_or(Ok(()), |fault| Err(fault.error))
    }
}
