//! How long to wait before X is asked again.
//!
//! The waits are those that X asks for (<https://docs.x.com/x-api/fundamentals/handling-disconnections>). Without jitter: an
//! app has one connection, so there is no crowd to spread.

use std::time::Duration;

use crate::error::Cause;

const NETWORK_STEP: Duration = Duration::from_millis(250);
const NETWORK_LONGEST: Duration = Duration::from_secs(16);
const HTTP_FIRST: Duration = Duration::from_secs(5);
const HTTP_LONGEST: Duration = Duration::from_secs(320);
const LIMITED_FIRST: Duration = Duration::from_secs(60);
/// X counts requests by windows of that length.
const LIMITED_LONGEST: Duration = Duration::from_secs(15 * 60);

/// Counts failures in a row, each kind by itself.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    network: u32,
    http: u32,
    limited: u32,
}

impl Backoff {
    /// How long to wait after a failure; `None` when no waiting helps.
    pub(crate) fn wait(&mut self, cause: &Cause) -> Option<Duration> {
        match cause {
            Cause::Network => Some(self.network()),
            Cause::Http => Some(doubled(HTTP_FIRST, &mut self.http, HTTP_LONGEST)),
            Cause::Limited { reset } => Some(self.limited().max(reset.unwrap_or_default())),
            Cause::TooManyConnections => Some(self.limited()),
            Cause::Final => None,
        }
    }

    /// How long to wait after one of the network.
    pub(crate) fn network(&mut self) -> Duration {
        self.network += 1;
        (NETWORK_STEP * self.network.min(1000)).min(NETWORK_LONGEST)
    }

    fn limited(&mut self) -> Duration {
        doubled(LIMITED_FIRST, &mut self.limited, LIMITED_LONGEST)
    }
}

fn doubled(first: Duration, failures: &mut u32, longest: Duration) -> Duration {
    let wait = first.saturating_mul(1 << (*failures).min(20));
    *failures += 1;
    wait.min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(cause: &Cause, count: usize) -> Vec<f64> {
        let mut backoff = Backoff::default();
        (0..count)
            .filter_map(|_| Some(backoff.wait(cause)?.as_secs_f64()))
            .collect()
    }

    #[test]
    fn each_kind_of_failure_has_its_waits() {
        let network = waits(&Cause::Network, 1100);
        assert_eq!(network[..4], [0.25, 0.5, 0.75, 1.0]);
        assert_eq!(
            (network[63], network[64], network[1099]),
            (16.0, 16.0, 16.0)
        );
        assert_eq!(
            waits(&Cause::Http, 9),
            [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 320.0, 320.0]
        );
        let limited = [60.0, 120.0, 240.0, 480.0, 900.0, 900.0];
        assert_eq!(waits(&Cause::Limited { reset: None }, 6), limited);
        assert_eq!(waits(&Cause::TooManyConnections, 6), limited);
        assert_eq!(waits(&Cause::Http, 100)[99], 320.0);
        assert!(waits(&Cause::Final, 1).is_empty());
    }

    #[test]
    fn a_limit_is_waited_for_until_it_is_reset_and_not_less_than_otherwise() {
        let reset = |seconds| Cause::Limited {
            reset: Some(Duration::from_secs(seconds)),
        };
        assert_eq!(waits(&reset(100), 3), [100.0, 120.0, 240.0]);
        assert_eq!(waits(&reset(3), 1), [60.0]);
    }
}
