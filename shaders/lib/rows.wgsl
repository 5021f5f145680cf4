// Rows and their sums: LANES invocations a row, which take every LANES-th element and add up what they have in workgroup
// memory, all in the same order; several rows a workgroup. With DIRECT, for processors and for short rows, an
// invocation a row, no barriers.
// With COLUMN_SUMS, sums over the rows of a workgroup too.

@if(COLUMN_SUMS) import package::lib::vector::Vector;

@if(!DIRECT) const WORKGROUP: u32 = 128u;
@if(DIRECT) const WORKGROUP: u32 = 64u;
@if(!DIRECT) const LANES: u32 = 32u;
@if(DIRECT) const LANES: u32 = 1u;
// Fours and pairs of the invocations of a row.
@if(!DIRECT) const ROW_FOURS: u32 = 8u;
@if(!DIRECT) const ROW_PAIRS: u32 = 16u;

@if(!DIRECT) var<workgroup> partial_sums: array<f32, WORKGROUP>;
@if(!DIRECT) var<workgroup> partial_pairs: array<vec2f, WORKGROUP>;
@if(COLUMN_SUMS) var<workgroup> partial_columns: array<Vector, WORKGROUP>;

// The row of an invocation, which may lie past the last one; rows run over workgroups in x and y, `groups` of them
// along x.
fn row_of(group: vec3u, groups: u32, thread: u32) -> u32 {
    return (group.y * groups + group.x) * (WORKGROUP / LANES) + thread / LANES;
}

// The first element of its row that an invocation takes.
fn first_of(thread: u32) -> u32 {
    return thread % LANES;
}

// Sum of `value` over the invocations of a row, the same bits in each of them; all of a workgroup must call it.
fn row_sum(value: f32, thread: u32) -> f32 {
    @if(!DIRECT) {
        // The sum before may still be read.
        workgroupBarrier();
        partial_sums[thread] = value;
        workgroupBarrier();
        let first = thread / LANES * LANES;
        // Each adds up all of them: that takes one barrier, where a tree would take one a level.
        var sum = vec4f();
        for (var q = 0u; q < ROW_FOURS; q++) { // unrolled
            let at = first + 4u * q;
            sum += vec4f(partial_sums[at], partial_sums[at + 1u], partial_sums[at + 2u], partial_sums[at + 3u]);
        }
        return (sum.x + sum.y) + (sum.z + sum.w);
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
        workgroupBarrier();
        let first = thread / LANES * LANES;
        var sums = vec4f();
        for (var q = 0u; q < ROW_PAIRS; q++) { // unrolled
            sums += vec4f(partial_pairs[first + 2u * q], partial_pairs[first + 2u * q + 1u]);
        }
        return sums.xy + sums.zw;
    }
    @if(DIRECT) {
        return values;
    }
}

// The same over all invocations of a workgroup.
@if(!DIRECT)
fn workgroup_sums(values: vec2f, thread: u32) -> vec2f {
    let own = row_sums(values, thread);
    workgroupBarrier();
    partial_pairs[thread] = own;
    workgroupBarrier();
    var sums = vec2f();
    for (var row = 0u; row < WORKGROUP; row += LANES) {
        sums += partial_pairs[row];
    }
    return sums;
}

// The sum of `value` over the rows of a workgroup, in the invocations of its first row; all of it must call this.
@if(COLUMN_SUMS)
fn column_total(value: Vector, thread: u32) -> Vector {
    // The sum before may still be read.
    workgroupBarrier();
    partial_columns[thread] = value;
    workgroupBarrier();
    let lane = first_of(thread);
    var sum = partial_columns[lane];
    for (var row = LANES; row < WORKGROUP; row += LANES) {
        sum += partial_columns[row + lane];
    }
    return sum;
}
