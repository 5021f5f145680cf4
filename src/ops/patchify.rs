//! Pictures cut into patches and put together again.

use crate::gpu::KernelKey;
use crate::graph::{Graph, GraphError, Launcher, Node, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel.
    Params in "patchify" { length: u32, row: u32, channels: u32, height: u32, width: u32, side: u32 }
);

/// In which order a patch's numbers lie. The two are different on purpose: the reference has both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PatchOrder {
    /// Rows, columns, channels: targets and predictions.
    RowColumnChannel,
    /// Channels, rows, columns: the weight of the patch embedding.
    ChannelRowColumn,
}

/// `image [B, C, H, W]` to `[B, L, patch² C]`, patches in raster order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patchify {
    /// Side of a patch; divides both sides of the picture.
    pub patch: usize,
    /// Order within a patch.
    pub order: PatchOrder,
}

/// The inverse of [`Patchify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unpatchify {
    /// Patch and order.
    pub patchify: Patchify,
    /// `[C, H, W]` of the picture.
    pub shape: [usize; 3],
}

impl Patchify {
    fn call(
        &self,
        launcher: &mut Launcher<'_>,
        [channels, height, width]: [usize; 3],
        back: bool,
    ) -> Result<(), GraphError> {
        let length = launcher.output_type(0).len();
        let (workgroups, row) = launcher.spread(length, 64);
        let params = Params {
            length: length as u32,
            row,
            channels: channels as u32,
            height: height as u32,
            width: width as u32,
            side: self.patch as u32,
        };
        let key = KernelKey::new("patchify")
            .when("CHANNELS_FIRST", self.order == PatchOrder::ChannelRowColumn)
            .when("BACK", back);
        launcher.call(key, &params, &[launcher.input(0), launcher.output(0)], workgroups)
    }
}

impl Op for Patchify {
    fn name(&self) -> &'static str {
        "patchify"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        match *inputs[0].shape.as_slice() {
            [b, c, h, w] if self.patch > 0 && h % self.patch == 0 && w % self.patch == 0 => {
                let patches = (h / self.patch) * (w / self.patch);
                Ok(vec![TensorType::f32(&[b, patches, self.patch * self.patch * c])])
            }
            _ => {
                Err(format!("expected [B, C, H, W] with sides divisible by {}, got {:?}", self.patch, inputs[0].shape))
            }
        }
    }

    fn gradient(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Var>],
        _wants: &[bool],
    ) -> Result<Vec<Option<Var>>, GraphError> {
        let Some(dy) = grads[0] else { return Ok(vec![None]) };
        let x = graph.shape(node.inputs[0]);
        let shape = [x[1], x[2], x[3]];
        Ok(vec![Some(graph.add1(Unpatchify { patchify: *self, shape }, &[dy])?)])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let x = launcher.input_type(0).shape.clone();
        self.call(launcher, [x[1], x[2], x[3]], false)
    }
}

impl Op for Unpatchify {
    fn name(&self) -> &'static str {
        "patchify"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [c, h, w] = self.shape;
        let p = self.patchify.patch;
        match *inputs[0].shape.as_slice() {
            [b, l, size] if p > 0 && h % p == 0 && w % p == 0 && l == (h / p) * (w / p) && size == p * p * c => {
                Ok(vec![TensorType::f32(&[b, c, h, w])])
            }
            _ => Err(format!("patches {:?} of side {p} do not make pictures {:?}", inputs[0].shape, self.shape)),
        }
    }

    fn gradient(
        &self,
        graph: &mut Graph,
        _node: &Node,
        grads: &[Option<Var>],
        _wants: &[bool],
    ) -> Result<Vec<Option<Var>>, GraphError> {
        let Some(dy) = grads[0] else { return Ok(vec![None]) };
        Ok(vec![Some(graph.add1(self.patchify, &[dy])?)])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        self.patchify.call(launcher, self.shape, true)
    }
}

/// `image [B, C, H, W]` to patches `[B, L, patch² C]`.
pub fn patchify(graph: &mut Graph, image: Var, patch: usize, order: PatchOrder) -> Result<Var, GraphError> {
    graph.add1(Patchify { patch, order }, &[image])
}

/// Patches `[B, L, patch² C]` to pictures `[B, C, H, W]` of `shape` `[C, H, W]`.
pub fn unpatchify(
    graph: &mut Graph,
    patches: Var,
    patch: usize,
    order: PatchOrder,
    shape: [usize; 3],
) -> Result<Var, GraphError> {
    graph.add1(Unpatchify { patchify: Patchify { patch, order }, shape }, &[patches])
}
