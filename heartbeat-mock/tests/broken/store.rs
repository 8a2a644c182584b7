//! Sins of a store.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use heartbeat_core::conformance::store::PROMISES;
use heartbeat_core::{
    Bucket, Error, Keyed, Page, PointKey, Query, Result, Sentiment, Store, TweetId, WriteReport,
};
use heartbeat_mock::MemoryStore;
use tokio::task::yield_now;

sins! {
    ReadsInAnyOrder => points_come_back_in_order;
    RoundsScores => points_come_back_in_order;
    SwapsScores => points_come_back_in_order;
    Appends => writing_again_changes_nothing;
    KeepsTheFirst => a_point_written_later_counts;
    KeepsTheFirstOfACall => a_point_written_later_counts;
    MergesASecond => one_second_holds_many_points;
    MergesTasks => one_second_holds_many_points;
    BeginsIn1970 => any_second_and_any_id_will_do;
    OrdersIdsWithoutSign => any_second_and_any_id_will_do;
    IgnoresTask => queries_select;
    IgnoresFrom => queries_select;
    IgnoresTo => queries_select;
    IncludesTo => queries_select;
    IgnoresLimit => pages_make_the_whole;
    IgnoresAfter => pages_make_the_whole;
    SkipsTheRestOfASecond => pages_make_the_whole;
    PagesEverything => pages_make_the_whole;
    MisalignsWindows => windows_count_and_average;
    /// Before 1970 a window begins too late.
    RoundsTowardsZero => windows_count_and_average;
    SumsInsteadOfMeans => windows_count_and_average;
    TellsEmptyWindows => windows_count_and_average;
    SummarizesEverything => windows_count_and_average;
    SummarizesInAnyOrder => windows_count_and_average;
    RoundsWindows => windows_are_whole_seconds;
    DropsTheCallForOnePoint => refused_points_are_named_and_the_rest_is_stored;
    FailsTheCallForOnePoint => refused_points_are_named_and_the_rest_is_stored;
    RefusesInSilence => refused_points_are_named_and_the_rest_is_stored;
    CountsRefusedFromOne => refused_points_are_named_and_the_rest_is_stored;
    BlamesItself => refused_points_are_named_and_the_rest_is_stored;
    TrimsTasks => hostile_tasks_come_back_or_are_refused;
    CutsTasks => hostile_tasks_come_back_or_are_refused;
    DropsWhileBusy => writers_do_not_disturb_each_other;
    RefusesNothing => nothing_is_nothing;
    NeverIsEmpty => nothing_is_nothing;
    FailsToClose => it_closes;
}

#[tokio::test(start_paused = true)]
async fn sins_of_a_store_are_found() {
    crate::assert_found(SINS, PROMISES, |sin, promise| async move {
        promise(&BrokenStore::new(sin)).await;
    })
    .await;
}

/// A [`MemoryStore`] with one sin.
#[derive(Debug)]
struct BrokenStore {
    inner: MemoryStore,
    sin: Option<Sin>,
    busy: AtomicBool,
    /// Everything that was ever written.
    log: Mutex<Vec<Keyed<Sentiment>>>,
}

impl BrokenStore {
    fn new(sin: Option<Sin>) -> Self {
        Self {
            inner: MemoryStore::new(),
            sin,
            busy: AtomicBool::new(false),
            log: Mutex::default(),
        }
    }

    async fn everything(&self) -> Result<Vec<Keyed<Sentiment>>> {
        let all = Page::first(usize::MAX);
        self.inner.read(&Query::default(), &all).await
    }

    /// The points, but for those that have the same `known_by` as one before.
    async fn first_by<K: std::hash::Hash + Eq>(
        &self,
        points: Vec<Keyed<Sentiment>>,
        known_by: impl Fn(&Keyed<Sentiment>) -> K,
    ) -> Result<Vec<Keyed<Sentiment>>> {
        let mut known: HashSet<K> = self.everything().await?.iter().map(&known_by).collect();
        let new = points.into_iter().filter(|it| known.insert(known_by(it)));
        Ok(new.collect())
    }
}

fn altered(
    mut points: Vec<Keyed<Sentiment>>,
    alter: impl Fn(&mut Sentiment),
) -> Vec<Keyed<Sentiment>> {
    for point in &mut points {
        alter(&mut point.value);
    }
    points
}

