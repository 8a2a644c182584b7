//! A thread that owns a connection, so that blocking work never runs on the async runtime.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;

use heartbeat_core::{Error, Result};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use crate::error::Failure;

/// How many jobs may wait. Whoever brings one more waits too.
const QUEUE: usize = 64;

/// A handle of the thread. The thread ends when the last handle is dropped.
///
/// Jobs that wait at the same time share one transaction, and so one wait for the disk; each has
/// a savepoint of its own in it and is undone alone when it fails.
#[derive(Clone)]
pub(crate) struct Worker {
    orders: mpsc::Sender<Order>,
}

/// What the thread is told.
enum Order {
    Run(Box<dyn Job>),
    /// To close the connection, to answer and to end.
    Close(oneshot::Sender<()>),
}

impl Worker {
    /// Starts a thread on the connection that `open` makes there.
    pub(crate) async fn start(
        path: &Path,
        behavior: TransactionBehavior,
        open: impl FnOnce(&Path) -> Result<Connection, Failure> + Send + 'static,
    ) -> Result<Self> {
        let (orders, queue) = mpsc::channel(QUEUE);
        let (opened, answer) = oneshot::channel();
        let path = path.to_owned();
        thread::Builder::new()
            .name("heartbeat-sqlite".to_owned())
            .spawn(move || match open(&path) {
                Ok(connection) => {
                    // When nobody waits for the answer, nobody holds the queue's other end either.
                    let _ = opened.send(Ok(()));
                    serve(connection, behavior, queue, &path);
                }
                Err(failure) => {
                    let _ = opened.send(Err(failure.at(&path)));
                }
            })
            .map_err(|error| Error::unavailable("cannot start a thread").caused_by(error))?;
        answer.await.unwrap_or_else(|_| Err(gone()))?;
        Ok(Self { orders })
    }

