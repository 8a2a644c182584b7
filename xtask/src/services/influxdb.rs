//! InfluxDB 2, built from its Go module. It is not shipped as a package of any registry.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{wheel, whole};
use crate::{
    cache::Cache,
    python::Python,
    shell::{self, step},
};

const VERSION: &str = "2.9.1";
const MODULE: &str = "github.com/influxdata/influxdb/v2";

/// The program `influxd`.
pub(crate) fn set_up(cache: &Cache) -> Result<PathBuf> {
    let python = Python::set_up(cache)?;
    let dir = whole(cache, &format!("influxdb-{VERSION}"), |made, scratch| {
        step(format_args!(
            "building InfluxDB {VERSION} (once; about 8 minutes on two cores, 700 MB to fetch)"
        ));
        build(&python, made, scratch).context("cannot build InfluxDB")
    })?;
    Ok(dir.join("influxd"))
}

/// Go and all that it fetches stay in `scratch`.
fn build(python: &Python, made: &Path, scratch: &Path) -> Result<()> {
    check_system()?;
    let go = Go::unpack(python, scratch)?;
    let source = scratch.join("source");
    // Out of Go's cache of modules, where nothing can be built.
    fs::rename(go.download(scratch)?, &source).context("cannot move the module")?;

    // Finds Flux's library, which is Rust, and builds it by cargo.
    let pkg_config = scratch.join("pkg-config");
    let mut build = go.command(&source);
    build.arg("build").arg("-o").arg(&pkg_config);
    shell::run(build.arg("github.com/influxdata/pkg-config"))?;

    let mut build = go.command(&source);
    build
        .env("PKG_CONFIG", &pkg_config)
        .env("CGO_ENABLED", "1")
        // The library names an old toolchain, and warnings of today's are errors to it.
        .env("RUSTUP_TOOLCHAIN", toolchain())
        .env("RUSTFLAGS", "--cap-lints=warn")
        // It looks for the library where cargo puts it by itself.
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTC_WRAPPER")
        .args(["build", "-trimpath"])
        // Not `assets`: the user interface would be fetched from elsewhere.
        .args(["-tags", "sqlite_foreign_keys,sqlite_json"])
        .arg(format!("-ldflags=-s -w -X main.version=v{VERSION}"))
        .arg("-o")
        .arg(made.join("influxd"))
        .arg("./cmd/influxd");
    shell::run(&mut build)
}

/// Tells what to install where pkg-config is missing, which the build's own calls for the rest.
fn check_system() -> Result<()> {
    Command::new("pkg-config")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map(drop)
        .context(
            "cannot start pkg-config: install it (Debian, Ubuntu: `apt-get install pkg-config`)",
        )
}

/// The toolchain that runs this, so that no other one is fetched.
fn toolchain() -> String {
    std::env::var("RUSTUP_TOOLCHAIN").unwrap_or_else(|_| "stable".to_owned())
}

/// The Go toolchain and its caches.
struct Go {
    root: PathBuf,
    caches: PathBuf,
}

impl Go {
    fn unpack(python: &Python, scratch: &Path) -> Result<Self> {
        let dir = scratch.join("wheel");
        wheel::unpack(python, "python/go.txt", &dir, scratch)?;
        let root = dir.join("go");
        for tools in [root.join("bin"), root.join("pkg/tool")] {
            make_executable(&tools)?;
        }
        Ok(Self {
            root,
            caches: scratch.join("go"),
        })
    }

    fn command(&self, dir: &Path) -> Command {
        let mut go = Command::new(self.root.join("bin/go"));
        go.current_dir(dir)
            .env("GOROOT", &self.root)
            .env("GOTOOLCHAIN", "local")
            .env("GOPATH", &self.caches)
            .env("GOMODCACHE", self.caches.join("modules"))
            .env("GOCACHE", self.caches.join("build"))
            // So that the cache can be removed.
            .env("GOFLAGS", "-modcacherw");
        go
    }

    /// Fetches the module, and gives its folder.
    fn download(&self, scratch: &Path) -> Result<PathBuf> {
        let mut go = self.command(scratch);
        go.args(["mod", "download", "-json"])
            .arg(format!("{MODULE}@v{VERSION}"))
            .stderr(Stdio::inherit());
        let output = go.output().context("cannot start go")?;
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        ensure!(
            output.status.success(),
            "go cannot fetch {MODULE}: {}",
            told["Error"].as_str().unwrap_or("it does not say why")
        );
        let dir = told["Dir"].as_str().context("go does not tell where")?;
        Ok(dir.into())
    }
}

/// Every program below `dir`.
fn make_executable(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("no {} in the wheel", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            make_executable(&path)?;
        } else if path.metadata()?.permissions().mode() & 0o111 == 0 {
            wheel::make_executable(&path)?;
        }
    }
    Ok(())
}
