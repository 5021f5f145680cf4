// Rows and their sums: a workgroup a row, whose invocations take every STRIDE-th element and add up what they have in a
// tree in workgroup memory, so that the order is fixed. With DIRECT, for processors, an invocation a row, no barriers.

const WORKGROUP: u32 = 64u;
@if(!DIRECT) const STRIDE: u32 = WORKGROUP;
@if(DIRECT) const STRIDE: u32 = 1u;

@if(!DIRECT) var<workgroup> partial_sums: array<f32, WORKGROUP>;
@if(!DIRECT) var<workgroup> partial_pairs: array<vec2f, WORKGROUP>;

// The row of an invocation; rows run over workgroups in x and y, `groups` of them along x.
fn row_of(group: vec3u, groups: u32, thread: u32) -> u32 {
    let number = group.y * groups + group.x;
    @if(!DIRECT) {
        return number;
    }
    @if(DIRECT) {
        return number * WORKGROUP + thread;
    }
}

// The first element of its row that an invocation takes.
fn first_of(thread: u32) -> u32 {
    @if(!DIRECT) {
        return thread;
    }
    @if(DIRECT) {
        return 0u;
    }
}

// Sum of `value` over the invocations of a row, the same bits in each of them; all of a workgroup must call it.
fn row_sum(value: f32, thread: u32) -> f32 {
    @if(!DIRECT) {
        // The sum before may still be read.
        workgroupBarrier();
        partial_sums[thread] = value;
        for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
            workgroupBarrier();
            if (thread < half) {
                partial_sums[thread] += partial_sums[thread + half];
            }
        }
        workgroupBarrier();
        return partial_sums[0];
    }
    @if(DIRECT) {
        return value;
    }
}

// The same for two sums at once.
fn row_sums(values: vec2f, thread: u32) -> vec2f {
    @if(!DIRECT) {
        workgroupBarrier();
        partial_pairs[thread] = values;
        for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
            workgroupBarrier();
            if (thread < half) {
                partial_pairs[thread] += partial_pairs[thread + half];
            }
        }
        workgroupBarrier();
        return partial_pairs[0];
    }
    @if(DIRECT) {
        return values;
    }
}
