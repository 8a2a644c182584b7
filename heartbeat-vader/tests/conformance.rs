//! The promises of an analyzer.

use heartbeat_core::conformance::analyzer;
use heartbeat_vader::VaderAnalyzer;

#[tokio::test(flavor = "multi_thread")]
async fn vader_keeps_its_promises() {
    analyzer::all(&VaderAnalyzer::new(), 0.0).await;
}
