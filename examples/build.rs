//! With the feature `torch`, what is built here finds LibTorch where the build found it.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if let Ok(arg) = std::env::var("DEP_HEARTBEAT_TORCH_LINK_ARG") {
        println!("cargo::rustc-link-arg={arg}");
    }
}
