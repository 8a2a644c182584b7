//! Making topics, and looking whether they are as they should be.

mod admin;
mod plan;
mod verdict;

pub use admin::TopicAdmin;
pub use plan::{Cleanup, TopicPlan};
pub use verdict::{Difference, TopicState, Verdict};
