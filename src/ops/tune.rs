//! Which tiles are fastest for each product of a graph, and for attention where nobody knows, measured on the adapter
//! itself.
//!
//! All tiles of products through workgroup memory sum in the same order, so a choice changes the time and not the bits;
//! those on matrix units and those of attention sum in an order of their own.

use std::collections::BTreeMap;

use super::matrix_check::check_matrix_units;
use super::trials::Trials;
use super::{Attention, MatMul};
use crate::gpu::{BufferSlice, DispatchList, Gpu, GpuError, KernelKey, Timestamps, Uploads};
use crate::graph::{Caps, Choices, DType, Graph, GraphError, Var};
use crate::platform;
use crate::shaders::LINKED;

/// Seconds that measuring one graph may take; products that are left over keep the usual tile.
const BUDGET: f64 = 1.0;
/// Measurements of a tile of which the best counts.
const ROUNDS: usize = 3;
/// Shortest time that is measured, milliseconds; what takes less is repeated.
const LEAST_TIME: f64 = platform::LEAST_TIMED;
/// Most repetitions of a product.
const MOST_TIMES: u32 = 512;
/// Seconds of work before anything is measured: adapters that were idle run slowly at first.
const WARM_UP: f64 = 0.03;
/// Tiles that took this many times as long as the fastest are not measured again.
const HOPELESS: f64 = 1.25;

/// Lets the products and attention of a plan of `graph` for `roots` use the fastest tiles: those remembered for this
/// adapter and driver, else those found by trying, and the usual ones where that takes too long or there is no clock. Where
/// the choice alters bits those `pinned` go first. On processors nothing is chosen and the usual ones are taken.
///
/// Returns the choices that alter bits, for whoever goes on with the same graph to pin.
///
/// Before a graph with products in 16 bits matrix units are tried, if there are some and no one has yet.
///
/// # Errors
/// Those of the device.
pub async fn tune(gpu: &Gpu, graph: &mut Graph, roots: &[Var], pinned: Option<Choices>) -> Result<Choices, GraphError> {
    tune_within(gpu, graph, roots, pinned, BUDGET).await
}

/// As [`tune`], with `budget` seconds for measuring.
///
/// # Errors
/// Those of the device.
pub async fn tune_within(
    gpu: &Gpu,
    graph: &mut Graph,
    roots: &[Var],
    pinned: Option<Choices>,
    budget: f64,
) -> Result<Choices, GraphError> {
    if gpu.is_cpu() {
        return Ok(Choices::new());
    }
    if has_halves(graph) {
        check_matrix_units(gpu).await?;
    }
    let classes = classes(Caps::of(gpu), graph, roots);
    let (pinned, remembered) = (pinned.unwrap_or_default(), remembered(gpu));
    let mut choices = Choices::new();
    for trials in &classes {
        // What an adapter chose with other features may be none here.
        let offered = |known: &Choices| known.get(&trials.class).filter(|tile| trials.offers(tile)).cloned();
        let first = if trials.alters_bits { offered(&pinned) } else { None };
        if let Some(tile) = first.or_else(|| offered(&remembered)) {
            choices.insert(trials.class.clone(), tile);
        }
    }
    let in_bits = classes.iter().filter(|trials| trials.alters_bits);
    let in_bits: Vec<(String, String)> = in_bits.map(|trials| (trials.class.clone(), trials.usual.clone())).collect();
    let unknown: Vec<Trials> = classes.into_iter().filter(|trials| !choices.contains_key(&trials.class)).collect();
    if gpu.features().contains(wgpu::Features::TIMESTAMP_QUERY) && !unknown.is_empty() {
        let start = platform::now_seconds();
        let found = measure(gpu, &unknown, budget).await?;
        let seconds = platform::now_seconds() - start;
        log::info!("tiles of {} of {} shapes measured in {seconds:.2} s", found.len(), unknown.len());
        remember(gpu, &found);
        choices.extend(found);
    }
    // Measured or not: a run that goes on has to keep to it. Others are free to take what is measured later.
    let settled: Choices =
        in_bits.into_iter().map(|(class, usual)| (class.clone(), choices.remove(&class).unwrap_or(usual))).collect();
    choices.extend(settled.clone());
    graph.choose(choices);
    Ok(settled)
}

