//! Pictures inside one file: members of an archive, which are read where they lie.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{self, Read as _};
use std::sync::Arc;

use flate2::read::DeflateDecoder;

use super::{DataError, MAX_FILE_BYTES, Raw, Source};
use crate::platform::Bytes;

/// How a member is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As it is.
    Stored,
    /// By deflate.
    Deflated,
}

/// A picture file inside an archive.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name, with that of the archive before it.
    pub name: String,
    /// First byte in the archive.
    pub at: u64,
    /// Bytes in the archive.
    pub stored: u64,
    /// Bytes once unpacked.
    pub size: u64,
    /// How it is stored.
    pub packing: Packing,
    /// What it shows, where the archive tells.
    pub label: Option<String>,
}

/// The picture files in one archive, in its order.
#[derive(Debug)]
pub struct ArchiveSource {
    bytes: Arc<Bytes>,
    members: Vec<Member>,
}

impl ArchiveSource {
    /// The `members` of the archive `bytes`.
    pub fn new(bytes: Arc<Bytes>, mut members: Vec<Member>) -> ArchiveSource {
        unique(members.iter_mut().map(|member| &mut member.name));
        ArchiveSource { bytes, members }
    }
}

impl Source for ArchiveSource {
    fn len(&self) -> usize {
        self.members.len()
    }

    fn name(&self, index: usize) -> &str {
        &self.members[index].name
    }

    fn label(&self, index: usize) -> Option<&str> {
        self.members[index].label.as_deref()
    }

    fn read(&self, index: usize) -> Result<Raw<'_>, DataError> {
        let member = &self.members[index];
        let bytes = unpack(member, |at, count| self.bytes.read(at, count));
        let bytes = bytes.map_err(|reason| DataError::Read { name: member.name.clone(), reason })?;
        Ok(Raw::Encoded(Cow::Owned(bytes)))
    }
}

/// The bytes of a member, unpacked; `read` has those of the archive, by the first and by how many.
pub fn unpack(member: &Member, read: impl Fn(u64, u64) -> io::Result<Vec<u8>>) -> Result<Vec<u8>, String> {
    for bytes in [member.size, member.stored] {
        if bytes > MAX_FILE_BYTES {
            return Err(format!("{bytes} bytes, expected at most {MAX_FILE_BYTES}"));
        }
    }
    let stored = read(member.at, member.stored).map_err(|error| error.to_string())?;
    if stored.len() as u64 != member.stored {
        return Err("the archive ends before it does".to_owned());
    }
    let bytes = match member.packing {
        Packing::Stored => stored,
        Packing::Deflated => {
            let mut bytes = Vec::new();
            let unpacked = DeflateDecoder::new(stored.as_slice()).take(member.size + 1).read_to_end(&mut bytes);
            unpacked.map_err(|error| format!("cannot be unpacked: {error}"))?;
            bytes
        }
    };
    if bytes.len() as u64 != member.size {
        return Err(format!("unpacks to other than the {} bytes that the archive announces", member.size));
    }
    Ok(bytes)
}

/// Puts a number before names that were there before.
pub fn unique<'a>(names: impl Iterator<Item = &'a mut String>) {
    let mut taken = HashSet::new();
    for (index, name) in names.enumerate() {
        if taken.contains(name) {
            *name = format!("{} {name}", index + 1);
        }
        taken.insert(name.clone());
    }
}
