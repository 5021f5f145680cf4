//! What `reconstruct --pixels` writes: gathered on disk picture by picture, for a folder of them may be large.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

use crate::platform::Spool;
use crate::train::Reconstruction;
use crate::weights::{Element, Layout, Place, Storage, TensorFile, outputs, write_safetensors};

/// Inputs, masks and predictions so far.
pub struct Pixels {
    spool: Spool,
    places: BTreeMap<String, Place>,
}

/// Where an error came from that has to do with the temporary file.
const TEMPORARY: &str = "the temporary file of --pixels";

impl Pixels {
    /// None yet.
    ///
    /// # Errors
    /// The system's.
    pub fn new() -> anyhow::Result<Pixels> {
        Ok(Pixels { spool: Spool::new().context(TEMPORARY)?, places: BTreeMap::new() })
    }

    /// Adds those of `result`, with `prefix` before their names.
    ///
    /// # Errors
    /// The system's, such as a full disk.
    pub fn add(&mut self, prefix: &str, result: &Reconstruction) -> anyhow::Result<()> {
        let Reconstruction { side, patches, image, pred, mask, .. } = result;
        for (name, shape, numbers) in [
            ("input", vec![3, *side, *side], image),
            ("mask", vec![*patches], mask),
            ("pred", vec![*patches, pred.len() / patches], pred),
        ] {
            self.places.insert(format!("{prefix}{name}"), Place::dense(Element::F32, shape, self.spool.len()));
            let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
            self.spool.write_all(&bytes).context(TEMPORARY)?;
        }
        Ok(())
    }

    /// Writes all of them to `path`.
    ///
    /// # Errors
    /// The system's, such as a full disk.
    pub fn write(self, path: &Path) -> anyhow::Result<()> {
        let bytes = self.spool.finish().context(TEMPORARY)?;
        let source = TensorFile::new(TEMPORARY, bytes, self.places, BTreeMap::new())?;
        let (outputs, _) = outputs(Layout::Native, &source);
        Ok(write_safetensors(path, &source, &outputs, BTreeMap::new(), Storage::F32)?)
    }
}
