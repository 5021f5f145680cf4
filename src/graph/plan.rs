//! A layout with memory, pipelines and bind groups: ready to run again and again.

use std::collections::{BTreeMap, HashMap};

use super::layout::{Layout, Place};
use super::{Graph, GraphError, Var};
use crate::gpu::{BufferSlice, DispatchList, Gpu, Work};

/// Memory for the external tensors of a graph, by name.
#[derive(Clone, Debug, Default)]
pub struct Externals(HashMap<String, BufferSlice>);

impl Externals {
    /// No memory yet.
    pub fn new() -> Self {
        Externals::default()
    }

    /// Gives `slice` to the tensor `name`.
    pub fn insert(&mut self, name: impl Into<String>, slice: BufferSlice) {
        self.0.insert(name.into(), slice);
    }

    /// Memory of the tensor `name`.
    pub fn get(&self, name: &str) -> Option<&BufferSlice> {
        self.0.get(name)
    }

    /// The same, where there has to be some.
    ///
    /// # Errors
    /// [`GraphError::Unbound`] where there is none.
    pub fn need(&self, name: &str) -> Result<&BufferSlice, GraphError> {
        self.get(name).ok_or_else(|| GraphError::Unbound(name.to_owned()))
    }

    /// New buffers for the external tensors of `graph` that have none.
    ///
    /// # Errors
    /// The device's, such as that it has no memory left.
    pub async fn allocate(&mut self, gpu: &Gpu, graph: &Graph) -> Result<(), GraphError> {
        let missing = graph.externals().filter(|(name, _)| !self.0.contains_key(*name));
        let missing: BTreeMap<String, u64> = missing.map(|(name, ty)| (name.to_owned(), ty.bytes())).collect();
        let buffers = gpu.buffers(missing.clone()).await?;
        self.0.extend(missing.into_keys().zip(buffers));
        Ok(())
    }
}

/// A graph ready to run on one device.
#[derive(Debug)]
pub struct Plan {
    list: DispatchList,
    places: HashMap<Var, BufferSlice>,
    slots: Vec<BufferSlice>,
}

impl Plan {
    /// Allocates the slots of `layout`, compiles its kernels and binds everything.
    ///
    /// # Errors
    /// [`GraphError::Unbound`] or [`GraphError::WrongSize`] for memory missing in `externals`, and the device's own.
    pub async fn new(
        gpu: &Gpu,
        graph: &Graph,
        layout: &Layout,
        roots: &[Var],
        externals: &Externals,
    ) -> Result<Plan, GraphError> {
        let labelled = layout.slots.iter().enumerate().map(|(index, bytes)| (format!("slot {index}"), *bytes));
        let slots = gpu.buffers(labelled).await?;
        let slice_of = |tensor: usize| -> Result<BufferSlice, GraphError> {
            let (ty, place) = &layout.tensors[tensor];
            match place {
                Place::Slot(slot, offset) => Ok(slots[*slot].part(*offset, ty.bytes())),
                Place::External(name) => {
                    let slice = externals.need(name)?;
                    if slice.bytes < ty.bytes() {
                        return Err(GraphError::WrongSize { name: name.clone(), got: slice.bytes, want: ty.bytes() });
                    }
                    Ok(slice.part(0, ty.bytes()))
                }
                Place::Nowhere => Err(GraphError::Unbound(format!("tensor {tensor} of shape {:?}", ty.shape))),
            }
        };
        gpu.compile(&layout.kernels()).await?;
        let mut list = DispatchList::default();
        for step in &layout.steps {
            let first = list.dispatches.len();
            for call in &step.calls {
                let buffers: Vec<(u32, BufferSlice)> = call
                    .args
                    .iter()
                    .map(|(binding, arg)| Ok((*binding, slice_of(arg.0)?)))
                    .collect::<Result<_, GraphError>>()?;
                list.push(gpu, step.op, &call.key, &call.params, &buffers, call.workgroups)?;
            }
            for (index, dispatch) in list.dispatches[first..].iter_mut().enumerate() {
                let flops = if index == 0 { step.work.flops } else { 0 };
                dispatch.work = Work { flops, ..step.work.clone() };
            }
        }
        gpu.check()?;
        let mut places = HashMap::new();
        for var in roots.iter().copied().chain(graph.stores.iter().map(|(var, _)| *var)) {
            places.insert(var, slice_of(var.0)?);
        }
        Ok(Plan { list, places, slots })
    }

    /// Lays out `graph` and makes it ready, allocating the external tensors that have no memory.
    ///
    /// # Errors
    /// Those of [`Layout::of`] and of [`Plan::new`].
    pub async fn build(gpu: &Gpu, graph: &Graph, roots: &[Var], externals: &mut Externals) -> Result<Plan, GraphError> {
        let layout = Layout::of(graph, roots, super::Caps::of(gpu))?;
        externals.allocate(gpu, graph).await?;
        Plan::new(gpu, graph, &layout, roots, externals).await
    }

    /// Submits one run.
    pub fn run(&self, gpu: &Gpu) {
        self.list.run(gpu);
    }

    /// The dispatches, for running in slices or measuring.
    pub fn list(&self) -> &DispatchList {
        &self.list
    }

    /// The shared buffers of activations and scratch.
    pub fn slots(&self) -> &[BufferSlice] {
        &self.slots
    }

    /// Memory of a root or stored tensor.
    pub fn slice(&self, var: Var) -> Option<&BufferSlice> {
        self.places.get(&var)
    }

    /// The same, of a variable that has to be one.
    ///
    /// # Errors
    /// [`GraphError::Unbound`] where it is none.
    pub fn need(&self, var: Var) -> Result<&BufferSlice, GraphError> {
        self.slice(var).ok_or_else(|| GraphError::Unbound(format!("result {}", var.0)))
    }
}
