//! The double of [`Analyzer`], which mockall cannot derive: its argument is a slice of references.

use async_trait::async_trait;

use crate::analyzer::{Analyzer, Scores};
use crate::error::Result;

mockall::mock! {
    /// A mockall double of [`Analyzer`]: tell it what to answer with `expect_scores`.
    #[derive(Debug)]
    pub Analyzer {
        /// What `analyze` answers for these texts.
        pub fn scores(&self, texts: Vec<String>) -> Result<Vec<Scores>>;
    }
}

#[async_trait]
impl Analyzer for MockAnalyzer {
    async fn analyze(&self, texts: &[&str]) -> Result<Vec<Scores>> {
        self.scores(texts.iter().map(|&text| text.to_owned()).collect())
    }
}
