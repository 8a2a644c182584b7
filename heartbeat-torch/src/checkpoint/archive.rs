//! The zip around what `torch.save` wrote, where each tensor's bytes lie as they are.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use pytorch_reader::Tensor as Saved;
use tch::Tensor;
use zip::{CompressionMethod, ZipArchive};

use super::mapping::Mapping;

/// Fewer bytes are not worth a mapping.
const LEAST: usize = 1 << 20;

/// Where in the file the bytes of tensors begin that lie there as they are.
pub(super) struct Views {
    file: Mapping,
    starts: HashMap<String, u64>,
}

impl Views {
    /// Looks for each of `tensors`. There are none in what is no such zip.
    ///
    /// The reader of pickles does not tell where a tensor's bytes are. So each is read and looked for among the entries
    /// that are not compressed: by length and checksum, which a zip tells, and then byte by byte. All at once, before
    /// anything else needs memory: what is given back between things that stay leaves holes.
    pub(super) fn find(path: &Path, tensors: &HashMap<String, Saved>) -> Option<Self> {
        let file = Mapping::new(path).ok()?;
        let mut content = File::open(path).ok()?;
        let entries = entries(&content)?;
        let mut starts = HashMap::new();
        for (name, tensor) in tensors {
            let length = tensor.byte_len() as u64;
            if entries.keys().all(|(size, _)| *size != length) {
                continue;
            }
            // One that cannot be read is told when it is asked for.
            let Ok(bytes) = tensor.read() else { continue };
            let checksum = crc32fast::hash(&bytes);
            if let Some(&start) = entries.get(&(length, checksum))
                && start.saturating_add(length) <= file.length()
                && has(&mut content, start, &bytes)
            {
                starts.insert(name.clone(), start);
            }
        }
        Some(Self { file, starts })
    }

    /// A view of the file, if it has that tensor as it is.
    pub(super) fn get(&self, name: &str, length: usize) -> Option<Tensor> {
        let start = *self.starts.get(name)? as usize;
        self.file.bytes(start..start + length).ok()
    }
}

/// By length and checksum, where the bytes of an entry begin that is not compressed.
fn entries(file: &File) -> Option<HashMap<(u64, u32), u64>> {
    let mut zip = ZipArchive::new(file).ok()?;
    let mut entries = HashMap::new();
    for index in 0..zip.len() {
        let entry = zip.by_index_raw(index).ok()?;
        if entry.compression() == CompressionMethod::Stored && entry.size() >= LEAST as u64 {
            entries.insert((entry.size(), entry.crc32()), entry.data_start()?);
        }
    }
    Some(entries)
}

/// Whether the file has these bytes there. Read, not mapped, so that they are not in memory twice.
fn has(file: &mut File, start: u64, bytes: &[u8]) -> bool {
    let mut piece = vec![0; LEAST];
    file.seek(SeekFrom::Start(start)).is_ok()
        && bytes.chunks(LEAST).all(|bytes| {
            let piece = &mut piece[..bytes.len()];
            file.read_exact(piece).is_ok() && piece == bytes
        })
}
