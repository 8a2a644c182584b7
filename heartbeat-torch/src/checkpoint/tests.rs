use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

/// A file in the format of `model.safetensors`.
fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), data].concat()
}

/// One tensor `n` that counts from 1 to 6.
fn counting() -> Vec<u8> {
    let data: Vec<u8> = (1_u8..=6)
        .flat_map(|n| f32::from(n).to_le_bytes())
        .collect();
    let header = r#"{"n":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}"#;
    safetensors(header, &data)
}

/// Both ways to open the same content; the folder keeps one of them alive.
fn both(content: Vec<u8>) -> (tempfile::TempDir, [Result<Checkpoint>; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    fs::write(&path, &content).unwrap();
    let opened = [
        Checkpoint::open(&path),
        Checkpoint::from_bytes(content.leak()),
    ];
    (dir, opened)
}

fn open(content: &[u8], name: &str) -> Result<Checkpoint> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, content).unwrap();
    Checkpoint::open(&path)
}

fn refusal<T>(result: Result<T>) -> Error {
    result.err().expect("it is refused")
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    assert_eq!(tensor.kind(), Kind::Float);
    assert!(tensor.is_contiguous());
    Vec::try_from(tensor.flatten(0, -1)).unwrap()
}

const COUNT: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

#[test]
fn numbers_of_every_floating_type_are_read() {
    let doubles: Vec<u8> = (1_u8..=6)
        .flat_map(|n| f64::from(n).to_le_bytes())
        .collect();
    let floats: Vec<u8> = (1_u8..=6)
        .flat_map(|n| f32::from(n).to_le_bytes())
        .collect();
    // The upper half of a float is the bfloat16 of it.
    let bfloats: Vec<u8> = floats
        .chunks(4)
        .flat_map(|float| [float[2], float[3]])
        .collect();
    let halves: Vec<u8> = [0x3c00_u16, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600]
        .iter()
        .flat_map(|half| half.to_le_bytes())
        .collect();
    for (dtype, data) in [
        ("F64", doubles),
        ("F32", floats),
        ("BF16", bfloats),
        ("F16", halves),
    ] {
        // The second header is a byte longer, so that the numbers do not begin where they should.
        for pad in ["", " "] {
            let header = format!(
                r#"{{"n":{{"dtype":"{dtype}","shape":[2,3],"data_offsets":[0,{}]}}}}{pad}"#,
                data.len()
            );
            let (_dir, opened) = both(safetensors(&header, &data));
            for checkpoint in opened {
                let tensor = checkpoint.unwrap().tensor("n", &[2, 3]).unwrap();
                assert_eq!(tensor.size(), [2, 3]);
                assert_eq!(numbers(&tensor), COUNT, "{dtype}{pad:?}");
            }
        }
    }
}

#[test]
fn a_tensor_outlives_its_checkpoint_and_its_file() {
    let (dir, [checkpoint, _]) = both(counting());
    let tensor = checkpoint.unwrap().tensor("n", &[2, 3]).unwrap();
    drop(dir);
    assert_eq!(numbers(&tensor), COUNT);
}

#[test]
fn what_torch_saved_is_read_however_it_is_stored() {
    for file in ["wild.bin", "legacy.bin", "deflated.bin"] {
        let checkpoint = Checkpoint::open(&fixture("checkpoints").join(file)).unwrap();
        for name in [
            "f32",
            "f16",
            "bf16",
            "f64",
            "transposed",
            "strided",
            "tied",
            "tied.too",
            "parameter",
        ] {
            let tensor = checkpoint.tensor(name, &[2, 3]).unwrap();
            assert_eq!(tensor.size(), [2, 3]);
            assert_eq!(numbers(&tensor), COUNT, "{file}: {name}");
        }
        let expanded = checkpoint.tensor("expanded", &[2, 3]).unwrap();
        assert_eq!(numbers(&expanded), [1.0; 6], "{file}");
        let scalar = checkpoint.tensor("scalar", &[]).unwrap();
        assert_eq!(numbers(&scalar.reshape([1])), [1.0], "{file}");
        assert_eq!(checkpoint.tensor("empty", &[0, 3]).unwrap().numel(), 0);
        // Not wanted, and in nobody's way.
        assert!(
            checkpoint
                .weights
                .entry("embeddings.position_ids")
                .is_some()
        );
        assert!(checkpoint.weights.entry("embeddings").is_none());
    }
}

