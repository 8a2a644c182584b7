//! Making topics, and looking whether they are as they should be.

mod admin;
mod plan;

pub use admin::TopicAdmin;
pub use plan::{Cleanup, Difference, TopicPlan, TopicState};