/// Whether `graph` has matrix products of 16-bit floats.
fn has_halves(graph: &Graph) -> bool {
    graph.nodes().iter().any(|node| {
        let op: &dyn std::any::Any = node.op.as_ref();
        op.is::<MatMul>() && node.inputs[..2].iter().all(|input| graph.ty(*input).dtype == DType::F16)
    })
}

/// What there is to try for a plan of `graph` for `roots`: what alters bits first, then the most work.
fn classes(caps: Caps, graph: &Graph, roots: &[Var]) -> Vec<Trials> {
    let mut classes: BTreeMap<String, (Trials, u64)> = BTreeMap::new();
    for node in graph.fused(roots) {
        let op: &dyn std::any::Any = node.op.as_ref();
        let ty = |index: usize| graph.ty(node.inputs[index]);
        let product = op.downcast_ref::<MatMul>().and_then(|product| product.trials(caps, ty(0), ty(1)));
        let attention = || op.downcast_ref::<Attention>().and_then(|attention| attention.trials(caps, ty(0)));
        let Some(trials) = product.or_else(attention) else { continue };
        let flops = trials.flops;
        classes.entry(trials.class.clone()).or_insert((trials, 0)).1 += flops;
    }
    let mut classes: Vec<(Trials, u64)> = classes.into_values().collect();
    classes.sort_by_key(|(trials, flops)| (!trials.alters_bits, std::cmp::Reverse(*flops)));
    classes.into_iter().map(|(trials, _)| trials).collect()
}

/// What one choice of tiles takes for a class of products, or of attention.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TileTime {
    /// The class: form, or what it is, and extents.
    pub class: String,
    /// The tile.
    pub tile: String,
    /// Milliseconds of a product, without what follows it.
    pub milliseconds: f64,
    /// Arithmetic speed.
    pub gflops: f64,
}

/// What every choice takes for every class of attention and of products in `graph`, on numbers without a pattern: of
/// either the classes with the most work first, the fastest tile of each first. Nothing is remembered, and none are where the adapter
/// has no clock.
///
/// # Errors
/// Those of the device.
pub async fn time_tiles(gpu: &Gpu, graph: &Graph, roots: &[Var]) -> Result<Vec<TileTime>, GraphError> {
    if has_halves(graph) {
        check_matrix_units(gpu).await?;
    }
    if !gpu.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
        return Ok(Vec::new());
    }
    let classes = classes(Caps::of(gpu), graph, roots);
    let buffers = prepare(gpu, &classes).await?;
    // What multiplies zeros draws less power, and may run faster.
    for buffer in &buffers[..2] {
        gpu.upload(buffer, &patternless(buffer.bytes as usize / 4));
    }
    warm_up(gpu, &classes, &buffers).await?;
    let mut all = Vec::new();
    for trials in &classes {
        let times = timed(gpu, trials, &buffers).await?;
        let mut times: Vec<TileTime> = times
            .into_iter()
            .map(|(tile, milliseconds)| TileTime {
                class: trials.class.clone(),
                tile,
                milliseconds,
                gflops: trials.flops as f64 / milliseconds / 1e6,
            })
            .collect();
        times.sort_by(|a, b| a.milliseconds.total_cmp(&b.milliseconds));
        all.extend(times);
    }
    Ok(all)
}

/// The fastest tile of each class, of as many as `budget` seconds allow once kernels are compiled. Classes whose choice
/// alters bits (two or three of two kernels each) do not wait for the next run: it would not repeat this one.
async fn measure(gpu: &Gpu, unknown: &[Trials], budget: f64) -> Result<Choices, GpuError> {
    let mut choices = Choices::new();
    let buffers = prepare(gpu, unknown).await?;
    warm_up(gpu, unknown, &buffers).await?;
    let start = platform::now_seconds();
    for trials in unknown {
        if !trials.alters_bits && platform::now_seconds() - start > budget {
            break;
        }
        platform::pause().await;
        let times = timed(gpu, trials, &buffers).await?;
        if let Some((tile, _)) = times.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)) {
            choices.insert(trials.class.clone(), tile);
        }
    }
    Ok(choices)
}