#[test]
fn nothing_in_a_file_is_run() {
    let checkpoint = Checkpoint::open(&fixture("checkpoints/hostile.bin")).unwrap();
    let tensor = checkpoint.tensor("f32", &[2, 3]).unwrap();
    assert_eq!(numbers(&tensor), COUNT);
    assert!(!Path::new("executed").exists());
}

#[test]
fn the_published_layout_holds_a_whole_model() {
    let checkpoint = Checkpoint::open(&fixture("tiny/pytorch_model.bin")).unwrap();
    let architecture =
        crate::architecture::Architecture::open(&fixture("tiny/config.json")).unwrap();
    for (name, shape) in [
        (
            "roberta.embeddings.word_embeddings.weight",
            [architecture.vocab, architecture.hidden],
        ),
        (
            "roberta.embeddings.position_embeddings.weight",
            [architecture.positions, architecture.hidden],
        ),
        (
            "roberta.encoder.layer.0.intermediate.dense.weight",
            [architecture.intermediate, architecture.hidden],
        ),
        ("classifier.out_proj.weight", [3, architecture.hidden]),
    ] {
        let tensor = checkpoint.tensor(name, &shape).unwrap();
        assert!(
            numbers(&tensor).iter().any(|number| *number != 0.0),
            "{name}"
        );
    }
    assert!(
        checkpoint
            .weights
            .entry("roberta.pooler.dense.weight")
            .is_some()
    );
    assert!(
        checkpoint
            .weights
            .entry("roberta.embeddings.position_ids")
            .is_some()
    );
}

#[test]
fn a_tensor_that_does_not_fit_is_refused_by_name() {
    let header = r#"{
        "n": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "i64": {"dtype": "I64", "shape": [1], "data_offsets": [24, 32]},
        "f8": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [32, 33]}
    }"#;
    let (_dir, [mapped, embedded]) = both(safetensors(header, &[0; 33]));
    let (mapped, embedded) = (mapped.unwrap(), embedded.unwrap());
    let saved = Checkpoint::open(&fixture("checkpoints/wild.bin")).unwrap();
    for (checkpoint, name, shape, told) in [
        (
            &mapped,
            "none",
            &[2, 3][..],
            &["is missing", "tensor none", "model.safetensors"][..],
        ),
        (
            &embedded,
            "none",
            &[2, 3],
            &["is missing", "tensor none", "in the program"],
        ),
        (
            &saved,
            "none",
            &[2, 3],
            &["is missing", "tensor none", "wild.bin"],
        ),
        (
            &mapped,
            "n",
            &[3, 2],
            &[
                "tensor n",
                "expected [3, 2], found [2, 3]",
                "model.safetensors",
            ],
        ),
        (
            &saved,
            "f32",
            &[6],
            &["tensor f32", "expected [6], found [2, 3]", "wild.bin"],
        ),
        (
            &mapped,
            "i64",
            &[1],
            &["tensor i64", "dtype I64", "model.safetensors"],
        ),
        (&mapped, "f8", &[1], &["tensor f8", "dtype F8_E4M3"]),
        (
            &saved,
            "i64",
            &[2, 3],
            &["tensor i64", "dtype I64", "wild.bin"],
        ),
        (&saved, "bool", &[2], &["tensor bool", "dtype Bool"]),
    ] {
        let error = refusal(checkpoint.tensor(name, shape));
        assert!(error.advice().is_some(), "{error:?}");
        for part in told {
            assert!(error.to_string().contains(part), "{name}: {error:?}");
        }
    }
}

