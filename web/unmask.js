// Masked autoencoders on the GPU of a page, without the app. See README.md beside this file; types are in unmask.d.ts.

const files = new URL("./files/", import.meta.url);
const PANELS = ["visible", "reconstruction", "pasted", "original"];

/** What a browser without WebGPU raises. */
export class NoWebGpuError extends Error {
    constructor(message) {
        super(message);
        this.name = "NoWebGpuError";
    }
}

async function manifest() {
    const response = await fetch(new URL("manifest.json", files), { cache: "no-cache" });
    if (!response.ok) throw new Error(`manifest.json: ${response.status} ${response.statusText}`);
    return response.json();
}

/** A file of a repository on the hub; `undefined` where it has none such. */
async function fromHub(endpoint, repository, revision, file) {
    const response = await fetch(`${endpoint}/${repository}/resolve/${encodeURIComponent(revision)}/${file}`);
    if (response.status === 404) return undefined;
    if (!response.ok) throw new Error(`${repository}: ${file}: ${response.status} ${response.statusText}`);
    return response;
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

/** Loads the engine, once a page. */
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
    glue.init(text => onPanic ? onPanic(text) : console.error(text));
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

/** RGBA pixels of anything that a canvas draws, as they are now. */
function pixelsOf(picture) {
    if (picture instanceof ImageData) {
        const { width, height, data } = picture;
        return { width, height, data: data.slice() };
    }
    const sides = [["videoWidth", "videoHeight"], ["naturalWidth", "naturalHeight"], ["displayWidth", "displayHeight"]];
    const [across, down] = sides.find(([across]) => across in picture) ?? ["width", "height"];
    // An SVG's are animated lengths.
    const [width, height] = [picture[across], picture[down]].map(side => side?.baseVal?.value ?? side);
    if (!(width > 0 && height > 0)) throw new Error(`a picture of ${width} x ${height} pixels: expected one that is there`);
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    // Transparent parts show mid grey, as they do in the app.
    context.fillStyle = "rgb(128 128 128)";
    context.fillRect(0, 0, width, height);
    context.drawImage(picture, 0, 0);
    return context.getImageData(0, 0, width, height);
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

    constructor(engine) {
        this.#engine = engine;
    }

    /** Loads the engine where that is not done yet, and opens a device. */
    static async open(options) {
        if (!navigator.gpu || !(await navigator.gpu.requestAdapter())) {
            throw new NoWebGpuError("this browser offers no WebGPU here");
        }
        const glue = await load(options);
        return new Session(await glue.Engine.open());
    }

    /** Calls come to the device one after the other, in order. */
    #queue(work) {
        const result = this.#last.then(() => {
            if (!this.#engine) throw new Error("the session is closed");
            return work(this.#engine);
        });
        this.#last = result.catch(() => {});
        return result;
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

    async #loadFromHub(engine, repository, { revision = "main", endpoint = "https://huggingface.co", onProgress }) {
        if (!/^\w[\w.-]*\/\w[\w.-]*$/.test(repository)) {
            throw new Error(`${repository}: expected the name of a repository, OWNER/NAME`);
        }
        const text = async file => (await fromHub(endpoint, repository, revision, file))?.text();
        const [config, preprocessor] = [await text("config.json"), await text("preprocessor_config.json")];
        for (const file of ["model.safetensors", "pytorch_model.bin"]) {
            const response = await fromHub(endpoint, repository, revision, file);
            if (!response) continue;
            const total = Number(response.headers.get("Content-Length")) || undefined;
            let loaded = 0;
            const bytes = await bytesOf(response, count => onProgress?.(loaded += count, total));
            return JSON.parse(await engine.loadWeights(`${repository}/${file}`, bytes, config, preprocessor));
        }
        throw new Error(`${repository}: there is no such repository, or it holds neither model.safetensors nor `
            + "pytorch_model.bin");
    }

    saveWeights() {
        return this.#queue(async engine => engine.saveWeights());
    }

    async reconstruct(picture, { ratio = 0.75, seed = 0, strategy } = {}) {
        const { width, height, data } = pixelsOf(picture);
        return this.#queue(async engine => {
            const bytes = new Uint8Array(data.buffer);
            const built = await engine.reconstruct(width, height, bytes, ratio, seed, strategy);
            const { side, strip, mask, hiddenMse, hiddenPsnr } = built;
            built.free();
            const panels = Object.fromEntries(PANELS.map((name, index) => [name, panel(strip, side, index)]));
            return { width: side, height: side, pixels: panels.pasted, panels, mask, hiddenMse, hiddenPsnr };
        });
    }

    train({ pictures = [], onProgress, ...options } = {}) {
        return this.#queue(async engine => {
            const names = pictures.map(({ name }) => name);
            const bytes = pictures.map(picture => new Uint8Array(picture.bytes));
            const progress = (step, steps, loss) => onProgress?.({ step, steps, loss });
            return JSON.parse(await engine.train(JSON.stringify(options), names, bytes, progress));
        });
    }

    selfTest({ kernels = false } = {}) {
        return this.#queue(async engine => {
            const { golden } = await manifest();
            const response = await fetched(golden, "application/octet-stream", () => {});
            const cases = [];
            for (const { name, bytes } of unpack(await response.arrayBuffer())) {
                cases.push(JSON.parse(await engine.runCase(name, bytes)));
            }
            const checks = kernels ? JSON.parse(await engine.checkKernels()) : [];
            return { pass: [...cases, ...checks].every(({ pass }) => pass), cases, kernels: checks };
        });
    }

    async close() {
        await this.#last;
        this.#engine?.close();
        this.#engine = undefined;
    }
}
