//! Pictures cut into patches and put together again.

use super::inputs::Holds::Floats;
use super::inputs::take;
use crate::gpu::KernelKey;
use crate::graph::{Graph, GraphError, Launcher, Node, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel.
    Params in "patchify" { length: u32, across: u32, channels: u32, height: u32, width: u32, side: u32 }
);

/// In which order a patch's numbers lie. The reference code of He et al. (2021) uses both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PatchOrder {
    /// Rows, columns, channels (fastest): targets and predictions.
    RowColumnChannel,
    /// Channels, rows, columns (fastest): the weight of the patch embedding.
    ChannelRowColumn,
}

/// `image` f32 `[B, C, H, W]` to `[B, L, patch² C]`, patches in raster order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patchify {
    /// Side of a patch in pixels; divides H and W.
    pub patch: usize,
    /// Order within a patch.
    pub order: PatchOrder,
}

/// The inverse of [`Patchify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unpatchify {
    /// What is undone.
    pub patchify: Patchify,
    /// `[C, H, W]` of the pictures.
    pub shape: [usize; 3],
}

impl Patchify {
    /// Patches of a picture of `height` x `width`, or why there are none.
    fn patches(&self, height: usize, width: usize) -> Result<usize, String> {
        if self.patch > 0 && height.is_multiple_of(self.patch) && width.is_multiple_of(self.patch) {
            Ok((height / self.patch) * (width / self.patch))
        } else {
            Err(format!("patches of side {} do not tile pictures of {height} x {width}", self.patch))
        }
    }

    fn call(
        &self,
        launcher: &mut Launcher<'_>,
        [channels, height, width]: [usize; 3],
        back: bool,
    ) -> Result<(), GraphError> {
        let channels_first = self.order == PatchOrder::ChannelRowColumn;
        let scalar = !self.patch.is_multiple_of(4) || !(channels_first || channels == 3);
        // Numbers of an invocation.
        let at_once = match (scalar, channels_first) {
            (true, _) => 1,
            (false, true) => 4,
            (false, false) => 4 * channels,
        };
        let length = launcher.output_type(0).len() / at_once;
        let (workgroups, across) = launcher.spread(length, 256);
        let params = Params {
            length: length as u32,
            across,
            channels: channels as u32,
            height: height as u32,
            width: width as u32,
            side: self.patch as u32,
        };
        let key =
            KernelKey::new("patchify").when("BACK", back).when("CHANNELS_FIRST", channels_first).when("SCALAR", scalar);
        launcher.call(key, &params, &[launcher.input(0), launcher.output(0)], workgroups)
    }
}

impl Op for Patchify {
    fn name(&self) -> &'static str {
        "patchify"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [image] = take(inputs, [("image", Floats)])?;
        let [b, c, h, w] = *image.shape else { return Err(format!("expected [B, C, H, W], got {:?}", image.shape)) };
        let patches = self.patches(h, w)?;
        Ok(vec![TensorType { shape: vec![b, patches, self.patch * self.patch * c], dtype: image.dtype }])
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
        let x = &launcher.input_type(0).shape;
        let shape = [x[1], x[2], x[3]];
        self.call(launcher, shape, false)
    }
}

impl Op for Unpatchify {
    fn name(&self) -> &'static str {
        "patchify"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [patches] = take(inputs, [("patches", Floats)])?;
        let ([c, h, w], p) = (self.shape, self.patchify.patch);
        let wanted = [self.patchify.patches(h, w)?, p * p * c];
        if patches.shape.len() != 3 || patches.shape[1..] != wanted {
            return Err(format!("expected [B, {}, {}], got {:?}", wanted[0], wanted[1], patches.shape));
        }
        Ok(vec![TensorType { shape: vec![patches.shape[0], c, h, w], dtype: patches.dtype }])
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

/// `image` `[B, C, H, W]` to patches `[B, L, patch² C]`; see [`Patchify`].
pub fn patchify(graph: &mut Graph, image: Var, patch: usize, order: PatchOrder) -> Result<Var, GraphError> {
    graph.add1(Patchify { patch, order }, &[image])
}

/// Patches `[B, L, patch² C]` to pictures `[B, C, H, W]`, where `shape` is `[C, H, W]`; undoes [`patchify`].
pub fn unpatchify(
    graph: &mut Graph,
    patches: Var,
    patch: usize,
    order: PatchOrder,
    shape: [usize; 3],
) -> Result<Var, GraphError> {
    graph.add1(Unpatchify { patchify: Patchify { patch, order }, shape }, &[patches])
}