#[test]
fn a_damaged_header_is_refused() {
    let whole = counting();
    let tensor = |rest: &str| safetensors(&format!(r#"{{"n":{{{rest}}}}}"#), &[0; 24]);
    for (content, told) in [
        (Vec::new(), "failed to fill whole buffer"),
        (vec![0; 7], "failed to fill whole buffer"),
        (vec![0; 8], "EOF while parsing"),
        (vec![0xff; 64], "a header of 18446744073709551615 bytes"),
        (whole[..20].to_vec(), "EOF while parsing"),
        (whole[..whole.len() - 1].to_vec(), "88 bytes instead of 89"),
        ([&whole[..], &[0]].concat(), "90 bytes instead of 89"),
        (safetensors("not JSON", &[]), "expected ident"),
        (
            tensor(r#""dtype":"F32","shape":[2,3],"data_offsets":[0,20]"#),
            "nvalid",
        ),
        (
            tensor(r#""dtype":"F32","shape":[2,3],"data_offsets":[4,28]"#),
            "nvalid",
        ),
        (
            tensor(r#""dtype":"F32","shape":[2,3],"data_offsets":[24,0]"#),
            "nvalid",
        ),
        (
            tensor(r#""dtype":"F31","shape":[2,3],"data_offsets":[0,24]"#),
            "unknown variant `F31`",
        ),
        (
            tensor(r#""dtype":"F32","shape":[-1],"data_offsets":[0,24]"#),
            "invalid value",
        ),
        (
            tensor(r#""dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,24]"#),
            "verflow",
        ),
        (
            tensor(
                r#""dtype":"U8","shape":[2000000000000000000],"data_offsets":[0,2000000000000000000]"#,
            ),
            "bytes instead of 2000000000000000",
        ),
    ] {
        let (_dir, opened) = both(content);
        for checkpoint in opened {
            let error = refusal(checkpoint);
            assert!(error.report().contains(told), "{told}: {error:?}");
            assert!(
                error.to_string().starts_with("the weights are damaged"),
                "{error:?}"
            );
        }
    }
}

#[test]
fn what_torch_did_not_save_is_refused() {
    let wild = fs::read(fixture("checkpoints/wild.bin")).unwrap();
    for content in [
        b"".as_slice(),
        b"<!DOCTYPE html><title>Not found</title>",
        b"PK\x03\x04",
        &wild[..wild.len() / 2],
        &wild[..wild.len() - 1],
        &counting(),
    ] {
        let error = refusal(open(content, "pytorch_model.bin"));
        assert!(
            error.to_string().starts_with("the weights are damaged"),
            "{error:?}"
        );
        assert!(error.to_string().contains("pytorch_model.bin"), "{error:?}");
        assert!(error.advice().is_some(), "{error:?}");
    }
}

#[test]
fn a_file_that_is_not_there_is_told_from_one_that_is_elsewhere() {
    let error = refusal(Checkpoint::open(Path::new("no/such/model.safetensors")));
    assert!(
        error.to_string().contains("file no/such/model.safetensors"),
        "{error:?}"
    );
    for name in ["model.safetensors", "pytorch_model.bin"] {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
        let error = refusal(open(pointer, name));
        assert!(error.to_string().contains("only a pointer"), "{error:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_path_that_libtorch_cannot_open_is_refused() {
    use std::os::unix::ffi::OsStrExt;

    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir(&folder).unwrap();
    let path = folder.join("model.safetensors");
    fs::write(&path, counting()).unwrap();
    let error = refusal(Checkpoint::open(&path));
    assert!(error.to_string().contains("not UTF-8"), "{error:?}");
}

#[test]
fn a_file_that_changes_while_it_is_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    fs::write(&path, counting()).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    fs::write(&path, "x").unwrap();
    let error = refusal(checkpoint.tensor("n", &[2, 3]));
    assert!(
        error.report().contains("1 bytes, and 89 before"),
        "{error:?}"
    );
    fs::remove_file(&path).unwrap();
    refusal(checkpoint.tensor("n", &[2, 3]));
}

/// Some bytes of a file, changed.
fn damage() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)
}

proptest! {
    #[test]
    fn no_damage_to_safetensors_makes_it_panic(damage in damage()) {
        let mut content = counting();
        for (at, byte) in damage {
            let at = at.index(content.len());
            content[at] = byte;
        }
        let (_dir, opened) = both(content);
        for checkpoint in opened.into_iter().flatten() {
            let _ = checkpoint.tensor("n", &[2, 3]);
        }
    }

    #[test]
    fn no_damage_to_what_torch_saved_makes_it_panic(
        legacy: bool,
        damage in damage(),
    ) {
        let file = if legacy { "legacy.bin" } else { "wild.bin" };
        let mut content = fs::read(fixture("checkpoints").join(file)).unwrap();
        for (at, byte) in damage {
            let at = at.index(content.len());
            content[at] = byte;
        }
        if let Ok(checkpoint) = open(&content, "pytorch_model.bin") {
            for name in ["f32", "bf16", "transposed", "tied"] {
                let _ = checkpoint.tensor(name, &[2, 3]);
            }
        }
    }
}
