//! Every linked shader, in every size that an op makes of it, is valid WGSL, translates to every backend, and shares its uniform with Rust field by field.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use naga::back::{hlsl, msl, spv, wgsl};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{Module, TypeInner};
use unmask::ops;
use unmask::shaders::{self, Linked};

/// Every linked shader, and every one that an op makes for one size.
fn all_kernels() -> Vec<Linked> {
    let specialised = ops::specialised().into_iter().map(|key| {
        let name = key.to_string();
        let source = key.source().unwrap_or_else(|error| panic!("{name}: {error}"));
        Linked { name, source }
    });
    shaders::all().into_iter().chain(specialised).collect()
}

/// Every linked shader that may store floats in 16 bits, with all of them so stored.
fn half_kernels() -> Vec<Linked> {
    // What passes over shards of weights and gradients changes them in place, and these are 32-bit floats always.
    let linked = shaders::all()
        .into_iter()
        .filter(|shader| !["accumulate", "average"].iter().any(|name| shader.name.starts_with(name)));
    let stored = linked.filter_map(|Linked { name, source }| {
        let declared = |line: &str| {
            line.starts_with("var<storage") && ["f32>;", "vec4f>;", "Vector>;"].iter().any(|ty| line.contains(ty))
        };
        let bindings: Vec<u32> = source
            .lines()
            .zip(source.lines().skip(1))
            .filter(|(_, line)| declared(line))
            .filter_map(|(line, _)| line.split("@binding(").nth(1)?.trim_end_matches(')').parse().ok())
            .collect();
        let source = shaders::half_stored(&source, &bindings).unwrap_or_else(|error| panic!("{name}: {error}"));
        let source = shaders::specialise(&source, &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
        (!bindings.is_empty()).then(|| Linked { name: format!("{name} in 16 bits"), source })
    });
    stored.collect()
}

/// Whether a kernel is for matrix units, which DirectX and WebGPU have no words for and Metal only for some.
fn on_matrix_units(name: &str) -> bool {
    name.contains("_cooperative")
}

fn checked(shader: &Linked) -> (Module, ModuleInfo) {
    let module = naga::front::wgsl::parse_str(&shader.source)
        .unwrap_or_else(|error| panic!("{}: {}", shader.name, error.emit_to_string(&shader.source)));
    let mut capabilities = Capabilities::SUBGROUP | Capabilities::SUBGROUP_BARRIER | Capabilities::SHADER_FLOAT16;
    capabilities.set(Capabilities::COOPERATIVE_MATRIX, on_matrix_units(&shader.name));
    let info = Validator::new(ValidationFlags::all(), capabilities)
        .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
        .subgroup_operations(naga::valid::SubgroupOperationSet::all())
        .validate(&module)
        .unwrap_or_else(|error| panic!("{}: {}", shader.name, error.emit_to_string(&shader.source)));
    (module, info)
}

/// Whether a line of HLSL begins a function.
fn is_hlsl_function(line: &str) -> bool {
    line.contains('(') && line.starts_with(|first: char| first.is_ascii_alphabetic()) && !line.ends_with(';')
}

/// Writes a kernel, or what it is translated to, to the folder that `UNMASK_TRANSLATED` names, for other compilers.
fn keep(name: &str, extension: &str, text: &[u8]) {
    let Some(folder) = std::env::var_os("UNMASK_TRANSLATED") else { return };
    let file = std::path::Path::new(&folder).join(format!("{name}.{extension}").replace(['/', ' '], "_"));
    std::fs::write(&file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

#[test]
fn every_kernel_translates_to_every_backend() {
    let (linked, all) = (shaders::all().len(), all_kernels());
    assert!(linked > 50 && all.len() > 2 * linked, "{} kernels of {linked} shaders", all.len());
    let halves = half_kernels();
    assert!(halves.len() > linked / 2, "{} kernels in 16 bits of {linked} shaders", halves.len());
    let (next, shaders) = (AtomicUsize::new(0), all.iter().chain(&halves).collect::<Vec<_>>());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                while let Some(shader) = shaders.get(next.fetch_add(1, Ordering::Relaxed)) {
                    translate(shader);
                }
            });
        }
    });
}

