//! TLS, to a server of this machine.

use std::sync::Arc;

use heartbeat_core::Source;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::open;
use super::server::{Answer, Double, config, moment, posts};
use crate::dial::{Dial, Network};
use crate::settings::Settings;

/// A server of two connections, its port and its certificate.
async fn server(double: Double) -> (u16, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            if let Ok(tls) = acceptor.accept(tcp).await {
                double.serve(0, tls).await;
            }
        }
    });
    (port, certificate)
}

#[tokio::test]
async fn posts_come_over_tls_from_a_server_that_is_trusted() {
    let double = Double::new([Answer::Stream(vec![posts(1..=3)])]);
    let (port, certificate) = server(double).await;
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let dial = Network::trusting(roots).unwrap();
    let mut config = config(&[format!("wss://localhost:{port}")]);
    config.until = Some(moment(super::time(3)));
    let mut source = open(dial, &config);
    source.resume(None).await.unwrap();
    let mut count = 0;
    while let Some(batch) = source.next_batch(10).await.unwrap() {
        count += batch.tweets.len();
    }
    assert_eq!(count, 2);
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_not_trusted() {
    let (port, _) = server(Double::new([])).await;
    let settings = Settings::new(&config(&[format!("wss://localhost:{port}")])).unwrap();
    let dial = Network::open(&settings).await.unwrap();
    let error = dial.dial(&settings.hosts[0]).await.unwrap_err();
    assert!(heartbeat_core::remote::is_tls(&error), "{error:?}");
}
