//! LibTorch, PyTorch's C++ library, for whoever has none of their own: fetched once into the cache.

use std::{
    env, fs,
    fs::File,
    io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use zip::ZipArchive;

use crate::{
    cache::{self, Cache},
    python::Python,
    shell::{self, step},
};

/// The one version that the crate `tch` binds.
const VERSION: &str = "2.13.0";

/// What it takes to compute on a CPU, out of all that the wheels hold.
const LIBRARIES: [&str; 5] = [
    "libtorch_cpu.so",
    "libc10.so",
    "libgomp.so.1",
    "libcudart.so.13",
    "libcupti.so.13",
];

/// A cargo that finds LibTorch: the user's own where the environment names one, else that of the cache.
///
/// # Errors
/// LibTorch cannot be fetched, or nothing here compiles its C++ bindings.
pub(crate) fn cargo() -> Result<Command> {
    check_system()?;
    let mut cargo = shell::cargo();
    if !named_by_user(|variable| env::var_os(variable).map(|it| it.is_empty())) {
        cargo.env("LIBTORCH", set_up(&Cache::open()?)?);
    }
    Ok(cargo)
}

/// Fetches LibTorch if the cache does not have it, and returns its folder.
///
/// # Errors
/// There is none for this platform, or it cannot be fetched.
pub(crate) fn set_up(cache: &Cache) -> Result<PathBuf> {
    let dir = cache.path(&format!("libtorch-{VERSION}"));
    if !dir.exists() {
        check_platform()?;
        fetch(cache, &Python::set_up(cache)?, &dir)?;
    }
    Ok(dir)
}

/// Whether one of the variables that `tch` looks at names a LibTorch. An empty path names none; the switch is on
/// whatever it is set to.
fn named_by_user(is_empty: impl Fn(&str) -> Option<bool>) -> bool {
    is_empty("LIBTORCH") == Some(false) || is_empty("LIBTORCH_USE_PYTORCH").is_some()
}

fn check_platform() -> Result<()> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "LibTorch can be fetched for Linux on x86-64 only. Set LIBTORCH to the folder of a LibTorch {VERSION}, \
         or LIBTORCH_USE_PYTORCH=1 to take that of the Python package torch {VERSION}, \
         or build with cargo itself and the feature `download-libtorch`"
    );
    Ok(())
}

/// Tells what to install where nothing compiles C++. Whoever names a compiler by `CXX` has one.
fn check_system() -> Result<()> {
    let probe = Command::new("c++")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    match probe {
        Err(error) if env::var_os("CXX").is_none() => Err(error).context(
            "cannot start the C++ compiler c++: install one (Debian, Ubuntu: `apt-get install g++`)",
        ),
        _ => Ok(()),
    }
}

/// Makes the folder as a whole or not at all.
fn fetch(cache: &Cache, python: &Python, dir: &Path) -> Result<()> {
    let _lock = cache.lock()?;
    if dir.exists() {
        return Ok(()); // by the xtask that had the lock
    }
    step(format_args!("fetching LibTorch {VERSION} (once; 530 MB)"));
    let part = cache.path("libtorch.part");
    cache::remove(&part)?;
    let (wheels, libtorch) = (part.join("wheels"), part.join("libtorch"));
    download(python, &wheels)?;
    for wheel in fs::read_dir(&wheels)? {
        let wheel = wheel?.path();
        unpack(&wheel, &libtorch).with_context(|| format!("cannot unpack {}", wheel.display()))?;
    }
    complete(&libtorch).context("cannot complete LibTorch")?;
    fs::rename(&libtorch, dir).with_context(|| format!("cannot create {}", dir.display()))?;
    cache::remove(&part)
}

