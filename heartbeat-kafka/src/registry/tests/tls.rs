//! Secure connections, to a registry with a certificate of its own.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::*;

/// A server for one connection after another; its address and its certificate.
async fn secure_registry() -> (String, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let _ = stream.read(&mut [0; 4096]).await;
            let answer =
                "HTTP/1.1 200 OK\r\ncontent-length: 8\r\nconnection: close\r\n\r\n[\"AVRO\"]";
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (format!("https://localhost:{port}"), cert.pem())
}

#[tokio::test]
async fn a_certificate_of_ones_own_authority_is_named() {
    let (url, certificate) = secure_registry().await;
    let error = open(&config(&*url)).check().await.unwrap_err();
    misconfigured(&error, "UnknownIssuer");
    misconfigured(&error, "`ca_file`");

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, certificate).unwrap();
    let trusting = RegistryConfig {
        ca_file: Some(file),
        ..config(url)
    };
    open(&trusting).check().await.unwrap();
}

#[tokio::test]
async fn a_registry_without_tls_is_told_from_one_that_is_away() {
    let server = double::start().await;
    let url = server.uri().replace("http://", "https://");
    let error = open(&config(url)).check().await.unwrap_err();
    misconfigured(&error, "begin `url` with http");
}
