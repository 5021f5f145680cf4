//! Where the hidden patches are among all tokens: what only their loss needs is computed of no others.

use super::inputs::Holds::Words;
use super::inputs::take;
use crate::gpu::KernelKey;
use crate::graph::{Graph, GraphError, Launcher, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel.
    Params in "hidden_rows" { length: u32, across: u32, tokens: u32, visible: u32, hidden: u32 }
);

/// `ids_restore` u32 `[B, L]` to `rows`, `patches` and `one` `[B, H]` and `inverse` `[B, 1 + L]`, with `H = L - visible`.
///
/// `patches` u32 lists the hidden patches of each picture in shuffled order, `rows` u32 the same as tokens behind a class
/// token, `inverse` u32 tells where each token went in it, or `H` or more where it did not: all for
/// [`gather_rows`](super::gather_rows()). `one` f32 is 1 everywhere: the mask of what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HiddenRows {
    /// Patches that stay visible, 1 to under L.
    pub visible: usize,
}

/// What [`hidden_rows`] computes.
#[derive(Clone, Copy, Debug)]
pub struct HiddenRowsVars {
    /// Hidden tokens `[B, H]`, where the class token is the first.
    pub rows: Var,
    /// Hidden patches `[B, H]`.
    pub patches: Var,
    /// Where each token went `[B, 1 + L]`.
    pub inverse: Var,
    /// Ones `[B, H]`.
    pub one: Var,
}

impl Op for HiddenRows {
    fn name(&self) -> &'static str {
        "hidden_rows"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [restore] = take(inputs, [("ids_restore", Words)])?;
        let [b, l] = *restore.shape else {
            return Err(format!("expected ids_restore [B, L], got {:?}", restore.shape));
        };
        if !(1..l).contains(&self.visible) {
            return Err(format!(
                "cannot hide all but {} patches of {:?} {:?}",
                self.visible, restore.dtype, restore.shape
            ));
        }
        let hidden = [b, l - self.visible];
        let ids = TensorType::u32(&hidden);
        Ok(vec![ids.clone(), ids, TensorType::u32(&[b, 1 + l]), TensorType::f32(&hidden)])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let tokens = launcher.output_type(2).last();
        let length = launcher.output_type(2).len();
        let (workgroups, across) = launcher.spread(length, 64);
        let params = Params {
            length: length as u32,
            across,
            tokens: tokens as u32,
            visible: self.visible as u32,
            hidden: launcher.output_type(0).last() as u32,
        };
        let [rows, patches, inverse, one] = [0, 1, 2, 3].map(|index| launcher.output(index));
        let args = [launcher.input(0), rows, patches, inverse, one];
        launcher.call(KernelKey::new("hidden_rows"), &params, &args, workgroups)
    }
}

/// The hidden tokens by `ids_restore [B, L]`, of which `visible` patches stay; see [`HiddenRows`].
pub fn hidden_rows(graph: &mut Graph, ids_restore: Var, visible: usize) -> Result<HiddenRowsVars, GraphError> {
    let outputs = graph.add(HiddenRows { visible }, &[ids_restore])?;
    Ok(HiddenRowsVars { rows: outputs[0], patches: outputs[1], inverse: outputs[2], one: outputs[3] })
}
