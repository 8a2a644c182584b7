//! Binaries find LibTorch where the build found it.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // torch-sys tells where. On Windows it does not, nor where only documentation is built.
    let Ok(lib) = env::var("DEP_TCH_LIBTORCH_LIB") else {
        return;
    };
    let mut arg = format!("-Wl,-rpath,{lib}");
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        // LibTorch's CUDA half is found through `libtorch.so`, of which nothing else is needed.
        arg.push_str(",--no-as-needed,-ltorch,--as-needed");
    }
    // A build script's link arguments serve its own package alone: for the tests here, and by the metadata for whoever
    // depends on this crate.
    println!("cargo::rustc-link-arg={arg}");
    println!("cargo::metadata=link_arg={arg}");
}