/// Translates `shader` to every backend that has words for it.
fn translate(shader: &Linked) {
    let (module, info) = checked(shader);
    let name = &shader.name;
    keep(name, "wgsl", shader.source.as_bytes());
    assert!(!shader.source.contains("++"), "{name}: a loop is not written out");
    // Workgroup memory is not cleared first, and loops are not counted, as the engine has it.
    let options = spv::Options {
        lang_version: (1, 3),
        force_loop_bounding: false,
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        ..spv::Options::default()
    };
    let words = spv::write_vec(&module, &info, &options, None).unwrap_or_else(|e| panic!("{name} to SPIR-V: {e}"));
    assert!(words.len() > 50, "{name}");
    keep(name, "spv", &words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>());

    let wgsl_text = wgsl::write_string(&module, &info, wgsl::WriterFlags::empty())
        .unwrap_or_else(|e| panic!("{name} to WGSL: {e}"));
    assert!(wgsl_text.contains("@compute"), "{name}");
    if on_matrix_units(name) && (name.contains("+WIDE_MEMORY") || name.starts_with("attention")) {
        return;
    }

    let options = msl::Options {
        lang_version: (2, 4),
        fake_missing_bindings: true,
        force_loop_bounding: false,
        zero_initialize_workgroup_memory: false,
        ..msl::Options::default()
    };
    let pipeline = msl::PipelineOptions::default();
    let (text, _) =
        msl::write_string(&module, &info, &options, &pipeline).unwrap_or_else(|e| panic!("{name} to MSL: {e}"));
    assert!(text.contains("kernel"), "{name}");
    keep(name, "metal", text.as_bytes());
    if on_matrix_units(name) {
        assert!(text.contains("simdgroup_multiply_accumulate"), "{name}");
        return;
    }

    let options = hlsl::Options {
        fake_missing_bindings: true,
        shader_model: hlsl::ShaderModel::V6_2,
        force_loop_bounding: false,
        zero_initialize_workgroup_memory: false,
        ..hlsl::Options::default()
    };
    let mut text = String::new();
    let pipeline = hlsl::PipelineOptions::default();
    hlsl::Writer::new(&mut text, &options, &pipeline)
        .write(&module, &info, None)
        .unwrap_or_else(|e| panic!("{name} to HLSL: {e}"));
    assert!(text.contains("numthreads"), "{name}");
    // DirectX's compiler would refuse it.
    let mut functions = BTreeSet::new();
    let mut twice = text.lines().filter(|line| is_hlsl_function(line)).filter(|line| !functions.insert(*line));
    assert_eq!(twice.next(), None, "{name} to HLSL: a function is defined twice");
    assert!(!functions.is_empty(), "{name} to HLSL: no function is found");
    keep(name, "hlsl", text.as_bytes());
}

/// What WebGPU grants every workgroup: invocations, and bytes of memory.
const WORKGROUP_LIMITS: (u32, u32) = (256, 16_384);
/// What every adapter with matrix units has: those of 16 x 16, and those of 8 x 8.
const MATRIX_UNITS_LIMITS: [(u32, u32); 2] = [(1024, 49_152), (1024, 32_768)];

#[test]
fn workgroups_stay_within_what_every_adapter_has() {
    for shader in &all_kernels() {
        let (module, _) = checked(shader);
        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).unwrap_or_else(|error| panic!("{}: {error}", shader.name));
        let shared = module.global_variables.iter().filter(|(_, var)| var.space == naga::AddressSpace::WorkGroup);
        // Dawn counts each variable in whole 16 bytes.
        let bytes: u32 = shared.map(|(_, var)| layouter[var.ty].size.next_multiple_of(16)).sum();
        let invocations: u32 = module.entry_points[0].workgroup_size.iter().product();
        let (most_invocations, most_bytes) = match on_matrix_units(&shader.name) {
            true => MATRIX_UNITS_LIMITS[usize::from(!shader.name.contains("+SIDE_16"))],
            false => WORKGROUP_LIMITS,
        };
        assert!(bytes <= most_bytes, "{}: {bytes} bytes of workgroup memory", shader.name);
        assert!((1..=most_invocations).contains(&invocations), "{}: {invocations} invocations", shader.name);
    }
}

#[test]
fn uniforms_have_the_same_fields_on_both_sides() {
    let layouts = ops::layouts();
    let mut compared = 0;
    for shader in shaders::all() {
        let file = shader.name.split('+').next().unwrap_or_default();
        let layout = layouts.iter().find(|layout| layout.shader == file);
        let layout = layout.unwrap_or_else(|| panic!("{file}.wgsl has no uniform struct in Rust"));
        let (module, _) = checked(&shader);
        let params = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some("Params"));
        let (_, ty) = params.unwrap_or_else(|| panic!("{} has no struct Params", shader.name));
        let TypeInner::Struct { members, .. } = &ty.inner else { panic!("{}: Params is no struct", shader.name) };
        let wgsl: Vec<(String, &str)> = members
            .iter()
            .map(|member| {
                let scalar = match module.types[member.ty].inner {
                    TypeInner::Scalar(naga::Scalar { kind: naga::ScalarKind::Uint, width: 4 }) => "u32",
                    TypeInner::Scalar(naga::Scalar { kind: naga::ScalarKind::Float, width: 4 }) => "f32",
                    _ => "neither u32 nor f32",
                };
                (member.name.clone().unwrap_or_default(), scalar)
            })
            .collect();
        let rust: Vec<(String, &str)> = layout.fields.iter().map(|(name, ty)| ((*name).to_owned(), *ty)).collect();
        assert_eq!(wgsl, rust, "{}", shader.name);
        for (index, member) in members.iter().enumerate() {
            assert_eq!(member.offset as usize, index * 4, "{}: {:?}", shader.name, member.name);
        }
        compared += 1;
    }
    assert_eq!(compared, shaders::all().len());
}

#[test]
fn constants_are_replaced_by_name() {
    let text = "const A: u32 = 4u;\nconst AB: u32 = A * 2u;";
    assert_eq!(shaders::specialise(text, &[("A", 7)]).expect("known"), "const A: u32 = 7u;\nconst AB: u32 = A * 2u;");
    assert_eq!(shaders::specialise(text, &[("C", 7)]).expect_err("unknown"), "no constant `C: u32`");
}
