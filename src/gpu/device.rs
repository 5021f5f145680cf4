//! The device and what it can do.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::adapter::{self, AdapterRequest, AdapterSummary};
use super::compile::Compiling;
use super::kernel::{Kernel, KernelKey};
use super::matrix_units::MatrixUnits;
use super::registers;
use super::submit::Gate;
use super::{BufferSlice, GpuError};
use crate::platform;

/// How to open a device.
#[derive(Clone, Debug)]
pub struct GpuOptions {
    /// Which adapter.
    pub adapter: AdapterRequest,
    /// Compile kernels with the driver's bound checks and loop guards.
    ///
    /// Kernels stay inside their bounds by themselves; tests run them checked, release builds trust them.
    pub checked: bool,
    /// Whether to choose kernels as for a processor; `None` goes by the adapter's kind. Tests run both on either.
    pub processor: Option<bool>,
    /// Whether to choose kernels as for few registers; `None` goes by who made the adapter.
    pub few_registers: Option<bool>,
}

impl Default for GpuOptions {
    fn default() -> Self {
        let (adapter, checked) = (AdapterRequest::default(), cfg!(debug_assertions));
        GpuOptions { adapter, checked, processor: None, few_registers: None }
    }
}

/// How long a device that was just lost may take to come back, and how often it is asked for.
const COME_BACK: [f64; 5] = [0.0, 0.2, 1.0, 3.0, 6.0];

/// Why a device is gone, and who wants to know that it is.
#[derive(Default)]
struct Loss {
    reason: OnceLock<String>,
    wakes: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
}

impl Loss {
    /// The device is gone; the first reason stays.
    fn tell(&self, reason: String) {
        self.reason.get_or_init(|| reason);
        // Taken out: nobody is woken twice, and nothing is locked while they run.
        let wakes = std::mem::take(&mut *self.wakes.lock().unwrap_or_else(PoisonError::into_inner));
        wakes.iter().for_each(|wake| wake());
    }
}

/// A device with its queue, limits and compiled kernels.
pub struct Gpu {
    instance: wgpu::Instance,
    adapter: wgpu::Adapter,
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: wgpu::AdapterInfo,
    limits: wgpu::Limits,
    features: wgpu::Features,
    checked: bool,
    processor: bool,
    few_registers: bool,
    maker: String,
    pub(super) matrix_candidates: Vec<MatrixUnits>,
    pub(super) trusted_matrices: OnceLock<Option<MatrixUnits>>,
    kernels: Mutex<HashMap<KernelKey, Arc<Kernel>>>,
    options: GpuOptions,
    trouble: Arc<Mutex<Option<GpuError>>>,
    loss: Arc<Loss>,
    pub(super) gate: Arc<Gate>,
    pub(super) compiling: Arc<Compiling>,
    dispatched: AtomicUsize,
    /// The submission made last.
    pub(super) last: Mutex<Option<wgpu::SubmissionIndex>>,
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gpu").field("adapter", &self.info.name).finish_non_exhaustive()
    }
}

async fn request(
    adapter: &wgpu::Adapter,
    features: wgpu::Features,
    limits: &wgpu::Limits,
    matrix_units: bool,
) -> Result<(wgpu::Device, wgpu::Queue), wgpu::RequestDeviceError> {
    let experimental = if matrix_units {
        // SAFETY: of what is experimental only matrix units are used, in kernels of their own that every start of the
        // program compares with the plain ones before it uses them.
        unsafe { wgpu::ExperimentalFeatures::enabled() }
    } else {
        wgpu::ExperimentalFeatures::disabled()
    };
    let matrices = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
    adapter
        .request_device(&wgpu::DeviceDescriptor {
            label: Some("unmask"),
            required_features: if matrix_units { features | matrices } else { features },
            required_limits: limits.clone(),
            experimental_features: experimental,
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        })
        .await
}

