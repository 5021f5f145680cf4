// Sums over rows: a workgroup takes COLUMNS vectors of every row of a strip, and its SHARES invocations of a column take
// turns at the rows, AHEAD of them at once, so that as many loads are under way; what they have is added up in workgroup
// memory, in order. With DIRECT, for processors and for very many columns, one invocation a column and no barriers. With
// FINISH the rows are few, sums of what went before, and a workgroup takes fewer columns, so that there are more of them.

import package::lib::vector::Vector;

@if(!DIRECT) const WORKGROUP: u32 = 256u;
@if(DIRECT) const WORKGROUP: u32 = 64u;
@if(!DIRECT && !FINISH) const COLUMNS: u32 = 16u;
@if(!DIRECT && FINISH) const COLUMNS: u32 = 4u;
@if(DIRECT) const COLUMNS: u32 = 64u;
@if(!DIRECT) const AHEAD: u32 = 4u;
@if(DIRECT) const AHEAD: u32 = 1u;
const SHARES: u32 = WORKGROUP / COLUMNS;

@if(!DIRECT) var<workgroup> shares: array<Vector, WORKGROUP>;

// The sum of `value` over the invocations of a column, in the first of them; all of a workgroup must call it.
fn shares_sum(value: Vector, thread: u32) -> Vector {
    @if(!DIRECT) {
        // The sum before may still be read.
        workgroupBarrier();
        shares[thread] = value;
        workgroupBarrier();
        var sum = value;
        if (thread < COLUMNS) {
            for (var share = 1u; share < SHARES; share += 1u) {
                sum += shares[share * COLUMNS + thread];
            }
        }
        return sum;
    }
    @if(DIRECT) {
        return value;
    }
}
