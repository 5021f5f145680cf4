// The matrices of an adapter's matrix units: operands of 16-bit floats and sums in f32, of 16 x 16 with SIDE_16, else of
// 8 x 8.

@if(SIDE_16) const SIDE: u32 = 16u;
@if(!SIDE_16) const SIDE: u32 = 8u;
@if(SIDE_16) alias Left = coop_mat16x16<f16, A>;
@if(SIDE_16) alias Right = coop_mat16x16<f16, B>;
@if(SIDE_16) alias Sum = coop_mat16x16<f32, C>;
@if(!SIDE_16) alias Left = coop_mat8x8<f16, A>;
@if(!SIDE_16) alias Right = coop_mat8x8<f16, B>;
@if(!SIDE_16) alias Sum = coop_mat8x8<f32, C>;
