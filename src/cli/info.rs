//! `unmask info`: what there is and what of it is used.

use serde_json::json;

use super::args::Common;
use super::progress::{json_line, out};
use crate::gpu::{self, Gpu};

/// Runs `unmask info`.
pub fn run(common: &Common) -> anyhow::Result<()> {
    pollster::block_on(async {
        let adapters = gpu::adapters().await;
        let gpu = Gpu::open(&common.gpu_options()).await?;
        let limits = gpu.limits();
        let features = [
            ("timestamps", wgpu::Features::TIMESTAMP_QUERY, "milliseconds an op in `unmask bench --ops`"),
            ("shader-f16", wgpu::Features::SHADER_F16, "`--precision mixed`"),
        ];
        let numbers = [
            ("max_storage_buffer_binding_size", limits.max_storage_buffer_binding_size),
            ("max_buffer_size", limits.max_buffer_size),
            ("max_compute_workgroup_storage_size", u64::from(limits.max_compute_workgroup_storage_size)),
            ("max_compute_invocations_per_workgroup", u64::from(limits.max_compute_invocations_per_workgroup)),
            ("max_compute_workgroups_per_dimension", u64::from(limits.max_compute_workgroups_per_dimension)),
            ("max_storage_buffers_per_shader_stage", u64::from(limits.max_storage_buffers_per_shader_stage)),
        ];
        let kernels = match (gpu.is_cpu(), gpu.has_few_registers()) {
            (true, _) => "register tiles without barriers (processor)",
            (false, true) => "workgroup-memory tiles (GPU), small ones for few registers",
            (false, false) => "workgroup-memory tiles (GPU)",
        };
        let candidates = gpu.matrix_candidates();
        let lanes: Vec<String> = candidates.iter().map(|units| units.lanes.to_string()).collect();
        let lanes = lanes.join(" or ");
        let matrix_units = candidates
            .first()
            .map(|units| format!("{0} x {0}, 16-bit floats summed in f32, subgroups of {lanes}", units.side));
        if common.json {
            let present: Vec<&str> = features
                .iter()
                .filter(|(_, flag, _)| gpu.features().contains(*flag))
                .map(|(name, _, _)| *name)
                .collect();
            let limits: serde_json::Map<String, serde_json::Value> =
                numbers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            return json_line(&json!({
                "adapters": adapters, "chosen": gpu.summary(), "features": present, "limits": limits, "kernels": kernels,
                "matrix_units": matrix_units,
            }));
        }
        out!("adapters")?;
        let chosen = gpu.summary();
        for adapter in &adapters {
            let mark = if *adapter == chosen { '*' } else { ' ' };
            out!("{mark} {} ({}, {}, {})", adapter.name, adapter.kind, adapter.backend, adapter.driver)?;
        }
        out!("\nchosen: {}", gpu.name())?;
        for (name, flag, used) in features {
            out!("  {name:<38} {}  {used}", if gpu.features().contains(flag) { "yes" } else { "no " })?;
        }
        for (name, value) in numbers {
            out!("  {name:<38} {value}")?;
        }
        out!("  {:<38} {kernels}", "kernels")?;
        out!("  {:<38} {}", "matrix units", matrix_units.as_deref().unwrap_or("none that kernels can use"))?;
        Ok(())
    })
}
