//! Users, passwords and certificates of a secured cluster. Made for tests on loopback, they guard nothing.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// Who has all rights.
pub const USER: User = User {
    name: "heartbeat",
    password: "heartbeat-secret",
};

/// Who is let in and has no rights.
pub const GUEST: User = User {
    name: "guest",
    password: "guest-secret",
};

/// A name and its password, good for PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512.
#[derive(Debug, Clone, Copy)]
pub struct User {
    /// The name.
    pub name: &'static str,
    /// The password.
    pub password: &'static str,
}

/// PEM files, there for as long as what they were made for.
#[derive(Debug)]
pub struct Certificates {
    /// Of the authority that the servers' certificates are from, and those of clients must be from. They are for
    /// `127.0.0.1` and `localhost`.
    pub ca: PathBuf,
    /// Of another authority, of the same name.
    pub wrong_ca: PathBuf,
    /// A client that is [`USER`].
    pub user: Identity,
    /// A client that is [`GUEST`].
    pub guest: Identity,
}

/// A certificate and its key.
#[derive(Debug)]
pub struct Identity {
    /// The certificate, in PEM.
    pub certificate: PathBuf,
    /// The key, in PEM, with no password.
    pub key: PathBuf,
}

impl Certificates {
    pub(crate) fn make(dir: &Path) -> Result<Self> {
        let (ca, issuer) = authority()?;
        let (wrong_ca, _) = authority()?;
        let server = issue(&issuer, "broker", &["127.0.0.1", "localhost"])?;
        write(
            dir,
            "server.pem",
            &format!("{}{}", server.key, server.certificate),
        )?;
        let identity = |user: User| {
            let issued = issue(&issuer, user.name, &[])?;
            anyhow::Ok(Identity {
                certificate: write(dir, &format!("{}.pem", user.name), &issued.certificate)?,
                key: write(dir, &format!("{}.key", user.name), &issued.key)?,
            })
        };
        Ok(Self {
            ca: write(dir, "ca.pem", &ca)?,
            wrong_ca: write(dir, "wrong-ca.pem", &wrong_ca)?,
            user: identity(USER)?,
            guest: identity(GUEST)?,
        })
    }
}

/// In PEM.
struct Issued {
    certificate: String,
    key: String,
}

fn authority() -> Result<(String, Issuer<'static, KeyPair>)> {
    let key = KeyPair::generate()?;
    let mut params = params("heartbeat's test authority", &[])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let certificate = params.self_signed(&key)?.pem();
    Ok((certificate, Issuer::new(params, key)))
}

fn issue(issuer: &Issuer<'_, KeyPair>, name: &str, hosts: &[&str]) -> Result<Issued> {
    let key = KeyPair::generate()?;
    let certificate = params(name, hosts)?.signed_by(&key, issuer)?;
    Ok(Issued {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

fn params(name: &str, hosts: &[&str]) -> Result<CertificateParams> {
    let hosts: Vec<String> = hosts.iter().copied().map(Into::into).collect();
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name = Default::default();
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

fn write(dir: &Path, name: &str, content: &str) -> Result<PathBuf> {
    let path = dir.join(name);
    fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// What the storage tool is given for the users to be there from the start.
pub(crate) fn scram_records() -> Vec<String> {
    let mechanisms = ["SCRAM-SHA-256", "SCRAM-SHA-512"];
    let users = mechanisms
        .into_iter()
        .flat_map(|it| [(it, USER), (it, GUEST)]);
    users
        .flat_map(|(mechanism, User { name, password })| {
            let record = format!("{mechanism}=[name={name},password={password}]");
            ["--add-scram".into(), record]
        })
        .collect()
}

/// What a broker is configured to beyond the usual. The brokers among themselves, and whoever comes by a listener that
/// does not ask, are `ANONYMOUS`.
pub(crate) fn properties(dir: &Path) -> String {
    let dir = dir.display();
    let mut properties = format!(
        "\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:{user};User:ANONYMOUS
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
ssl.keystore.type=PEM
ssl.keystore.location={dir}/server.pem
ssl.truststore.type=PEM
ssl.truststore.location={dir}/ca.pem
ssl.principal.mapping.rules=RULE:^CN=(.*)$/$1/
listener.name.mutual_ssl.ssl.client.auth=required
",
        user = USER.name,
    );
    let plain = [USER, GUEST].map(|it| format!(" user_{}=\"{}\"", it.name, it.password));
    let plain = plain.concat();
    let security = "org.apache.kafka.common.security";
    for listener in ["sasl_plaintext", "sasl_ssl"] {
        let prefix = format!("listener.name.{listener}");
        properties += &format!(
            "\
{prefix}.plain.sasl.jaas.config={security}.plain.PlainLoginModule required{plain};
{prefix}.scram-sha-256.sasl.jaas.config={security}.scram.ScramLoginModule required;
{prefix}.scram-sha-512.sasl.jaas.config={security}.scram.ScramLoginModule required;
"
        );
    }
    properties
}
