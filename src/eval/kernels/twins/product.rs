//! Matrix products.

use crate::ops::Form;

/// `C [m, n]` of two matrices in `form`.
pub fn product(form: Form, a: &[f64], b: &[f64], (m, n, k): (usize, usize, usize)) -> Vec<f64> {
    let at_a = |i: usize, l: usize| if form == Form::TN { a[l * m + i] } else { a[i * k + l] };
    let at_b = |l: usize, j: usize| if form == Form::NT { b[j * k + l] } else { b[l * n + j] };
    (0..m * n).map(|c| (0..k).map(|l| at_a(c / n, l) * at_b(l, c % n)).sum()).collect()
}

/// Shapes of both operands of [`product`].
pub fn product_shapes(form: Form, (m, n, k): (usize, usize, usize)) -> [[usize; 2]; 2] {
    match form {
        Form::NN => [[m, k], [k, n]],
        Form::NT => [[m, k], [n, k]],
        Form::TN => [[k, m], [k, n]],
    }
}
