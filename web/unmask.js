// Masked autoencoders on the GPU of a page, without the app. See README.md beside this file; types are in unmask.d.ts.

const files = new URL("./files/", import.meta.url);
/** Every channel of what transparent parts show. */
const GREY = 128;
const PANELS = ["visible", "reconstruction", "pasted", "original"];

/** What a browser without WebGPU raises. */
export class NoWebGpuError extends Error {
    constructor(message) {
        super(message);
        this.name = "NoWebGpuError";
    }
}

/** Why nothing works any more, once that is so. */
let failure;
/** What rejects each call that is under way. */
const calls = new Set();

/** Ends all calls: those that were under way when the engine stopped would never settle by themselves. */
function stop(cause) {
    failure ??= new Error(`Unmask stopped and needs the page to be loaded anew: ${cause?.message ?? cause}`, { cause });
    for (const reject of calls) reject(failure);
}

/** What the async function `work` gives, unless the engine stops. */
async function whileItRuns(work) {
    if (failure) throw failure;
    let reject;
    // One for each call: one for all would hold the results of all.
    const stopped = new Promise((_, rejected) => { reject = rejected; });
    calls.add(reject);
    try {
        return await Promise.race([work(), stopped]);
    } catch (error) {
        if (!(error instanceof WebAssembly.RuntimeError)) throw error;
        stop(error);
        throw failure;
    } finally {
        calls.delete(reject);
    }
}

// Memory that runs out ends the engine as a panic does, but calls no one.
globalThis.addEventListener?.("error", ({ error }) => {
    if (error instanceof WebAssembly.RuntimeError) stop(error);
});
globalThis.addEventListener?.("unhandledrejection", ({ reason }) => {
    if (reason instanceof WebAssembly.RuntimeError) stop(reason);
});

async function manifest() {
    const response = await fetch(new URL("manifest.json", files), { cache: "no-cache" });
    if (!response.ok) throw new Error(`manifest.json: ${response.status} ${response.statusText}`);
    return response.json();
}

/** A file of a repository on the hub; `undefined` where it has none such. */
async function fromHub(endpoint, repository, revision, file, signal) {
    const address = `${endpoint}/${repository}/resolve/${encodeURIComponent(revision)}/${file}`;
    const response = await fetch(address, { signal });
    if (response.ok) return response;
    // As `hub::listing` reads them, but that here a single file may be missing.
    const [status, code] = [response.status, response.headers.get("X-Error-Code")];
    if (code === "RevisionNotFound") {
        throw new Error(`${repository}: has no revision "${revision}"; expected a branch, tag or commit`);
    }
    if (code === "RepoNotFound" || (status === 401 && code !== "GatedRepo")) {
        throw new Error(`${repository}: ${endpoint} knows no such model, or it is private: check the name; of a private `
            + "model give the bytes of a file to loadWeights");
    }
    if (code === "GatedRepo" || status === 403) {
        throw new Error(`${repository}: the model is gated: ask for access at ${endpoint}/${repository}, download its `
            + "weights there, and give the bytes of the file to loadWeights");
    }
    if (status === 404) return undefined;
    throw new Error(`${repository}: ${file}: ${endpoint} answers with status ${status} ${response.statusText}`.trimEnd());
}

/** The bytes of a response; `add` is told of them as they come. */
async function bytesOf(response, add) {
    const count = new TransformStream({
        transform(chunk, controller) {
            add(chunk.byteLength);
            controller.enqueue(chunk);
        },
    });
    return new Uint8Array(await new Response(response.body.pipeThrough(count)).arrayBuffer());
}

/** Fetches `entry` of the manifest; `add` is told of bytes as they come. */
async function fetched({ file, bytes }, type, add) {
    const response = await fetch(new URL(file, files));
    if (!response.ok) throw new Error(`${file}: ${response.status} ${response.statusText}`);
    let got = 0;
    const count = new TransformStream({
        transform(chunk, controller) {
            got += chunk.byteLength;
            add(chunk.byteLength);
            controller.enqueue(chunk);
        },
        flush(controller) {
            if (got !== bytes) controller.error(new Error(`${file}: ${got} bytes came of ${bytes}`));
        },
    });
    return new Response(response.body.pipeThrough(count), { headers: { "Content-Type": type } });
}

let loading;

/** Loads the engine, once a page: of further calls the options do not count. */
export function load(options = {}) {
    loading ??= start(options).catch(error => {
        loading = undefined;
        throw error;
    });
    return loading;
}

