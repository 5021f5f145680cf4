// What kernels read and write at a time: four numbers, or with SCALAR, for rows that are no multiple of four, one.
// Zero is `Vector(0.0)`: of `Vector()` beside `vec4f()` naga makes HLSL that defines one function twice.

@if(!SCALAR) alias Vector = vec4f;
@if(SCALAR) alias Vector = f32;

// Numbers in a vector.
@if(!SCALAR) const NUMBERS: u32 = 4u;
@if(SCALAR) const NUMBERS: u32 = 1u;

// The sum of the numbers of a vector.
fn total(v: Vector) -> f32 {
    @if(!SCALAR) {
        return (v.x + v.y) + (v.z + v.w);
    }
    @if(SCALAR) {
        return v;
    }
}

// The first of the numbers of a vector.
fn first_number(v: Vector) -> f32 {
    @if(!SCALAR) {
        return v.x;
    }
    @if(SCALAR) {
        return v;
    }
}