/// Compiles what `classes` try, and makes room for the largest of their A, B and C.
async fn prepare(gpu: &Gpu, classes: &[Trials]) -> Result<Vec<BufferSlice>, GpuError> {
    let keys: Vec<KernelKey> =
        classes.iter().flat_map(|trials| trials.launches.iter().map(|(_, key, _)| key.clone())).collect();
    gpu.compile(&keys).await?;
    let bytes = |index: usize| classes.iter().map(|trials| trials.elements[index]).max().unwrap_or(0) as u64 * 4;
    let limit = gpu.max_binding();
    let mut buffers: Vec<BufferSlice> = Vec::new();
    for (index, name) in ["A", "B", "C"].into_iter().enumerate() {
        buffers.push(gpu.buffer(&format!("trial {name}"), bytes(index).min(limit)).await?);
    }
    Ok(buffers)
}

/// Bits that are moderate numbers both as one float of 32 bits and as two of 16.
fn patternless(count: usize) -> Vec<u32> {
    let mixed = |i: usize| {
        let x = (i as u32).wrapping_mul(0x9e37_79b9);
        (x ^ (x >> 15)).wrapping_mul(0x85eb_ca6b)
    };
    // Sign and mantissa vary, exponents stay: 0x3f80 begins 1.0 as f32, and about 1.9 as f16.
    (0..count).map(|i| mixed(i) & 0x807f_83ff | 0x3f80_3800).collect()
}

/// The launches of `trials`; none where a tensor does not fit.
fn launches(gpu: &Gpu, trials: &Trials, buffers: &[BufferSlice]) -> Result<DispatchList, GpuError> {
    let mut list = DispatchList::default();
    let sizes = trials.elements.map(|count| count as u64 * 4);
    if sizes.iter().zip(buffers).any(|(size, buffer)| *size > buffer.bytes) {
        return Ok(list);
    }
    let slices: Vec<(u32, BufferSlice)> =
        (1..).zip(sizes.iter().zip(buffers).map(|(size, buffer)| buffer.part(0, *size))).collect();
    for (_, key, workgroups) in &trials.launches {
        list.push(gpu, "trial", key, &trials.params, &slices, *workgroups)?;
    }
    Ok(list)
}

/// Keeps the adapter busy until it has had time to run at full speed.
async fn warm_up(gpu: &Gpu, classes: &[Trials], buffers: &[BufferSlice]) -> Result<(), GpuError> {
    let Some(trials) = classes.first() else { return Ok(()) };
    let mut dispatches = launches(gpu, trials, buffers)?.dispatches;
    dispatches.truncate(1);
    let list = DispatchList::from(dispatches);
    let start = platform::now_seconds();
    while !list.dispatches.is_empty() && platform::now_seconds() - start < WARM_UP {
        Timestamps::measure(gpu, &list).await?;
    }
    Ok(())
}

/// How often a product is to be repeated so that the clock tells what it takes, and how many milliseconds that is.
async fn repetitions(gpu: &Gpu, list: &DispatchList) -> Result<(u32, f64), GpuError> {
    let first = DispatchList::from(list.dispatches[..1.min(list.dispatches.len())].to_vec());
    let (mut times, mut taken) = (1, 0.0);
    while times < MOST_TIMES {
        let readings = Timestamps::measure_repeated(gpu, &first, times).await?.unwrap_or_default();
        taken = readings.iter().map(|reading| reading.milliseconds).sum::<f64>() * f64::from(times);
        if taken >= LEAST_TIME {
            break;
        }
        // By no more at a time: a coarse clock may have told nothing yet.
        times = (times * (LEAST_TIME / taken.max(LEAST_TIME / 8.0)).ceil() as u32).min(MOST_TIMES);
    }
    Ok((times, taken))
}

