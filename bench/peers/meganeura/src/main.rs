//! A masked autoencoder on meganeura, timed step by step beside Unmask's.
//!
//! `unmask-peer-meganeura --case FILE` reads weights, a picture and its mask that `unmask bench --turns --dump` wrote,
//! prints a line of JSON when it is ready, then answers every line `N` on stdin with the times and losses of N more
//! optimiser steps.

#[path = "../../case.rs"]
mod case;
mod model;

use std::error::Error;
use std::io::{BufRead, Write};
use std::time::Instant;

use serde_json::json;

use case::Case;

/// As in Cargo.toml.
const VERSION: &str = "0.3.0";

fn main() -> Result<(), Box<dyn Error>> {
    let mut path = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--case" => path = arguments.next(),
            // It takes the first adapter there is.
            "--adapter" => drop(arguments.next()),
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let case = Case::read(&path.ok_or("expected --case FILE")?)?;
    let (graph, feeds) = model::autoencoder(&case)?;
    let mut session = meganeura::build_session(&graph);
    for (name, values) in &feeds.parameters {
        session.set_parameter(name, values);
    }
    for (name, values) in &feeds.inputs {
        session.set_input(name, values);
    }
    for (name, values) in &feeds.indices {
        session.set_input_u32(name, values);
    }
    let adamw = &case.optimiser.adamw;
    session.set_adam(case.optimiser.rate as f32, adamw.beta1, adamw.beta2, adamw.eps);
    // All tensors decay here, biases and layer norms too: there is one coefficient.
    session.set_weight_decay(adamw.weight_decay);

    let stdout = std::io::stdout();
    let say = |value: serde_json::Value| -> std::io::Result<()> {
        let mut out = stdout.lock();
        writeln!(out, "{value}")?;
        out.flush()
    };
    let adapter = session.device_information().device_name.clone();
    let parameters: usize = feeds.parameters.values().map(Vec::len).sum();
    say(json!({
        "ready": true, "name": "meganeura", "version": VERSION, "adapter": adapter, "api": "vulkan",
        "variant": "blade, greedy rewrites", "precision": "f32", "device": "gpu", "batch": case.batch,
        "parameters": parameters,
    }))?;
    for line in std::io::stdin().lock().lines() {
        let steps: usize = line?.trim().parse()?;
        let (mut times, mut losses) = (Vec::new(), Vec::new());
        for _ in 0..steps {
            let start = Instant::now();
            session.step();
            session.wait();
            losses.push(session.read_loss());
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        say(json!({"ms": times, "losses": losses}))?;
    }
    Ok(())
}
