//! Certificates and keys from disk. What is no regular file is not waited for.

use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// More than any bundle; a system's own is of 250 KiB.
const MOST: u64 = 16 << 20;

/// The content of a regular file, or in words why there is none.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |e: io::Error| format!("cannot be read: {e}");
    // A FIFO without a writer, and some devices, would block the open itself.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(format!("is a {}, not a regular file", kind(&metadata)));
    }
    let mut content = Vec::new();
    let taken = file.take(MOST + 1).read_to_end(&mut content);
    taken.map_err(unreadable)?;
    match content.len() as u64 > MOST {
        true => Err(format!("is larger than {} MiB", MOST >> 20)),
        false => Ok(content),
    }
}

fn kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_dir() {
        "directory"
    } else if kind.is_fifo() {
        "FIFO"
    } else {
        "device"
    }
}