impl Gpu {
    /// Opens the wanted adapter with every limit it offers.
    ///
    /// # Errors
    /// [`GpuError::NoAdapter`] or [`GpuError::NoDevice`].
    pub async fn open(options: &GpuOptions) -> Result<Arc<Gpu>, GpuError> {
        let instance = adapter::instance();
        let adapter = adapter::find(&instance, &options.adapter).await?;
        let mut info = adapter.get_info();
        if info.name.is_empty() {
            // Many browsers keep it to themselves.
            info.name = "the browser's GPU".to_owned();
        }
        let wanted = wgpu::Features::TIMESTAMP_QUERY
            | wgpu::Features::TIMESTAMP_QUERY_INSIDE_ENCODERS
            | wgpu::Features::SHADER_F16
            | wgpu::Features::SUBGROUP
            | wgpu::Features::SUBGROUP_BARRIER;
        let features = adapter.features() & wanted;
        let mut matrix_candidates = MatrixUnits::of(&adapter);
        let processor = options.processor.unwrap_or(info.device_type == wgpu::DeviceType::Cpu);
        let told = platform::gpu_maker().await;
        let few_registers = options.few_registers.unwrap_or_else(|| registers::are_few(&info, told.as_deref()));
        let maker = told.unwrap_or_else(|| format!("{:04x}", info.vendor));
        let limits = adapter.limits();
        let mut opened = request(&adapter, features, &limits, !matrix_candidates.is_empty()).await;
        if let (Err(error), false) = (&opened, matrix_candidates.is_empty()) {
            log::warn!("{}: no device with matrix units, so these are not used: {error}", info.name);
            matrix_candidates.clear();
            opened = request(&adapter, features, &limits, false).await;
        }
        let (device, queue) =
            opened.map_err(|error| GpuError::NoDevice { adapter: info.name.clone(), reason: error.to_string() })?;
        let trouble = Arc::new(Mutex::new(None));
        let slot = trouble.clone();
        let gate = Arc::new(Gate::default());
        let surfaces = gate.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            let text = error.to_string();
            if surfaces.takes(&text) {
                return;
            }
            log::error!("{text}");
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            slot.get_or_insert(GpuError::Device(text));
        }));
        let loss = Arc::<Loss>::default();
        let slot = loss.clone();
        device.set_device_lost_callback(move |reason, message| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                slot.tell(message);
            }
        });
        Ok(Arc::new(Gpu {
            instance,
            adapter,
            device,
            queue,
            info,
            limits,
            features,
            checked: options.checked,
            processor,
            few_registers,
            maker,
            matrix_candidates,
            trusted_matrices: OnceLock::new(),
            kernels: Mutex::default(),
            options: options.clone(),
            trouble,
            loss,
            gate,
            compiling: Arc::default(),
            dispatched: AtomicUsize::new(0),
            last: Mutex::default(),
        }))
    }

    /// The wgpu instance, for whoever draws on the same device.
    pub fn instance(&self) -> &wgpu::Instance {
        &self.instance
    }

    /// The wgpu adapter.
    pub fn adapter(&self) -> &wgpu::Adapter {
        &self.adapter
    }

    /// The wgpu device.
    pub fn device(&self) -> &wgpu::Device {
        &self.device
    }

    /// The wgpu queue.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.queue
    }

    /// The adapter's name.
    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// The adapter as users see it.
    pub fn summary(&self) -> AdapterSummary {
        AdapterSummary::of(&self.info)
    }

    /// Limits of the device, all that the adapter offers.
    pub fn limits(&self) -> &wgpu::Limits {
        &self.limits
    }

    /// Features in use.
    pub fn features(&self) -> wgpu::Features {
        self.features
    }

    /// Whether kernels run on a processor instead of a GPU: such adapters want register tiles and no barriers.
    pub fn is_cpu(&self) -> bool {
        self.processor
    }

    /// Whether invocations have far fewer than 255 registers, or nobody knows.
    pub fn has_few_registers(&self) -> bool {
        self.few_registers
    }

    /// Who made the adapter: what a browser calls them, elsewhere their PCI number.
    pub fn maker(&self) -> &str {
        &self.maker
    }

    /// The subgroup size where subgroups can be used and have one size only.
    pub fn subgroup_size(&self) -> Option<u32> {
        let fixed = self.info.subgroup_min_size == self.info.subgroup_max_size;
        (self.features.contains(wgpu::Features::SUBGROUP) && fixed).then_some(self.info.subgroup_min_size)
    }

    /// Most bytes that one binding may span: shaders count elements in 32 bits, and Metal tells no limit of its own.
    pub fn max_binding(&self) -> u64 {
        let limits = &self.limits;
        limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(i32::MAX as u64)
    }

    /// Whether kernels are compiled with checks of bounds.
    pub fn checks_bounds(&self) -> bool {
        self.checked
    }

    /// Why the device is gone for good, if it is.
    pub fn lost(&self) -> Option<&str> {
        self.loss.reason.get().map(String::as_str)
    }

    /// Calls `wake` once the device is gone, from whatever thread finds out.
    pub fn on_lost(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.loss.wakes.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(wake));
    }

    /// Gives the device up, as a driver reset would: to try how the program takes it.
    pub fn lose(&self) {
        self.loss.tell("it was given up to try what happens".to_owned());
        self.device.destroy();
    }

    /// Takes note that the device is gone, for `reason`, unless that is known.
    pub(super) fn give_up(&self, reason: String) {
        self.loss.tell(reason);
    }

    /// Another device of this one's adapter, which was lost: drivers take their time to come back. Where the adapter does
    /// not, one of another adapter, and a word in the log.
    ///
    /// # Errors
    /// Those of [`Gpu::open`], of the last attempt.
    pub async fn reopen(&self) -> Result<Arc<Gpu>, GpuError> {
        let mut result = Err(GpuError::Lost("it did not come back".to_owned()));
        for seconds in COME_BACK {
            platform::sleep(seconds).await;
            result = Gpu::open(&self.options).await;
            if result.as_ref().is_ok_and(|gpu| adapter::is_same(&gpu.info, &self.info)) {
                return result;
            }
        }
        if let Ok(gpu) = &result {
            log::warn!("\"{}\" did not come back: \"{}\" goes on, and not to the bit", self.name(), gpu.name());
        }
        result
    }

    /// Fails if the device was lost, or raised an error since the last call: whoever shares it is told what nobody watches,
    /// see [`Gpu::watched`].
    ///
    /// # Errors
    /// [`GpuError::Lost`] or [`GpuError::Device`].
    pub fn check(&self) -> Result<(), GpuError> {
        if let Some(reason) = self.lost() {
            return Err(GpuError::Lost(reason.to_owned()));
        }
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }

    /// `error`, or the loss of the device that is behind it.
    pub(super) fn failed(&self, error: GpuError) -> GpuError {
        self.lost().map_or(error, |reason| GpuError::Lost(reason.to_owned()))
    }

    /// The compiled kernel of `key`, compiled on first use.
    pub fn kernel(&self, key: &KernelKey) -> Result<Arc<Kernel>, GpuError> {
        if let Some(kernel) = self.kernels.lock().unwrap_or_else(PoisonError::into_inner).get(key) {
            return Ok(kernel.clone());
        }
        // Not locked meanwhile: others compile other kernels.
        let kernel = Arc::new(Kernel::compile(&self.device, key, self.checked)?);
        let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(kernels.entry(key.clone()).or_insert(kernel).clone())
    }

    /// Whether the kernel of `key` is ready.
    pub(super) fn is_compiled(&self, key: &KernelKey) -> bool {
        self.kernels.lock().unwrap_or_else(PoisonError::into_inner).contains_key(key)
    }

    pub(super) fn count_dispatches(&self, count: usize) {
        self.dispatched.fetch_add(count, Ordering::Relaxed);
    }

    /// Dispatches of lists that were submitted so far; wraps around.
    pub(super) fn dispatched(&self) -> usize {
        self.dispatched.load(Ordering::Relaxed)
    }

    /// Takes back a kernel that turned out not to be one.
    pub(super) fn forget(&self, key: &KernelKey) {
        self.kernels.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// A new storage buffer of `bytes`, checked against the limits and against running out of memory.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] or [`GpuError::OutOfMemory`].
    pub async fn buffer(&self, label: &str, bytes: u64) -> Result<BufferSlice, GpuError> {
        self.ask_buffer(label.to_owned(), bytes).await
    }

    /// Several, by label and bytes. All are asked for before the first is waited for: in a browser every answer takes a
    /// way to another process and back, behind all that is drawn meanwhile.
    ///
    /// # Errors
    /// As for one.
    pub async fn buffers(&self, wanted: impl IntoIterator<Item = (String, u64)>) -> Result<Vec<BufferSlice>, GpuError> {
        let asked: Vec<_> = wanted.into_iter().map(|(label, bytes)| self.ask_buffer(label, bytes)).collect();
        let mut buffers = Vec::with_capacity(asked.len());
        for buffer in asked {
            buffers.push(buffer.await?);
        }
        Ok(buffers)
    }

    /// Asks for a buffer at once; the future says whether there is one.
    fn ask_buffer(&self, label: String, bytes: u64) -> impl Future<Output = Result<BufferSlice, GpuError>> {
        let limit = self.max_binding();
        let asked = (bytes <= limit).then(|| {
            let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
            let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(&label),
                size: bytes.max(4).next_multiple_of(4),
                usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            // Owned at once: where another one of several is refused, this one's memory is given back.
            (BufferSlice::whole(buffer), scope.pop())
        });
        async move {
            let adapter = || self.info.name.clone();
            match asked {
                None => Err(GpuError::TooLarge { label, bytes, adapter: adapter(), limit }),
                Some((buffer, refused)) => match refused.await {
                    Some(_) => Err(GpuError::OutOfMemory { label, bytes, adapter: adapter() }),
                    None => Ok(buffer),
                },
            }
        }
    }

    /// Waits until everything uploaded so far is copied, where the platform can; what goes wrong is told by the next
    /// [`Gpu::check`].
    pub fn flush(&self) {
        self.submit([]);
        if let Err(error) = self.poll(wgpu::PollType::wait_indefinitely()) {
            self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    }

    /// Lets finished work call its callbacks; waits for all submitted work where the platform can.
    pub fn wait(&self) -> Result<(), GpuError> {
        self.poll(wgpu::PollType::wait_indefinitely())?;
        self.check()
    }
}