async function start({ onProgress, onPanic }) {
    const wanted = await manifest();
    const total = wanted.wasm.bytes + wanted.assets.bytes;
    let loaded = 0;
    const add = bytes => onProgress?.((loaded += bytes), total);
    add(0);
    const [glue, module, assets] = await Promise.all([
        import(new URL(wanted.glue.file, files).href),
        fetched(wanted.wasm, "application/wasm", add).then(response => WebAssembly.compileStreaming(response)),
        fetched(wanted.assets, "application/octet-stream", add).then(response => response.arrayBuffer()),
    ]);
    await glue.default({ module_or_path: module });
    glue.init(text => {
        stop(text);
        if (onPanic) onPanic(text);
        else console.error(text);
    });
    glue.provideAssets(new Uint8Array(assets));
    return glue;
}

/** The files of a pack, see `web/tools.mjs`. */
function unpack(buffer) {
    const length = new DataView(buffer).getUint32(0, true);
    let at = 4 + length;
    return JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length))).map(([name, bytes]) => {
        const file = { name, bytes: new Uint8Array(buffer, at, bytes) };
        at += bytes;
        return file;
    });
}

/** Fails where one of `options` is a number that JSON does not have. */
function checkNumbers(options) {
    for (const [name, value] of Object.entries(options)) {
        if (typeof value === "number" && !Number.isFinite(value)) {
            throw new RangeError(`${name} ${value}: expected a finite number`);
        }
    }
}

/** What draws on an empty canvas of which the pixels will be read. */
function canvasOf(width, height) {
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    return context;
}

/** Anything that a canvas draws, as it is now, on mid grey as in the app: an ImageData, or a canvas. */
function copyOf(picture) {
    if (picture instanceof ImageData) {
        const data = picture.data.slice();
        for (let at = 0; at < data.length; at += 4) {
            const alpha = data[at + 3] / 255;
            for (let channel = at; channel < at + 3; channel++) data[channel] = GREY + (data[channel] - GREY) * alpha;
            data[at + 3] = 255;
        }
        return new ImageData(data, picture.width, picture.height);
    }
    const sides = [["videoWidth", "videoHeight"], ["naturalWidth", "naturalHeight"], ["displayWidth", "displayHeight"]];
    const [across, down] = sides.find(([across]) => across in picture) ?? ["width", "height"];
    // An SVG's are animated lengths.
    const [width, height] = [picture[across], picture[down]].map(side => side?.baseVal?.value ?? side);
    if (!(width > 0 && height > 0)) throw new Error(`a picture of ${width} x ${height} pixels: expected one that is there`);
    const context = canvasOf(width, height);
    context.fillStyle = `rgb(${GREY} ${GREY} ${GREY})`;
    context.fillRect(0, 0, width, height);
    context.drawImage(picture, 0, 0);
    return context.canvas;
}

/** `image` as a canvas of the given size. */
function scaled(image, width, height) {
    const context = canvasOf(width, height);
    context.drawImage(image, 0, 0, width, height);
    return context.canvas;
}

/** RGBA pixels of `copy`, its short side at most `limit`; by halves, as decode.js has it. */
function pixelsOf(copy, limit) {
    let { width, height } = copy;
    const scale = Math.min(1, limit / Math.min(width, height));
    if (scale === 1 && copy instanceof ImageData) return copy;
    const [w, h] = [width, height].map(side => Math.max(1, Math.round(side * scale)));
    let image = copy;
    if (copy instanceof ImageData) {
        const context = canvasOf(width, height);
        context.putImageData(copy, 0, 0);
        image = context.canvas;
    }
    while (Math.min(width, height) >= 2 * Math.min(w, h)) {
        [width, height] = [Math.max(w, Math.round(width / 2)), Math.max(h, Math.round(height / 2))];
        image = scaled(image, width, height);
    }
    if (width !== w || height !== h) image = scaled(image, w, h);
    return image.getContext("2d").getImageData(0, 0, w, h);
}

/** Columns `[from, from + side)` of a strip of RGBA pixels. */
function panel(strip, side, index) {
    const pixels = new Uint8ClampedArray(side * side * 4);
    const stride = side * PANELS.length * 4;
    for (let row = 0; row < side; row++) {
        const start = row * stride + index * side * 4;
        pixels.set(strip.subarray(start, start + side * 4), row * side * 4);
    }
    return pixels;
}

/** A device with a model on it. */
export class Session {
    #engine;
    #last = Promise.resolve();
    #closing = new AbortController();

    constructor(engine) {
        this.#engine = engine;
    }

    /** Loads the engine where that is not done yet, and opens a device. */
    static async open(options) {
        if (!navigator.gpu || !(await navigator.gpu.requestAdapter())) {
            throw new NoWebGpuError("this browser offers no WebGPU here");
        }
        const glue = await load(options);
        return new Session(await whileItRuns(async () => glue.Engine.open()));
    }

