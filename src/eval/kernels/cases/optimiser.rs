//! The passes over flat shards.

use half::f16;

use crate::eval::kernels::case::share_wrong;
use crate::eval::kernels::random::{Random, garbage};
use crate::eval::kernels::twins::{self, AdamWState};
use crate::eval::kernels::{KernelReport, report};
use crate::gpu::{BufferSlice, DispatchList, Gpu, GpuError, Uploads};
use crate::graph::GraphError;
use crate::ops::{
    AdamW, AdamWShard, DECAY_BLOCK, LossScaling, global_norm_partials, push_accumulate, push_average, push_global_norm,
};

const TOLERANCE: f64 = 1e-5;
/// What is rounded to 16 bits, by whatever rule of rounding.
const ROUNDED: f64 = 1e-3;

/// Every pass over shards.
pub(in super::super) async fn optimiser(gpu: &Gpu) -> Result<Vec<KernelReport>, GraphError> {
    let mut reports = Vec::new();
    // Vectors, and numbers one by one.
    for length in [1028, 1027] {
        reports.extend(accumulate(gpu, length).await?);
        reports.extend(average(gpu, length).await?);
    }
    let f16 = gpu.features().contains(wgpu::Features::SHADER_F16);
    for (max_norm, halves) in [(0.0, false), (0.5, f16)] {
        reports.extend(norm_and_adamw(gpu, max_norm, halves).await?);
    }
    reports.extend(scaled_norm(gpu).await?);
    Ok(reports)
}

pub(super) async fn holding<T: bytemuck::NoUninit>(gpu: &Gpu, values: &[T]) -> Result<BufferSlice, GpuError> {
    let slice = gpu.buffer("self-test", size_of_val(values) as u64).await?;
    gpu.upload(&slice, values);
    Ok(slice)
}

async fn accumulate(gpu: &Gpu, length: usize) -> Result<Vec<KernelReport>, GraphError> {
    let mut random = Random(1);
    let (x, y) = (random.vec(length), random.vec(length));
    let (x_slice, y_slice) = (holding(gpu, &x).await?, holding(gpu, &y).await?);
    let sum = holding(gpu, &garbage(&mut random, length)).await?;
    let mut list = DispatchList::default();
    push_accumulate(gpu, &mut list, &x_slice, &sum, true)?;
    push_accumulate(gpu, &mut list, &y_slice, &sum, false)?;
    list.run(gpu);
    let got: Vec<u32> = gpu.read_one("sum", &sum).await?;
    gpu.check()?;
    let want: Vec<u32> = x.iter().zip(&y).map(|(x, y)| (x + y).to_bits()).collect();
    Ok(report(&list, &format!("[{length}] + [{length}]"), share_wrong(&got, &want), 0.0))
}

async fn average(gpu: &Gpu, length: usize) -> Result<Vec<KernelReport>, GraphError> {
    let mut random = Random(3);
    let (weights, before) = (random.vec(length), random.vec(length));
    let weights_slice = holding(gpu, &weights).await?;
    let average = holding(gpu, &before).await?;
    let schedule = holding(gpu, &[0.0f32, 0.0, 0.0, 0.75]).await?;
    let mut list = DispatchList::default();
    push_average(gpu, &mut list, &weights_slice, &average, &schedule)?;
    list.run(gpu);
    let got: Vec<f32> = gpu.read_one("average", &average).await?;
    gpu.check()?;
    let want = twins::average(&twins::exact(&weights), &twins::exact(&before), 0.75);
    Ok(report(&list, &format!("[{length}], past 0.75"), twins::relative_error(&got, &want), TOLERANCE))
}

/// The norm of gradients of a scaled loss: unscaled again, and the scale after finite gradients and after others.
async fn scaled_norm(gpu: &Gpu) -> Result<Vec<KernelReport>, GraphError> {
    let (lengths, scale, max_norm) = ([1028, 20_004], 4096.0f32, 1.0f32);
    let mut random = Random(4);
    let values = lengths.map(|length| random.vec(length));
    let mut gradients = Vec::new();
    for values in &values {
        gradients.push(holding(gpu, &values.iter().map(|x| x * scale).collect::<Vec<f32>>()).await?);
    }
    let partials = holding(gpu, &garbage(&mut random, global_norm_partials(&lengths))).await?;
    let norm = holding(gpu, &[f32::NAN; 4]).await?;
    // The next step is the last before the scale grows.
    let adamw = AdamW { beta1: 0.5, beta2: 0.75, ..AdamW::default() };
    let state = [scale / 2.0, 499.0, 0.25, 0.5625];
    let scaling = LossScaling {
        state: holding(gpu, &state).await?,
        schedule: holding(gpu, &[0.1, f32::NAN, f32::NAN, 0.2]).await?,
        adamw,
        micro_batches: 2,
    };
    let mut list = DispatchList::default();
    push_global_norm(gpu, &mut list, &gradients, &partials, &norm, max_norm, Some(&scaling))?;
    let exact = values.map(|values| twins::exact(&values));
    let [length, clip] = twins::global_norm(&exact, f64::from(max_norm));
    let mut error: f64 = 0.0;
    let overflow = vec![f32::INFINITY; lengths[0]];
    // The third step of AdamW.
    let counted = [0.125, 0.421_875, f64::from(0.1f32), 0.875, 0.578_125, f64::from(0.2f32)];
    let mut want = vec![length, clip / f64::from(scale), 1.0, f64::from(scale), f64::from(scale), 0.0];
    want.extend(counted);
    for _ in 0..2 {
        list.run(gpu);
        let mut got: Vec<f32> = gpu.read_one("norm", &norm).await?;
        got.extend(gpu.read_one::<f32>("scaling", &scaling.state).await?);
        got.extend(gpu.read_one::<f32>("schedule", &scaling.schedule).await?);
        for (got, want) in got.iter().zip(&want).filter(|(_, want)| want.is_finite()) {
            let off = (f64::from(*got) - want).abs() / want.abs().max(1e-9);
            error = error.max(if off.is_nan() { f64::INFINITY } else { off });
        }
        // Half the scale, and steps counted from there; for AdamW it is none.
        want = vec![f64::NAN, f64::NAN, 0.0, f64::from(scale) * 2.0, f64::from(scale) / 2.0, 0.0];
        want.extend(counted);
        gpu.upload(&gradients[0], &overflow);
    }
    gpu.check()?;
    Ok(report(&list, &format!("{lengths:?}, of a scaled loss"), error, TOLERANCE))
}