/// What each of `trials` takes; none where the adapter has no clock fine enough or a tensor does not fit.
async fn timed(gpu: &Gpu, trials: &Trials, buffers: &[BufferSlice]) -> Result<Vec<(String, f64)>, GpuError> {
    let list = launches(gpu, trials, buffers)?;
    if list.dispatches.is_empty() {
        return Ok(Vec::new());
    }
    let (times, taken) = repetitions(gpu, &list).await?;
    // As far as the first tile tells.
    let at_once = (Timestamps::MOST_AT_ONCE / taken.max(LEAST_TIME)).ceil() as usize;
    let mut best = vec![f64::INFINITY; trials.launches.len()];
    let mut hopeful: Vec<usize> = (0..trials.launches.len()).collect();
    for _ in 0..ROUNDS {
        for some in hopeful.chunks(at_once) {
            let dispatches: Vec<_> = some.iter().map(|index| list.dispatches[*index].clone()).collect();
            let readings = Timestamps::measure_repeated(gpu, &DispatchList::from(dispatches), times).await?;
            for (index, reading) in some.iter().zip(readings.unwrap_or_default()) {
                // A clock that stands still tells nothing.
                if reading.milliseconds > 0.0 {
                    best[*index] = best[*index].min(reading.milliseconds);
                }
            }
        }
        let fastest = best.iter().copied().fold(f64::INFINITY, f64::min);
        hopeful.retain(|index| best[*index] <= fastest * HOPELESS);
    }
    let timed = trials.launches.iter().zip(best).filter(|(_, milliseconds)| milliseconds.is_finite());
    Ok(timed.map(|((tile, ..), milliseconds)| (tile.clone(), milliseconds)).collect())
}

/// What is remembered of an adapter, in a file of its own: who measures on another one does not touch it.
#[derive(serde::Deserialize, serde::Serialize)]
struct Remembered {
    adapter: String,
    tiles: Choices,
}

/// Adapter and driver, and whatever else of them and of this program makes other tiles the fastest.
fn adapter_key(gpu: &Gpu) -> String {
    let summary = gpu.summary();
    let limits = gpu.limits();
    // In a browser the name and the driver may be empty: what it allows tells some adapters apart.
    let allowed = format!("{}/{}", limits.max_compute_invocations_per_workgroup, gpu.max_binding());
    let registers = if gpu.has_few_registers() { "few registers" } else { "many registers" };
    let units = if gpu.trusted_matrix_units().is_some() { "matrix units" } else { "no matrix units" };
    let checks = if gpu.checks_bounds() { "checked" } else { "trusted" };
    let shaders = format!("shaders {:08x}", shaders_checksum());
    let version = env!("CARGO_PKG_VERSION");
    let adapter = [gpu.maker(), &summary.name, &summary.backend, &summary.driver];
    [&adapter[..], &[&allowed, registers, units, checks, version, &shaders]].concat().join(" | ")
}

/// Of all linked shaders: what was measured with others does not count.
fn shaders_checksum() -> u32 {
    let texts = LINKED.iter().flat_map(|(name, conditions, source)| [name, conditions, source]);
    texts.fold(0, |checksum, text| crc32c::crc32c_append(checksum, text.as_bytes()))
}

fn file_of(adapter: &str) -> String {
    format!("tiles-{:08x}.json", crc32c::crc32c(adapter.as_bytes()))
}

fn remembered(gpu: &Gpu) -> Choices {
    let key = adapter_key(gpu);
    let read: Option<Remembered> = platform::recall(&file_of(&key)).and_then(|text| serde_json::from_str(&text).ok());
    read.filter(|read| read.adapter == key).map(|read| read.tiles).unwrap_or_default()
}

fn remember(gpu: &Gpu, found: &Choices) {
    // Another process may have measured other shapes meanwhile.
    let mut tiles = remembered(gpu);
    tiles.extend(found.clone());
    let adapter = adapter_key(gpu);
    let file = file_of(&adapter);
    if let Ok(text) = serde_json::to_string_pretty(&Remembered { adapter, tiles }) {
        platform::remember(&file, &text);
    }
}