#[async_trait]
impl Store for BrokenStore {
    async fn write(&self, points: &[Keyed<Sentiment>]) -> Result<WriteReport> {
        let mut points = points.to_vec();
        match self.sin {
            Some(Sin::RoundsScores) => {
                points = altered(points, |it| it.pos = (it.pos * 4.0).round() / 4.0);
            }
            Some(Sin::SwapsScores) => {
                points = altered(points, |it| std::mem::swap(&mut it.neu, &mut it.neg));
            }
            Some(Sin::Appends) => {
                let mut log = self.log.lock().expect("nobody panics with it");
                log.extend_from_slice(&points);
            }
            Some(Sin::KeepsTheFirst) => {
                points = self.first_by(points, |it| PointKey::from(it)).await?;
            }
            Some(Sin::KeepsTheFirstOfACall) => points.reverse(),
            Some(Sin::MergesASecond) => {
                let known_by = |it: &Keyed<Sentiment>| (it.value.time, it.value.task.clone());
                points = self.first_by(points, known_by).await?;
            }
            Some(Sin::MergesTasks) => {
                points = self.first_by(points, |it| (it.value.time, it.id)).await?;
            }
            Some(Sin::BeginsIn1970) => points = altered(points, |it| it.time = it.time.max(0)),
            Some(Sin::TrimsTasks) => {
                points = altered(points, |it| it.task = it.task.trim().to_owned());
            }
            Some(Sin::CutsTasks) => points = altered(points, |it| it.task.truncate(255)),
            Some(Sin::RefusesNothing) if points.is_empty() => {
                return Err(Error::invalid("nothing to write"));
            }
            Some(Sin::DropsTheCallForOnePoint) => {
                let report = MemoryStore::new().write(&points).await?;
                if !report.refused.is_empty() {
                    return Ok(report);
                }
            }
            Some(Sin::DropsWhileBusy) => {
                if self.busy.swap(true, Ordering::Relaxed) {
                    return Ok(WriteReport::default());
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
                self.busy.store(false, Ordering::Relaxed);
            }
            _ => {}
        }
        yield_now().await;
        let mut report = self.inner.write(&points).await?;
        match self.sin {
            Some(Sin::RefusesInSilence) => report.refused.clear(),
            Some(Sin::FailsTheCallForOnePoint) => {
                if let Some(refused) = report.refused.pop() {
                    return Err(refused.error);
                }
            }
            _ => {}
        }
        for refused in &mut report.refused {
            refused.index += usize::from(self.sin == Some(Sin::CountsRefusedFromOne));
            if self.sin == Some(Sin::BlamesItself) {
                refused.error = Error::internal("a bug");
            }
        }
        Ok(report)
    }

    async fn read(&self, query: &Query, page: &Page) -> Result<Vec<Keyed<Sentiment>>> {
        let (mut query, mut page) = (query.clone(), page.clone());
        match self.sin {
            Some(Sin::IgnoresTask) => query.task = None,
            Some(Sin::IgnoresFrom) => query.from = None,
            Some(Sin::IgnoresTo) => query.to = None,
            Some(Sin::IncludesTo) => query.to = query.to.map(|to| to + 1),
            Some(Sin::IgnoresLimit) => page.limit = usize::MAX,
            Some(Sin::IgnoresAfter) => page.after = None,
            Some(Sin::SkipsTheRestOfASecond) => {
                if let Some(after) = &mut page.after {
                    after.id = TweetId(i64::MAX);
                }
            }
            Some(Sin::PagesEverything) if page.after.is_some() => query = Query::default(),
            _ => {}
        }
        let mut points = self.inner.read(&query, &page).await?;
        match self.sin {
            Some(Sin::ReadsInAnyOrder) => points.reverse(),
            Some(Sin::OrdersIdsWithoutSign) => {
                points.sort_by_key(|it| (it.value.time, it.id.0.cast_unsigned()));
            }
            Some(Sin::Appends) => {
                points.clone_from(&self.log.lock().expect("nobody panics with it"));
                points.sort_by_key(|it| PointKey::from(it));
            }
            _ => {}
        }
        Ok(points)
    }

    async fn summarize(&self, query: &Query, every: Duration) -> Result<Vec<Bucket>> {
        let (mut query, mut every) = (query.clone(), every);
        match self.sin {
            Some(Sin::SummarizesEverything) => query = Query::default(),
            Some(Sin::RoundsWindows) => every = Duration::from_secs(every.as_secs().max(1)),
            _ => {}
        }
        let mut buckets = self.inner.summarize(&query, every).await?;
        let empty = Bucket {
            start: 0,
            task: "climate".to_owned(),
            count: 0,
            pos: 0.0,
            neu: 0.0,
            neg: 0.0,
        };
        match self.sin {
            Some(Sin::SummarizesInAnyOrder) => buckets.reverse(),
            Some(Sin::TellsEmptyWindows) => buckets.push(empty),
            Some(Sin::NeverIsEmpty) if buckets.is_empty() => buckets.push(empty),
            _ => {}
        }
        for bucket in &mut buckets {
            match self.sin {
                Some(Sin::MisalignsWindows) => bucket.start += 1,
                Some(Sin::RoundsTowardsZero) if bucket.start < 0 => {
                    bucket.start += every.as_secs().cast_signed();
                }
                Some(Sin::SumsInsteadOfMeans) => bucket.pos *= bucket.count as f64,
                _ => {}
            }
        }
        Ok(buckets)
    }

    async fn close(&self) -> Result<()> {
        match self.sin {
            Some(Sin::FailsToClose) => Err(Error::internal("still at work")),
            _ => self.inner.close().await,
        }
    }
}
