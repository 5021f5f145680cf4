//! `unmask reconstruct`: strips of pictures and what a model made of them.

use std::collections::HashSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use image::ImageFormat;
use serde_json::json;

use super::args::{Common, ReconstructArgs};
use super::compile_bar::CompileBar;
use super::model_args::tell_assumed;
use super::pixels::Pixels;
use super::place::check_place;
use super::progress::{json_line, out, say};
use crate::data::{self, FolderSource, Picture};
use crate::gpu::Gpu;
use crate::platform::write_whole;
use crate::train::{Hidden, Opened, Reconstruction, Reconstructor};

/// Runs `unmask reconstruct`.
pub fn run(common: &Common, args: &ReconstructArgs) -> anyhow::Result<()> {
    let opened = args.model.open(common)?;
    let files = files(&args.images)?;
    let several = files.len() > 1;
    // Told before anything is computed.
    let place = place(args.out.as_deref(), files.len())?;
    let outs: Vec<PathBuf> = files.iter().enumerate().map(|(number, file)| place.of(number, file, several)).collect();
    spare("--out", &outs, &files)?;
    if let Some(pixels) = &args.pixels {
        check_place(Some("--pixels"), pixels, &["safetensors"])?;
        spare("--pixels", std::slice::from_ref(pixels), &files)?;
    }
    pollster::block_on(async {
        let gpu = Gpu::open(&common.gpu_options()).await?;
        tell_assumed(common, &opened);
        let compiling = CompileBar::watch(common, gpu.compiling());
        let mut model = Reconstructor::new(gpu, &opened).await?;
        drop(compiling);
        let hidden = hidden(args, model.config().grid())?;
        if model.config().norm_pix_loss {
            say(
                common,
                "note: this model predicts normalised patches; they are shown with each patch's true mean and deviation",
            );
        }
        if let Place::Folder(folder) = &place {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let mut pixels = args.pixels.as_ref().map(|_| Pixels::new()).transpose()?;
        let mut failed = 0;
        for (number, (file, out)) in files.iter().zip(&outs).enumerate() {
            let name = file.display().to_string();
            let picture = match read(file, &name, model.decode_limit()) {
                Ok(picture) => picture,
                Err(error) if several => {
                    log::warn!("skipped: {error:#}");
                    failed += 1;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let result = model.reconstruct(picture, &hidden).await?;
            let [width, height] = result.strip_size;
            let strip = encoded(out, &result.strip, [width, height])?;
            write_whole(out, &strip).with_context(|| format!("{} cannot be written", out.display()))?;
            if let Some(pixels) = &mut pixels {
                pixels.add(&if several { format!("{number}/") } else { String::new() }, &result)?;
            }
            report(common, &name, out, &result, &opened)?;
        }
        if failed == files.len() {
            bail!("none of the {failed} files could be read and decoded");
        }
        if let (Some(path), Some(pixels)) = (&args.pixels, pixels) {
            pixels.write(path)?;
        }
        Ok(())
    })
}

/// The strip `pixels` as the file that the name `out` says. Made in memory, where a disk cannot run full half way.
fn encoded(out: &Path, pixels: &[u8], [width, height]: [u32; 2]) -> anyhow::Result<Vec<u8>> {
    let told = || out.display().to_string();
    let format = ImageFormat::from_path(out).with_context(told)?;
    let mut file = Cursor::new(Vec::new());
    image::write_buffer_with_format(&mut file, pixels, width, height, image::ExtendedColorType::Rgba8, format)
        .with_context(told)?;
    Ok(file.into_inner())
}

/// Where strips go.
enum Place {
    /// The one strip.
    File(PathBuf),
    /// Each under a name after its picture's.
    Folder(PathBuf),
}

impl Place {
    /// Where the strip of `file` goes, the `number`th of `several` or the only one.
    fn of(&self, number: usize, file: &Path, several: bool) -> PathBuf {
        let stem = || file.file_stem().unwrap_or_default().to_string_lossy();
        match self {
            // The folder may be that of the pictures, and hold others of their names.
            Place::Folder(folder) if several => folder.join(format!("{number:04}-{}-reconstruction.png", stem())),
            Place::Folder(folder) => folder.join(format!("{}-reconstruction.png", stem())),
            Place::File(file) => file.clone(),
        }
    }
}

/// Fails where one of `outs`, by the option `name`, is one of the pictures themselves.
fn spare(name: &str, outs: &[PathBuf], files: &[PathBuf]) -> anyhow::Result<()> {
    let files: HashSet<PathBuf> = files.iter().filter_map(|file| file.canonicalize().ok()).collect();
    match outs.iter().find(|out| out.canonicalize().is_ok_and(|out| files.contains(&out))) {
        Some(out) => bail!("{name}: {} is one of the pictures themselves; expected another place", out.display()),
        None => Ok(()),
    }
}

/// Where the strips of `count` pictures go by `--out`.
fn place(out: Option<&Path>, count: usize) -> anyhow::Result<Place> {
    let Some(out) = out else {
        return Ok(match count > 1 {
            true => Place::Folder(PathBuf::from("reconstructions")),
            false => Place::File(PathBuf::from("reconstruction.png")),
        });
    };
    if out.is_dir() || (out.extension().is_none() && !out.exists()) {
        return Ok(Place::Folder(out.to_owned()));
    }
    let format = ImageFormat::from_path(out).ok();
    match (count > 1, format) {
        // A folder that is yet to be made may have a dot in its name.
        (true, None) if !out.exists() => Ok(Place::Folder(out.to_owned())),
        (true, _) => bail!("--out {}: there are {count} pictures; expected a folder", out.display()),
        (false, Some(ImageFormat::Png | ImageFormat::WebP | ImageFormat::Tiff)) => Ok(Place::File(out.to_owned())),
        (false, _) => bail!("--out {}: expected a name that ends in .png, .webp or .tiff, or a folder", out.display()),
    }
}

/// The picture in `file`, called `name`.
fn read(file: &Path, name: &str, limit: u32) -> anyhow::Result<Picture> {
    let bytes = std::fs::read(file).with_context(|| name.to_owned())?;
    Ok(data::decode(name, &bytes, Some(limit))?)
}

/// The pictures named by `images`, folders opened.
fn files(images: &[String]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for image in images {
        let path = PathBuf::from(image);
        if path.is_dir() {
            let folder = FolderSource::open(&path)?;
            files.extend(folder.paths().map(Path::to_owned));
        } else if path.is_file() {
            files.push(path);
        } else {
            bail!("{image}: no such file or folder");
        }
    }
    Ok(files)
}

fn hidden(args: &ReconstructArgs, grid: usize) -> anyhow::Result<Hidden> {
    if let Some(keep) = &args.keep {
        return Ok(Hidden::Keep(keep.clone()));
    }
    let Some(path) = &args.mask else {
        if !(0.0..1.0).contains(&args.mask_ratio) {
            bail!("--mask-ratio {}: expected 0 to under 1, such as 0.75 for 75 %", args.mask_ratio);
        }
        return Ok(Hidden::Ratio { strategy: None, ratio: args.mask_ratio, seed: args.seed });
    };
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let mask = data::decode(&path.display().to_string(), &bytes, None)?;
    let (width, height) = (mask.width as usize, mask.height as usize);
    if width < grid || height < grid {
        bail!("{}: {width} x {height} pixels; expected at least one a patch, {grid} x {grid}", path.display());
    }
    // A patch is visible where its part of the mask is bright on the whole.
    let bright = |patch: usize| {
        let (row, column) = (patch / grid, patch % grid);
        let rows = row * height / grid..(row + 1) * height / grid;
        let columns = column * width / grid..(column + 1) * width / grid;
        let count = rows.len() * columns.len();
        let sum: usize = rows
            .flat_map(|y| columns.clone().map(move |x| (y * width + x) * 4))
            .map(|at| mask.pixels[at..at + 3].iter().map(|value| usize::from(*value)).sum::<usize>())
            .sum();
        sum * 2 > count * 3 * 255
    };
    Ok(Hidden::Keep((0..grid * grid).filter(|patch| bright(*patch)).collect()))
}

fn report(common: &Common, name: &str, out: &Path, result: &Reconstruction, model: &Opened) -> anyhow::Result<()> {
    if common.json {
        return json_line(&json!({
            "image": name, "out": out, "visible": result.keep.len(), "patches": result.patches, "keep": result.keep,
            "hidden_mse": result.hidden_mse, "hidden_psnr_db": result.hidden_psnr_db, "baseline_mse": result.baselines(),
            "assumed": model.assumed, "averages_left_out": model.weights.averages,
        }));
    }
    let (visible, patches) = (result.keep.len(), result.patches);
    let Some(psnr) = result.hidden_psnr_db else {
        return out!("{name}: {visible} of {patches} patches visible, none hidden -> {}", out.display());
    };
    let baselines = result.baselines();
    out!(
        "{name}: {visible} of {patches} patches visible, hidden MSE {:.4} of normalised pixels (to beat: \
         mean colour {:.4}, interpolation {:.4}), PSNR {psnr:.1} dB -> {}",
        result.hidden_mse,
        baselines.mean_colour,
        baselines.interpolation,
        out.display()
    )
}