    /// Does `work` in a transaction and answers when that is committed.
    ///
    /// When the caller stops waiting, the work is left undone, unless it has already begun.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let task = Task {
            work: Some(work),
            outcome: None,
            reply,
        };
        let order = Order::Run(Box::new(task));
        self.orders.send(order).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Closes the connection behind the work that waits, for all handles. To do it again does nothing.
    pub(crate) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.orders.send(Order::Close(reply)).await.is_ok() {
            // No answer: another call has closed it.
            let _ = closed.await;
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

fn gone() -> Error {
    Error::internal("the database was closed")
}

fn serve(
    mut connection: Connection,
    behavior: TransactionBehavior,
    mut queue: mpsc::Receiver<Order>,
    path: &Path,
) {
    let mut close = None;
    while close.is_none()
        && let Some(first) = queue.blocking_recv()
    {
        let mut group = Vec::new();
        let mut next = Some(first);
        while let Some(order) = next {
            match order {
                Order::Run(job) => group.push(job),
                Order::Close(reply) => {
                    close = Some(reply);
                    break;
                }
            }
            next = (group.len() < QUEUE)
                .then(|| queue.try_recv().ok())
                .flatten();
        }
        if group.is_empty() {
            continue;
        }
        let committed = transact(&mut connection, behavior, &mut group, path)
            .map_err(|failure| failure.at(path));
        for job in group {
            job.reply(committed.clone());
        }
    }
    drop(connection);
    if let Some(reply) = close {
        // Whoever asked may have stopped waiting.
        let _ = reply.send(());
    }
}

fn transact(
    connection: &mut Connection,
    behavior: TransactionBehavior,
    group: &mut [Box<dyn Job>],
    path: &Path,
) -> Result<(), Failure> {
    let mut transaction = connection.transaction_with_behavior(behavior)?;
    for job in group {
        job.run(&mut transaction, path)?;
    }
    Ok(transaction.commit()?)
}

/// A [`Task`] of any type.
trait Job: Send {
    /// Does the work and keeps its outcome. Fails when the whole transaction is lost.
    fn run(&mut self, transaction: &mut Transaction<'_>, path: &Path) -> Result<(), Failure>;

    /// Answers the caller, once it is known what became of the transaction.
    fn reply(self: Box<Self>, committed: Result<()>);
}

struct Task<F, T> {
    work: Option<F>,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Job for Task<F, T>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, Failure> + Send,
{
    fn run(&mut self, transaction: &mut Transaction<'_>, path: &Path) -> Result<(), Failure> {
        let Some(work) = self.work.take().filter(|_| !self.reply.is_closed()) else {
            return Ok(());
        };
        let savepoint = transaction.savepoint()?;
        // What a panic leaves half done is undone with the savepoint.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&savepoint)))
            .unwrap_or_else(|_| Err(Error::internal("a job on the database panicked").into()));
        match &outcome {
            Ok(_) => savepoint.commit()?,
            // SQLite has undone the whole transaction, as it may when the disk is full.
            Err(_) if savepoint.is_autocommit() => return outcome.map(|_| ()),
            Err(_) => savepoint.finish()?,
        }
        self.outcome = Some(outcome.map_err(|failure| failure.at(path)));
        Ok(())
    }

    fn reply(self: Box<Self>, committed: Result<()>) {
        let Self { outcome, reply, .. } = *self;
        let outcome = committed.and_then(|()| outcome.unwrap_or_else(|| Err(gone())));
        // The caller may have stopped waiting.
        let _ = reply.send(outcome);
    }
}

#[cfg(test)]
mod tests {
    use heartbeat_core::ErrorKind;

    use super::*;

    async fn worker() -> Worker {
        Worker::start(Path::new("test"), TransactionBehavior::Immediate, |_| {
            let connection = Connection::open_in_memory()?;
            connection.execute_batch("CREATE TABLE numbers (n INTEGER)")?;
            Ok(connection)
        })
        .await
        .unwrap()
    }

    fn insert(connection: &Connection, n: i64) -> Result<(), Failure> {
        connection.execute("INSERT INTO numbers VALUES (?1)", [n])?;
        Ok(())
    }

    async fn sum(worker: &Worker) -> i64 {
        worker
            .run(|connection| {
                Ok(
                    connection.query_row("SELECT total(n) FROM numbers", [], |row| {
                        row.get::<_, f64>(0)
                    })? as i64,
                )
            })
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn of_jobs_that_share_a_transaction_only_the_failed_are_undone() {
        let worker = worker().await;
        // The first holds the thread until the other three wait behind it.
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let blocker = worker.run(move |_| Ok(wait.recv().is_ok()));
        let good = worker.run(|connection| insert(connection, 1));
        let bad = worker.run(|connection| {
            insert(connection, 10)?;
            Err::<(), _>(Error::invalid("no").into())
        });
        let panics = worker.run(|connection| {
            insert(connection, 100)?;
            panic!("on purpose");
            #[expect(unreachable_code, reason = "names the type")]
            Ok(())
        });
        let release = async { go.send(()).unwrap() };
        let (_, good, bad, panicked, ()) = tokio::join!(blocker, good, bad, panics, release);
        good.unwrap();
        assert_eq!(bad.unwrap_err().kind(), ErrorKind::Invalid);
        let panicked: Result<()> = panicked;
        assert_eq!(panicked.unwrap_err().kind(), ErrorKind::Internal);
        assert_eq!(sum(&worker).await, 1);
    }

    #[tokio::test]
    async fn when_the_whole_transaction_is_lost_nobody_is_told_otherwise() {
        let worker = worker().await;
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let blocker = worker.run(move |_| Ok(wait.recv().is_ok()));
        let good = worker.run(|connection| insert(connection, 1));
        let fatal = worker.run(|connection| {
            connection.execute_batch("ROLLBACK")?;
            Err::<(), _>(Error::unavailable("the disk is full").into())
        });
        let release = async { go.send(()).unwrap() };
        let (_, good, fatal, ()) = tokio::join!(blocker, good, fatal, release);
        assert_eq!(good.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(fatal.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(sum(&worker).await, 0);
        worker
            .run(|connection| insert(connection, 5))
            .await
            .unwrap();
        assert_eq!(sum(&worker).await, 5);
    }

    #[tokio::test]
    async fn a_connection_that_cannot_be_opened_is_told() {
        let error = Worker::start(Path::new("test"), TransactionBehavior::Deferred, |_| {
            Err(Error::misconfigured("no").into())
        })
        .await
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
    }
}
