//! A masked autoencoder on Burn, timed step by step beside Unmask's.
//!
//! `unmask-peer-burn --case FILE [--adapter NAME]` reads weights, pictures and masks that `unmask bench --turns --dump`
//! wrote, prints a line of JSON when it is ready, then answers every line `N` on stdin with the times and losses of N
//! more optimiser steps.

#[path = "../../case.rs"]
mod case;
mod model;

use std::error::Error;
use std::io::{BufRead, Write};
use std::time::Instant;

use burn::module::{Module, ParamGroup};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, DeviceKind, DeviceType};
use serde_json::json;

use case::Case;
use model::{Autoencoder, Inputs};

/// As in Cargo.toml.
const VERSION: &str = "0.22.1";

/// The adapter called `name`, else the one that Burn chooses, and its name.
fn device(name: Option<&str>) -> (Device, String) {
    let named = |device: &Device| device.identity().map(|identity| identity.name).unwrap_or_default();
    for device in Device::enumerate(DeviceType::Wgpu).into_vec() {
        if name.is_some_and(|name| named(&device) == name) {
            return (device, name.unwrap_or_default().to_owned());
        }
    }
    let device = Device::wgpu(DeviceKind::DefaultDevice);
    let name = named(&device);
    (device, name)
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut path, mut adapter) = (None, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--case" => path = arguments.next(),
            "--adapter" => adapter = arguments.next(),
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let case = Case::read(&path.ok_or("expected --case FILE")?)?;
    let (device, adapter) = device(adapter.as_deref());
    let device = device.autodiff();
    let mut model = Autoencoder::new(&case, &device)?;
    let inputs = Inputs::new(&case, &device)?;

    let (rate, adamw) = (case.optimiser.rate, &case.optimiser.adamw);
    let config = AdamWConfig::new().with_beta_1(adamw.beta1).with_beta_2(adamw.beta2).with_epsilon(adamw.eps);
    let decayed = config.clone().with_weight_decay(adamw.weight_decay).build();
    let plain = config.with_weight_decay(0.0).build();
    // Biases and the parameters of layer norms do not decay.
    let group = ParamGroup::from_any_predicates(vec!["bias", "gamma", "beta"]);
    let mut optimiser = burn::optim::ModuleOptimizer::from(decayed).with_group(group, plain, None);

    let stdout = std::io::stdout();
    let say = |value: serde_json::Value| -> std::io::Result<()> {
        let mut out = stdout.lock();
        writeln!(out, "{value}")?;
        out.flush()
    };
    let shaders = if cfg!(feature = "vulkan") { "SPIR-V" } else { "WGSL" };
    let fusion = if cfg!(feature = "fusion") { "fusion" } else { "no fusion" };
    say(json!({
        "ready": true, "name": "burn", "version": VERSION, "adapter": adapter, "api": "wgpu",
        "variant": format!("{shaders}, {fusion}, autotune"), "precision": "f32", "device": "gpu",
        "batch": case.batch, "parameters": model.num_params(),
    }))?;

    for line in std::io::stdin().lock().lines() {
        let steps: usize = line?.trim().parse()?;
        let (mut times, mut losses) = (Vec::new(), Vec::new());
        for _ in 0..steps {
            let start = Instant::now();
            let loss = model.loss(&case, &inputs);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimiser.step(rate, model, gradients);
            losses.push(loss.into_scalar::<f32>());
            device.sync().map_err(|error| format!("{error:?}"))?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        say(json!({ "ms": times, "losses": losses }))?;
    }
    Ok(())
}
