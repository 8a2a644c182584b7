//! Secure connections.

use heartbeat_core::{ErrorKind, Store};
use heartbeat_influx::{InfluxConfig, InfluxStore};
use testbed::Influx;

use crate::{all, point, real};

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_checked_and_one_of_ones_own_authority_is_named() {
    let start = || {
        let mut server = Influx::start().unwrap();
        let certificates = server.secure().unwrap();
        (server, certificates)
    };
    let (server, certificates) = tokio::task::spawn_blocking(start).await.unwrap();
    let trusting = |ca| InfluxConfig {
        ca_file: ca,
        ..real::config(server.url())
    };
    for ca in [None, Some(certificates.wrong_ca.clone())] {
        let error = InfluxStore::open(trusting(ca)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error:?}");
        assert!(error.report().contains("no secure connection"), "{error:?}");
        assert!(error.report().contains("`ca_file`"), "{error:?}");
    }
    let plain = InfluxConfig {
        url: server.url().replace("https", "http"),
        ..trusting(None)
    };
    let error = InfluxStore::open(plain).await.unwrap_err();
    assert!(error.report().contains("HTTPS server"), "{error:?}");

    let config = trusting(Some(certificates.ca.clone()));
    real::create(&config, None).await;
    let store = InfluxStore::open(config).await.unwrap();
    store.write(&[point(1, 0, "t")]).await.unwrap();
    assert_eq!(all(&store).await, [point(1, 0, "t")]);

    for (file, says) in [
        ("/no/such.pem", "/no/such.pem"),
        ("/dev/null", "no certificate"),
    ] {
        let error = InfluxStore::open(trusting(Some(file.into())))
            .await
            .unwrap_err();
        assert!(error.to_string().contains(says), "{error:?}");
    }
}
