// What the matrix products share: their uniform, their bindings, and all access to them, with the epilogue.
//
// Shapes and conditions are those of matmul.wgsl.

@if(GELU && !SLOPE) import package::lib::gelu::gelu;
@if(SLOPE) import package::lib::gelu::gelu_and_slope;

struct Params {
    m: u32,
    n: u32,
    k: u32,
    // Length of a part of k, and how many parts there are.
    k_split: u32,
    splits: u32,
    // Elements from one matrix of a batch to the next.
    a_stride: u32,
    b_stride: u32,
    // Rows after which the residual begins anew.
    residual_rows: u32,
    // Rows of tiles that are gone through together, in the kernels that tile workgroup memory.
    strip: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@if(!SCALAR) @group(0) @binding(1) var<storage, read> a: array<vec4f>;
@if(!SCALAR) @group(0) @binding(2) var<storage, read> b: array<vec4f>;
@if(!SCALAR) @group(0) @binding(3) var<storage, read_write> c: array<vec4f>;
@if(SCALAR) @group(0) @binding(1) var<storage, read> a: array<f32>;
@if(SCALAR) @group(0) @binding(2) var<storage, read> b: array<f32>;
@if(SCALAR) @group(0) @binding(3) var<storage, read_write> c: array<f32>;
@if(!SCALAR && BIAS) @group(0) @binding(4) var<storage, read> bias: array<vec4f>;
@if(SCALAR && BIAS) @group(0) @binding(4) var<storage, read> bias: array<f32>;
@if(!SCALAR && RESIDUAL) @group(0) @binding(5) var<storage, read> residual: array<vec4f>;
@if(SCALAR && RESIDUAL) @group(0) @binding(5) var<storage, read> residual: array<f32>;
@if(!SCALAR && SLOPE) @group(0) @binding(6) var<storage, read_write> slopes: array<vec4f>;
@if(SCALAR && SLOPE) @group(0) @binding(6) var<storage, read_write> slopes: array<f32>;
@if(!SCALAR && GELU_GRADIENT) @group(0) @binding(7) var<storage, read> slope: array<vec4f>;
@if(SCALAR && GELU_GRADIENT) @group(0) @binding(7) var<storage, read> slope: array<f32>;
@if(SUMS) @group(0) @binding(8) var<storage, read_write> column_sums: array<f32>;

// Elements i .. i + 3 of A; those from `valid` on are zero, which only SCALAR has to see to: vectors are whole.
fn a4(i: u32, valid: u32) -> vec4f {
    @if(!SCALAR) {
        return a[i / 4u];
    }
    @if(SCALAR) {
        var v = vec4f();
        for (var j = 0u; j < min(valid, 4u); j += 1u) {
            v[j] = a[i + j];
        }
        return v;
    }
}

fn b4(i: u32, valid: u32) -> vec4f {
    @if(!SCALAR) {
        return b[i / 4u];
    }
    @if(SCALAR) {
        var v = vec4f();
        for (var j = 0u; j < min(valid, 4u); j += 1u) {
            v[j] = b[i + j];
        }
        return v;
    }
}

@if(BIAS)
fn bias4(column: u32) -> vec4f {
    @if(!SCALAR) {
        return bias[column / 4u];
    }
    @if(SCALAR) {
        var v = vec4f();
        for (var j = 0u; j < min(params.n - column, 4u); j += 1u) {
            v[j] = bias[column + j];
        }
        return v;
    }
}

@if(RESIDUAL)
fn residual4(i: u32, valid: u32) -> vec4f {
    @if(!SCALAR) {
        return residual[i / 4u];
    }
    @if(SCALAR) {
        var v = vec4f();
        for (var j = 0u; j < min(valid, 4u); j += 1u) {
            v[j] = residual[i + j];
        }
        return v;
    }
}

@if(GELU_GRADIENT)
fn slope4(i: u32, valid: u32) -> vec4f {
    @if(!SCALAR) {
        return slope[i / 4u];
    }
    @if(SCALAR) {
        var v = vec4f();
        for (var j = 0u; j < min(valid, 4u); j += 1u) {
            v[j] = slope[i + j];
        }
        return v;
    }
}

// The tile of C of this workgroup: row and column of tiles, in strips.
fn tile_of(group: vec2u, groups: vec2u) -> vec2u {
    let index = group.y * groups.x + group.x;
    let area = params.strip * groups.x;
    let first = index / area * params.strip;
    let rows = min(params.strip, groups.y - first);
    return vec2u(first + index % area % rows, index % area / rows);
}

// What the epilogue reads for elements (row, column .. column + 3) of C beside a bias: residual or slopes, never both.
@if(RESIDUAL || GELU_GRADIENT)
fn other4(row: u32, column: u32) -> vec4f {
    @if(RESIDUAL) {
        return residual4((row % params.residual_rows) * params.n + column, params.n - column);
    }
    @if(GELU_GRADIENT) {
        return slope4(row * params.n + column, params.n - column);
    }
}

// Applies the epilogue to elements (row, column .. column + 3) of C, and writes those inside a row if they are to be
// `stored`; `c0` is the start of this matrix, or of this part of a split sum.
fn finish(product: vec4f, c0: u32, row: u32, column: u32, stored: bool) {
    @if(RESIDUAL || GELU_GRADIENT) {
        finish_with(product, other4(row, column), c0, row, column, stored);
    }
    @if(!RESIDUAL && !GELU_GRADIENT) {
        finish_with(product, vec4f(), c0, row, column, stored);
    }
}

// The same where `other4` was read before.
fn finish_with(product: vec4f, other: vec4f, c0: u32, row: u32, column: u32, stored: bool) {
    let columns = params.n - column;
    let at = row * params.n + column;
    var value = product;
    @if(BIAS) {
        value += bias4(column);
    }
    @if(RESIDUAL) {
        value += other;
    }
    @if(SLOPE) {
        let x = gelu_and_slope(value.x);
        let y = gelu_and_slope(value.y);
        let z = gelu_and_slope(value.z);
        let w = gelu_and_slope(value.w);
        value = vec4f(x.x, y.x, z.x, w.x);
        let found = vec4f(x.y, y.y, z.y, w.y);
        if (stored) {
            @if(!SCALAR) {
                slopes[at / 4u] = found;
            }
            @if(SCALAR) {
                for (var j = 0u; j < min(columns, 4u); j += 1u) {
                    slopes[at + j] = found[j];
                }
            }
        }
    }
    @if(GELU && !SLOPE) {
        value = vec4f(gelu(value.x), gelu(value.y), gelu(value.z), gelu(value.w));
    }
    @if(GELU_GRADIENT) {
        value *= other;
    }
    if (stored) {
        @if(!SCALAR) {
            c[(c0 + at) / 4u] = value;
        }
        @if(SCALAR) {
            for (var j = 0u; j < min(columns, 4u); j += 1u) {
                c[c0 + at + j] = value[j];
            }
        }
    }
}

// Writes the sums of A over this part of k that belong to rows row .. row + 3 of C, those that are in it.
@if(SUMS)
fn finish_sums(sum: vec4f, part: u32, row: u32) {
    for (var j = 0u; j < min(params.m - min(row, params.m), 4u); j += 1u) {
        column_sums[part * params.m + row + j] = sum[j];
    }
}
