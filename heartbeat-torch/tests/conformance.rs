//! The promises of an analyzer, kept by the model that ships.

use heartbeat_core::conformance::analyzer;
use heartbeat_torch::{Precision, RobertaAnalyzer, RobertaConfig};

async fn small(precision: Precision) -> RobertaAnalyzer {
    let config = RobertaConfig {
        precision,
        ..RobertaConfig::default()
    };
    RobertaAnalyzer::open(config)
        .await
        .expect("the small model")
}

#[tokio::test(flavor = "multi_thread")]
async fn roberta_keeps_its_promises() {
    analyzer::all(&small(Precision::Fp32).await, 2e-5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roberta_keeps_its_promises_in_int8() {
    analyzer::all(&small(Precision::Int8).await, 2e-5).await;
}
