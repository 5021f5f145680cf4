//! `unmask embed`: features of pictures as a NumPy array.

use std::fs::File;
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::args::Common;
use super::compile_bar::CompileBar;
use super::model_args::tell_assumed;
use super::probe_args::EmbedArgs;
use super::progress::{bar, json_line, out};
use crate::data::{self, Labels, Source};
use crate::gpu::Gpu;
use crate::platform::{Awake, replace, write_whole};
use crate::probe::{Embedder, Start};

/// Bytes before the numbers, of which there is a multiple of 64.
const HEADER: usize = 128;

/// Runs `unmask embed`.
pub fn run(common: &Common, args: &EmbedArgs) -> anyhow::Result<()> {
    let path = args.out.as_path();
    if path.extension().is_none_or(|extension| extension != "npy") {
        bail!("--out {}: expected a name that ends in .npy", path.display());
    }
    let names = path.with_extension("tsv");
    check_free(&names, args)?;
    let model = args.encoder.model.open(common)?;
    let (source, _) = data::open_all(&args.data)?;
    let embedder = pollster::block_on(async {
        let gpu = Gpu::open(&common.gpu_options()).await?;
        tell_assumed(common, &model);
        let _compiling = CompileBar::watch(common, gpu.compiling());
        let start = Start::Weights(&model.weights);
        anyhow::Ok(Embedder::new(gpu, &model.config, start, args.encoder.options()).await?)
    })?;
    let named =
        |error: std::io::Error| anyhow::Error::new(error).context(format!("{} cannot be written", path.display()));
    let mut written = Written::default();
    let _awake = Awake::keep("Features are computed");
    replace(path, named, |beside| {
        written = write(common, &embedder, source.clone(), beside).map_err(|error| match error.downcast() {
            Ok(error) => named(error),
            Err(error) => error,
        })?;
        Ok(())
    })?;
    let told = Labels::told(source.as_ref(), &written.pictures);
    let lines: String =
        written.pictures.iter().zip(told).map(|(index, told)| line(source.distinct_name(*index), told)).collect();
    write_whole(&names, lines.as_bytes()).with_context(|| format!("{} cannot be written", names.display()))?;
    let (count, width) = (written.pictures.len(), embedder.width());
    if common.json {
        return json_line(&json!({
            "out": path, "names": names, "pictures": count, "width": width, "skipped": written.skipped,
            "assumed": model.assumed, "averages_left_out": model.weights.averages,
        }));
    }
    out!("{count} pictures, {width} numbers each -> {}, names -> {}", path.display(), names.display())
}

/// Fails where the file of names would replace one that was given, or one that no features lie beside: that is no other
/// run's of this command.
fn check_free(names: &Path, args: &EmbedArgs) -> anyhow::Result<()> {
    let is_names =
        |given: &Path| given.canonicalize().is_ok_and(|given| names.canonicalize().is_ok_and(|names| names == given));
    let out = args.out.display();
    if let Some(data) = args.data.iter().find(|data| is_names(data.as_ref())) {
        bail!("--out {out}: {data} is to be read, and names of pictures would be written there; choose another --out");
    }
    if names.exists() && !args.out.exists() {
        bail!(
            "--out {out}: {} exists, and names of pictures would be written there; choose another --out",
            names.display()
        );
    }
    Ok(())
}

/// What was written.
#[derive(Debug, Default)]
struct Written {
    /// Index of the picture of each row.
    pictures: Vec<usize>,
    /// Pictures that could not be decoded.
    skipped: usize,
}

/// Writes the features of all pictures of `source` into the file at `path`.
fn write(common: &Common, embedder: &Embedder, source: Arc<dyn Source>, path: &Path) -> anyhow::Result<Written> {
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&[0; HEADER])?;
    let progress = bar(common, source.len() as u64, 0);
    let indices: Vec<usize> = (0..source.len()).collect();
    let mut pictures = Vec::new();
    let skipped = pollster::block_on(embedder.embed_all(source, indices, |index, row| {
        progress.set_position(index as u64 + 1);
        pictures.push(index);
        anyhow::Ok(row.iter().try_for_each(|x| file.write_all(&x.to_le_bytes()))?)
    }))?;
    progress.finish_and_clear();
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&header([pictures.len(), embedder.width()]))?;
    file.flush()?;
    Ok(Written { pictures, skipped })
}

/// The head of a `.npy` file, format version 1.0, of little-endian float32 `[rows, columns]`.
fn header([rows, columns]: [usize; 2]) -> [u8; HEADER] {
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    let mut header = [b' '; HEADER];
    header[..10].copy_from_slice(b"\x93NUMPY\x01\x00\x76\x00");
    // Two numbers of 20 digits at most leave room.
    header[10..10 + text.len()].copy_from_slice(text.as_bytes());
    header[HEADER - 1] = b'\n';
    header
}

/// Name and class of a picture, as a line of a table.
fn line(name: &str, told: Option<&str>) -> String {
    let [name, told] = [name, told.unwrap_or_default()].map(data::cell);
    format!("{name}\t{told}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_numpys() {
        let header = header([usize::MAX, 1280]);
        assert_eq!(&header[..8], b"\x93NUMPY\x01\x00");
        assert_eq!(usize::from(u16::from_le_bytes([header[8], header[9]])), HEADER - 10);
        let text = String::from_utf8(header[10..].to_vec()).expect("text");
        assert!(text.ends_with(" \n") && text.contains("'shape': (18446744073709551615, 1280), }"), "{text}");
    }
}