fn download(python: &Python, wheels: &Path) -> Result<()> {
    let wheels = wheels.to_str().context("the cache's path is not UTF-8")?;
    python.pip(
        [
            "download",
            "--no-cache-dir", // pip's own: half a gigabyte nobody asks for again
            "--dest",
            wheels,
            "--only-binary=:all:",
            // Of these, whatever Python runs pip.
            "--implementation=cp",
            "--python-version=3.11",
            "--platform=manylinux_2_28_x86_64",
            "--platform=manylinux_2_25_x86_64",
            "--platform=manylinux2014_x86_64",
        ],
        "python/libtorch.txt",
    )
}

/// Takes out of a wheel what belongs to LibTorch.
fn unpack(wheel: &Path, libtorch: &Path) -> Result<()> {
    let mut archive = ZipArchive::new(File::open(wheel)?)?;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index)?;
        let Some(place) = file.enclosed_name().and_then(|name| place(&name)) else {
            continue;
        };
        if file.is_file() {
            let place = libtorch.join(place);
            fs::create_dir_all(place.parent().unwrap_or(libtorch))?;
            io::copy(&mut file, &mut File::create(place)?)?;
        }
    }
    Ok(())
}

/// Where LibTorch has the file that a wheel has by that name, if it has it.
fn place(name: &Path) -> Option<PathBuf> {
    if let Ok(header) = name.strip_prefix("torch/include") {
        return Some(Path::new("include").join(header));
    }
    let library = name.file_name()?.to_str()?;
    LIBRARIES
        .contains(&library)
        .then(|| Path::new("lib").join(library))
}

/// Adds what a LibTorch for a CPU alone would have, and makes sure that it has it all.
fn complete(libtorch: &Path) -> Result<()> {
    let lib = libtorch.join("lib");
    for library in LIBRARIES {
        if !lib.join(library).exists() {
            bail!("no {library} in the wheels");
        }
    }
    // The wheel's own names its CUDA half too. This is a script to the linker.
    fs::write(lib.join("libtorch.so"), "INPUT(-ltorch_cpu)\n")?;
    symlink("libgomp.so.1", lib.join("libgomp.so"))?;
    fs::write(libtorch.join("build-version"), VERSION)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_libtorch_and_so_does_pythons_switch() {
        let named = |libtorch: Option<&str>, python: Option<&str>| {
            named_by_user(|variable| match variable {
                "LIBTORCH" => libtorch.map(str::is_empty),
                "LIBTORCH_USE_PYTORCH" => python.map(str::is_empty),
                other => panic!("tch does not look at {other}"),
            })
        };
        assert!(!named(None, None));
        assert!(!named(Some(""), None));
        assert!(named(Some("/opt/libtorch"), None));
        assert!(named(None, Some("")));
        assert!(named(Some(""), Some("1")));
    }

    #[test]
    fn headers_and_the_libraries_for_a_cpu_are_taken_and_nothing_else() {
        let at = |name: &str| place(Path::new(name)).map(|it| it.display().to_string());
        for (name, expected) in [
            ("torch/include/ATen/Tensor.h", "include/ATen/Tensor.h"),
            ("torch/lib/libtorch_cpu.so", "lib/libtorch_cpu.so"),
            ("nvidia/cu13/lib/libcudart.so.13", "lib/libcudart.so.13"),
        ] {
            assert_eq!(at(name).as_deref(), Some(expected));
        }
        for name in [
            "torch/lib/libtorch_cuda.so",
            "torch/lib/libtorch.so",
            "torch/__init__.py",
            "nvidia/cu13/include/cuda.h",
        ] {
            assert_eq!(at(name), None, "{name}");
        }
    }

    #[test]
    fn a_wheel_without_a_library_makes_no_libtorch() {
        let dir = tempfile::tempdir().unwrap();
        let lib = dir.path().join("lib");
        fs::create_dir(&lib).unwrap();
        for library in LIBRARIES.iter().filter(|it| **it != "libc10.so") {
            fs::write(lib.join(library), "").unwrap();
        }
        let error = complete(dir.path()).unwrap_err();
        assert_eq!(error.to_string(), "no libc10.so in the wheels");
    }
}