    /** Calls come to the device one after the other, in order, until the session is closed. */
    #queue(work) {
        const result = this.#last.then(() => {
            this.#closing.signal.throwIfAborted();
            return whileItRuns(() => work(this.#engine));
        });
        this.#last = result.catch(() => {});
        return result;
    }

    /** What aborts when `signal` does, or when the session is closed. */
    #ending(signal) {
        return AbortSignal.any([this.#closing.signal, ...(signal ? [signal] : [])]);
    }

    adapter() {
        return this.#queue(async engine => JSON.parse(engine.adapter()));
    }

    loadWeights(bytes, name = "weights") {
        const file = bytes === undefined ? undefined : new Uint8Array(bytes);
        return this.#queue(async engine => JSON.parse(await engine.loadWeights(name, file)));
    }

    loadFromHub(repository, options = {}) {
        return this.#queue(engine => this.#loadFromHub(engine, repository, options));
    }

    async #loadFromHub(engine, repository, options) {
        const { revision = "main", endpoint = "https://huggingface.co", onProgress, signal } = options;
        if (!/^\w[\w.-]*\/\w[\w.-]*$/.test(repository)) {
            throw new Error(`${repository}: expected the name of a repository, OWNER/NAME`);
        }
        const ending = this.#ending(signal);
        const ask = file => fromHub(endpoint, repository, revision, file, ending);
        const text = async file => (await ask(file))?.text();
        try {
            const [config, preprocessor] = [await text("config.json"), await text("preprocessor_config.json")];
            for (const file of ["model.safetensors", "pytorch_model.bin"]) {
                const response = await ask(file);
                if (!response) continue;
                const total = Number(response.headers.get("Content-Length")) || undefined;
                let loaded = 0;
                const bytes = await bytesOf(response, count => onProgress?.(loaded += count, total));
                return JSON.parse(await engine.loadWeights(`${repository}/${file}`, bytes, config, preprocessor));
            }
        } catch (error) {
            // Browsers differ in what a transfer that was aborted fails with.
            ending.throwIfAborted();
            throw error;
        }
        throw new Error(`${repository}: there is no such repository, or it holds neither model.safetensors nor `
            + "pytorch_model.bin");
    }

    saveWeights() {
        return this.#queue(async engine => engine.saveWeights());
    }

    async reconstruct(picture, { ratio = 0.75, seed = 0, strategy } = {}) {
        checkNumbers({ ratio, seed });
        const copy = copyOf(picture);
        return this.#queue(async engine => {
            const { width, height, data } = pixelsOf(copy, engine.decodeLimit());
            const bytes = new Uint8Array(data.buffer);
            const built = await engine.reconstruct(width, height, bytes, ratio, seed, strategy);
            const { side, strip, mask, hiddenMse, hiddenPsnr } = built;
            built.free();
            const panels = Object.fromEntries(PANELS.map((name, index) => [name, panel(strip, side, index)]));
            return { width: side, height: side, pixels: panels.pasted, panels, mask, hiddenMse, hiddenPsnr };
        });
    }

    async train({ pictures = [], onProgress, signal, ...options } = {}) {
        checkNumbers(options);
        const settings = JSON.stringify(options);
        return this.#queue(async engine => {
            const ending = this.#ending(signal);
            ending.throwIfAborted();
            const names = pictures.map(({ name }) => name);
            const bytes = pictures.map(picture => new Uint8Array(picture.bytes));
            // What this throws ends training, and comes back as it is.
            const progress = (step, steps, loss) => {
                ending.throwIfAborted();
                return onProgress?.({ step, steps, loss });
            };
            return JSON.parse(await engine.train(settings, names, bytes, progress));
        });
    }

    selfTest({ kernels = false } = {}) {
        return this.#queue(async engine => {
            const { golden } = await manifest();
            const response = await fetched(golden, "application/octet-stream", () => {});
            const cases = [];
            for (const { name, bytes } of unpack(await response.arrayBuffer())) {
                this.#closing.signal.throwIfAborted();
                cases.push(JSON.parse(await engine.runCase(name, bytes)));
            }
            this.#closing.signal.throwIfAborted();
            const checks = kernels ? JSON.parse(await engine.checkKernels()) : [];
            return { pass: [...cases, ...checks].every(({ pass }) => pass), cases, kernels: checks };
        });
    }

    async close() {
        this.#closing.abort(new Error("the session is closed"));
        await this.#last;
        // An engine that stopped in the middle of a call takes no other.
        if (!failure) this.#engine?.close();
        this.#engine = undefined;
    }
}