/// Two steps over two shards, with the norm of their gradients clipped to `max_norm`, and with weights in 16 bits too
/// where `halves`.
async fn norm_and_adamw(gpu: &Gpu, max_norm: f32, halves: bool) -> Result<Vec<KernelReport>, GraphError> {
    let lengths = [1028, 20_004];
    let adamw = AdamW::default();
    let mut random = Random(2);
    let (mut shards, mut twin, mut flags) = (Vec::new(), Vec::new(), Vec::new());
    for length in lengths {
        let [weights, first, second] = [1.0, 0.1, 0.01].map(|scale| -> Vec<f32> {
            // Second moments are squares.
            random.vec(length).iter().map(|x| x.abs() * scale).collect()
        });
        let decays: Vec<u32> = (0..length.div_ceil(DECAY_BLOCK)).map(|_| random.below(2) as u32).collect();
        shards.push(AdamWShard {
            weights: holding(gpu, &weights).await?,
            gradients: holding(gpu, &garbage(&mut random, length)).await?,
            first: holding(gpu, &first).await?,
            second: holding(gpu, &second).await?,
            decays: holding(gpu, &decays).await?,
            halves: match halves {
                true => Some(holding(gpu, &garbage(&mut random, length / 2)).await?),
                false => None,
            },
        });
        let [weights, first, second] = [weights, first, second].map(|x| twins::exact(&x));
        twin.push(AdamWState { weights, first, second });
        flags.push(decays);
    }
    let gradients: Vec<BufferSlice> = shards.iter().map(|shard| shard.gradients.clone()).collect();
    let partials = holding(gpu, &garbage(&mut random, global_norm_partials(&lengths))).await?;
    let (norm, schedule) = (holding(gpu, &[f32::NAN; 4]).await?, holding(gpu, &[f32::NAN; 4]).await?);
    let (mut norm_list, mut list) = (DispatchList::default(), DispatchList::default());
    push_global_norm(gpu, &mut norm_list, &gradients, &partials, &norm, max_norm, None)?;
    for shard in &shards {
        adamw.push(gpu, &mut list, shard, &schedule, &norm)?;
    }

    let (mut norm_error, mut error, mut half_error) = (0.0, 0.0, 0.0);
    for t in 1..=2 {
        let lr = 0.02;
        let values = lengths.map(|length| random.vec(length));
        for (slice, values) in gradients.iter().zip(&values) {
            gpu.upload(slice, values);
        }
        gpu.upload(&schedule, &adamw.schedule(lr, t));
        norm_list.run(gpu);
        list.run(gpu);
        let exact = values.map(|values| twins::exact(&values));
        let [length, clip] = twins::global_norm(&exact, f64::from(max_norm));
        let got: Vec<f32> = gpu.read_one("norm", &norm).await?;
        norm_error = f64::max(norm_error, twins::relative_error(&got[..3], &[length, clip, 1.0]));
        for (index, shard) in shards.iter().enumerate() {
            let state = &mut twin[index];
            twins::adamw(&adamw, state, &exact[index], &flags[index], (lr, t, clip));
            let slices = [shard.weights.clone(), shard.first.clone(), shard.second.clone()];
            let read = gpu.read("shard", &slices).await?;
            for (bytes, want) in read.iter().zip([&state.weights, &state.first, &state.second]) {
                error = f64::max(error, twins::relative_error(&bytemuck::pod_collect_to_vec(bytes), want));
            }
            if let Some(halves) = &shard.halves {
                let got: Vec<f16> = gpu.read_one("halves", halves).await?;
                let got: Vec<f32> = got.into_iter().map(f16::to_f32).collect();
                half_error = f64::max(half_error, twins::relative_error(&got, &state.weights));
            }
        }
    }
    gpu.check()?;
    let what = if max_norm > 0.0 { format!("{lengths:?}, clipped to {max_norm}") } else { format!("{lengths:?}") };
    let mut reports = report(&norm_list, &what, norm_error, TOLERANCE);
    reports.extend(report(&list, &what, error, TOLERANCE));
    if halves {
        reports.extend(report(&list, &format!("{what}, weights in 16 bits"), half_error, ROUNDED));
    }
    Ok(reports)
}
