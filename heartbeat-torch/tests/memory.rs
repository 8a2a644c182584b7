//! Loading and running a model takes little more memory than its weights have.
//!
//! Linux only, which tells how much a process has.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "tests")]

use std::env;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use heartbeat_core::Analyzer;
use heartbeat_torch::{Device, RobertaAnalyzer, RobertaConfig};
use serde_json::json;
use tch::{Kind, Tensor};
use zip::write::{SimpleFileOptions, ZipWriter};

/// As large as RoBERTa-base, so that what LibTorch itself needs weighs as little as it does there.
const HIDDEN: i64 = 768;
const LAYERS: i64 = 12;
const INTERMEDIATE: i64 = 3072;
const VOCAB: i64 = 50_265;
const POSITIONS: i64 = 514;

/// Names the model's folder to [`measured`].
const MODEL: &str = "HEARTBEAT_MEASURED_MODEL";

#[test]
fn a_model_is_never_in_memory_twice() {
    for name in ["model.safetensors", "pytorch_model.bin"] {
        let folder = tempfile::tempdir().unwrap();
        copy_tokenizer(folder.path());
        let file = folder.path().join(name);
        match name {
            "model.safetensors" => Tensor::write_safetensors(&tensors(), file).unwrap(),
            _ => pickle(&tensors(), &file),
        }
        // In a process of its own, where nothing else has left its memory.
        let run = Command::new(env::current_exe().unwrap())
            .args(["--exact", "measured", "--ignored", "--nocapture"])
            .env(MODEL, folder.path())
            .status();
        assert!(run.unwrap().success(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the test above"]
async fn measured() {
    let folder = PathBuf::from(env::var_os(MODEL).unwrap());
    let sizes = fs::read_dir(&folder).unwrap();
    let sizes = sizes.map(|file| file.unwrap().metadata().unwrap().len());
    let file = sizes.max().unwrap() as f64;
    let analyzer = RobertaAnalyzer::open(RobertaConfig {
        model: folder.display().to_string(),
        device: Device::Cpu,
        ..RobertaConfig::default()
    })
    .await
    .unwrap();
    let loading = peak() / file;
    println!("{loading:.2} times the file at the peak of loading");
    let texts: Vec<String> = (1..200).map(|words| "and so on ".repeat(words)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    analyzer.analyze(&texts).await.unwrap();
    let running = peak();
    println!("{:.0} MB at the peak of running", running / 1e6);
    assert!(loading < 1.3, "{loading}");
    assert!(running < 1.25 * file + 300e6, "{running}");
}

/// The tokenizer of the small model, whose tokens are some of this model's, and a configuration.
fn copy_tokenizer(folder: &Path) {
    let small = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/small");
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(small.join(name), folder.join(name)).unwrap();
    }
    let config = fs::read(small.join("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    for (key, size) in [
        ("hidden_size", HIDDEN),
        ("num_hidden_layers", LAYERS),
        ("num_attention_heads", 12),
        ("intermediate_size", INTERMEDIATE),
        ("vocab_size", VOCAB),
        ("max_position_embeddings", POSITIONS),
    ] {
        config[key] = json!(size);
    }
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

/// A whole model of random weights, with the pooler that published ones have and nothing reads.
fn tensors() -> Vec<(String, Tensor)> {
    let mut tensors = Vec::new();
    let mut add = |name: String, shape: &[i64]| {
        let random = Tensor::randn(shape, (Kind::Float, tch::Device::Cpu)) * 0.02;
        tensors.push((name, random));
    };
    let mut linear = |name: &str, outputs: i64, inputs: i64| {
        add(format!("{name}.weight"), &[outputs, inputs]);
        add(format!("{name}.bias"), &[outputs]);
    };
    for layer in 0..LAYERS {
        let layer = format!("roberta.encoder.layer.{layer}");
        for part in ["self.query", "self.key", "self.value", "output.dense"] {
            linear(&format!("{layer}.attention.{part}"), HIDDEN, HIDDEN);
        }
        let intermediate = format!("{layer}.intermediate.dense");
        linear(&intermediate, INTERMEDIATE, HIDDEN);
        linear(&format!("{layer}.output.dense"), HIDDEN, INTERMEDIATE);
    }
    linear("roberta.pooler.dense", HIDDEN, HIDDEN);
    linear("classifier.dense", HIDDEN, HIDDEN);
    linear("classifier.out_proj", 3, HIDDEN);
    let embeddings = "roberta.embeddings";
    for (table, rows) in [("word", VOCAB), ("position", POSITIONS), ("token_type", 1)] {
        let name = format!("{embeddings}.{table}_embeddings.weight");
        add(name, &[rows, HIDDEN]);
    }
    let norms = (0..LAYERS).flat_map(|layer| {
        ["attention.output", "output"].map(|part| format!("roberta.encoder.layer.{layer}.{part}"))
    });
    for norm in norms.chain([embeddings.to_owned()]) {
        for part in ["weight", "bias"] {
            add(format!("{norm}.LayerNorm.{part}"), &[HIDDEN]);
        }
    }
    tensors
}

/// Writes what `torch.save` would: a zip of a pickle and each tensor's bytes.
fn pickle(tensors: &[(String, Tensor)], path: &Path) {
    let mut zip = ZipWriter::new(BufWriter::new(File::create(path).unwrap()));
    let stored = SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .with_alignment(64); // as PyTorch does
    zip.start_file("archive/data.pkl", stored).unwrap();
    zip.write_all(&dictionary(tensors)).unwrap();
    zip.start_file("archive/version", stored).unwrap();
    zip.write_all(b"3\n").unwrap();
    for (key, (_, tensor)) in tensors.iter().enumerate() {
        zip.start_file(format!("archive/data/{key}"), stored)
            .unwrap();
        let mut bytes = vec![0; 4 * tensor.numel()];
        let bytes_of = tensor.view_dtype(Kind::Uint8).flatten(0, -1);
        bytes_of.copy_data_u8(&mut bytes, 4 * tensor.numel());
        zip.write_all(&bytes).unwrap();
    }
    zip.finish().unwrap().flush().unwrap();
}

/// The pickle (protocol 2) of an ordered dictionary of tensors of 32-bit floats.
fn dictionary(tensors: &[(String, Tensor)]) -> Vec<u8> {
    fn text(out: &mut Vec<u8>, text: &str) {
        out.push(b'X');
        out.extend((text.len() as u32).to_le_bytes());
        out.extend(text.as_bytes());
    }
    fn number(out: &mut Vec<u8>, number: usize) {
        out.push(b'J');
        out.extend((number as u32).to_le_bytes());
    }
    const EMPTY: &[u8] = b"ccollections\nOrderedDict\n)R";
    let mut out = b"\x80\x02".to_vec();
    out.extend(EMPTY);
    out.push(b'(');
    for (key, (name, tensor)) in tensors.iter().enumerate() {
        text(&mut out, name);
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage");
        out.extend(b"ctorch\nFloatStorage\n");
        text(&mut out, &key.to_string());
        text(&mut out, "cpu");
        number(&mut out, tensor.numel());
        out.extend(b"tQ");
        number(&mut out, 0);
        for numbers in [tensor.size(), tensor.stride()] {
            out.push(b'(');
            for it in numbers {
                number(&mut out, it as usize);
            }
            out.push(b't');
        }
        out.push(b'\x89');
        out.extend(EMPTY);
        out.extend(b"tR");
    }
    out.extend(b"u.");
    out
}

/// The most memory that the process has had, in bytes; the pages of files that it maps are among it.
fn peak() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    1024.0 * kib.unwrap().parse::<f64>().unwrap()
}
