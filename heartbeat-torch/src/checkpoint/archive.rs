//! The zip around what `torch.save` wrote, where each tensor's bytes lie as they are.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use tch::Tensor;
use zip::{CompressionMethod, ZipArchive};

use super::mapping::Mapping;

/// Fewer bytes are not worth a mapping.
const LEAST: usize = 1 << 20;

/// The entries that are not compressed.
///
/// The reader of pickles does not tell where a tensor's bytes are. So they are looked for: by length and checksum, which
/// a zip tells of its entries, and then byte by byte.
pub(super) struct Archive {
    file: Mapping,
    content: RefCell<File>,
    /// By length and checksum, where an entry's bytes begin.
    entries: HashMap<(u64, u32), u64>,
}

impl Archive {
    /// Nothing when there is no such zip.
    pub(super) fn open(path: &Path) -> Option<Self> {
        let file = Mapping::new(path).ok()?;
        let content = File::open(path).ok()?;
        let mut zip = ZipArchive::new(&content).ok()?;
        let mut entries = HashMap::new();
        for index in 0..zip.len() {
            let entry = zip.by_index_raw(index).ok()?;
            if entry.compression() == CompressionMethod::Stored && entry.size() >= LEAST as u64 {
                entries.insert((entry.size(), entry.crc32()), entry.data_start()?);
            }
        }
        Some(Self {
            file,
            content: content.into(),
            entries,
        })
    }

    /// A view of the file where it has just these bytes, if it has them as they are.
    pub(super) fn view_of(&self, bytes: &[u8]) -> Option<Tensor> {
        if bytes.len() < LEAST {
            return None;
        }
        let checksum = crc32fast::hash(bytes);
        let start = *self.entries.get(&(bytes.len() as u64, checksum))?;
        let end = start.checked_add(bytes.len() as u64)?;
        if end > self.file.length() || !self.has(bytes, start) {
            return None;
        }
        self.file.bytes(start as usize..end as usize).ok()
    }

    /// Whether these bytes are there. Read, not mapped, so that they are not in memory twice.
    fn has(&self, bytes: &[u8], start: u64) -> bool {
        let mut content = self.content.borrow_mut();
        let mut piece = vec![0; LEAST];
        content.seek(SeekFrom::Start(start)).is_ok()
            && bytes.chunks(LEAST).all(|bytes| {
                let piece = &mut piece[..bytes.len()];
                content.read_exact(piece).is_ok() && piece == bytes
            })
    }
}
