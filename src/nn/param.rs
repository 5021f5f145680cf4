//! What a model says of each parameter.

use super::Init;

/// A tensor of a checkpoint inside a parameter block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamPart {
    /// Name in checkpoints.
    pub name: String,
    /// Shape in checkpoints.
    pub shape: Vec<usize>,
    /// First element within the block.
    pub offset: usize,
}

impl ParamPart {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A parameter block as kernels see it: one tensor, made of one or more tensors of a checkpoint.
///
/// Queries, keys and values of an attention lie in one block so that one product computes all three.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    /// Name of the block, that of its only part unless it has several.
    pub name: String,
    /// Shape as kernels see it.
    pub shape: Vec<usize>,
    /// The tensors of a checkpoint in it, in order and without gaps.
    pub parts: Vec<ParamPart>,
    /// How it starts.
    pub init: Init,
    /// Whether it is trained; fixed tables are not.
    pub trained: bool,
    /// Whether weight decay applies: two or more dimensions in checkpoints and no bias, so tokens decay as well.
    pub decays: bool,
    /// Whether products read a copy of it in 16 bits.
    pub halved: bool,
}

impl ParamSpec {
    /// A block that is one tensor of shape `shape` in checkpoints and seen as `seen` by kernels.
    pub fn new(name: impl Into<String>, shape: &[usize], seen: &[usize], init: Init) -> Self {
        let name = name.into();
        let decays = shape.len() > 1 && !name.ends_with(".bias");
        let parts = vec![ParamPart { name: name.clone(), shape: shape.to_vec(), offset: 0 }];
        ParamSpec { name, shape: seen.to_vec(), parts, init, trained: true, decays, halved: false }
    }

    /// Of the tensors `names` stacked along the first axis, each of shape `shape`.
    pub fn stacked(name: impl Into<String>, names: &[String], shape: &[usize], init: Init) -> Self {
        let each: usize = shape.iter().product();
        let mut seen = shape.to_vec();
        seen[0] *= names.len();
        let part = |(index, part): (usize, &String)| ParamPart {
            name: part.clone(),
            shape: shape.to_vec(),
            offset: index * each,
        };
        ParamSpec { parts: names.iter().enumerate().map(part).collect(), ..ParamSpec::new(name, shape, &seen, init) }
    }

    /// Not trained.
    #[must_use]
    pub fn fixed(mut self) -> Self {
        self.trained = false;
        self
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Initial values.
    pub fn initial(&self, seed: u64) -> Vec<f32> {
        self.init.values(self.len(), seed, &self.name)
    }
}
