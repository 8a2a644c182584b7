//! A thread that owns a Kafka client, whose calls block.

use std::fmt;
use std::thread;

use heartbeat_core::{Error, Result};
use tokio::sync::{mpsc, oneshot};

/// How many jobs may wait. Whoever brings one more waits too.
const QUEUE: usize = 16;

/// A handle of the thread, which does one job after the other. When the last handle is dropped, the thread does those
/// that wait and ends.
pub(crate) struct Worker<T> {
    orders: mpsc::Sender<Order<T>>,
}

/// What the thread is told.
enum Order<T> {
    Run(Box<dyn FnOnce(&mut T) + Send>),
    /// To let go of what it owns, to answer and to end.
    Close(oneshot::Sender<()>),
}

impl<T> Order<T> {
    /// To do `job`, and what its answer comes by.
    fn run<R: Send + 'static>(
        job: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> (Self, oneshot::Receiver<R>) {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move |owned: &mut T| {
            // When nobody waits for it any more, nobody misses it.
            let _ = answer.send(job(owned));
        });
        (Self::Run(job), answered)
    }
}

impl<T: 'static> Worker<T> {
    /// Starts a thread on what `make` makes there.
    pub(crate) fn start(make: impl FnOnce() -> T + Send + 'static) -> Result<Self> {
        let (orders, queue) = mpsc::channel(QUEUE);
        spawn(move || serve(make(), queue))?;
        Ok(Self { orders })
    }

    /// Does `job` when those before it are done. It is done even if the call is dropped.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut T) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let (order, answered) = Order::run(job);
        self.orders.send(order).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// As [`run`](Self::run), for a thread that may block.
    pub(crate) fn call<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut T) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let (order, answered) = Order::run(job);
        self.orders.blocking_send(order).map_err(|_| gone())?;
        answered.blocking_recv().map_err(|_| gone())?
    }

    /// Ends the thread behind the jobs that wait, and waits for that.
    pub(crate) async fn close(&self) {
        let (answer, answered) = oneshot::channel();
        if self.orders.send(Order::Close(answer)).await.is_ok() {
            // Without an answer it has ended, too.
            let _ = answered.await;
        }
    }
}

fn serve<T>(mut owned: T, mut queue: mpsc::Receiver<Order<T>>) {
    while let Some(order) = queue.blocking_recv() {
        match order {
            Order::Run(job) => job(&mut owned),
            Order::Close(answer) => {
                drop(owned);
                let _ = answer.send(());
                return;
            }
        }
    }
}

/// Starts a thread for calls that block.
pub(crate) fn spawn(work: impl FnOnce() + Send + 'static) -> Result<()> {
    thread::Builder::new()
        .name("heartbeat-kafka".to_owned())
        .spawn(work)
        .map(drop)
        .map_err(|error| Error::unavailable("cannot start a thread").caused_by(error))
}

fn gone() -> Error {
    Error::internal("the Kafka client was closed, or its thread has died")
}

impl<T> Clone for Worker<T> {
    fn clone(&self) -> Self {
        Self {
            orders: self.orders.clone(),
        }
    }
}

impl<T> fmt::Debug for Worker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Worker")
    }
}
