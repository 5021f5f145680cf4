/** Masked autoencoders on the GPU of a page, without the app. See README.md beside this file. */

/** What a browser without WebGPU raises. */
export class NoWebGpuError extends Error {}

/** What is told of loading. The engine is loaded once a page: only those of the first call that loads it count. */
export interface LoadOptions {
    /** Told of bytes as they come. */
    onProgress?: (loaded: number, total: number) => void;
    /** Told of a panic, after which nothing works: every call rejects until the page is loaded anew. */
    onPanic?: (text: string) => void;
}

export interface HubOptions {
    /** A branch, tag or commit; `main` unless told otherwise. */
    revision?: string;
    /** Address of the hub, without a slash at its end. */
    endpoint?: string;
    /** Told of bytes as they come; the total where the hub tells it. */
    onProgress?: (loaded: number, total?: number) => void;
    /** Ends fetching; the call rejects with its reason. */
    signal?: AbortSignal;
}

/** Loads wasm, weights and photographs, once a page. `Session.open` calls it by itself. */
export function load(options?: LoadOptions): Promise<unknown>;

export interface Adapter {
    name: string;
    backend: string;
    kind: string;
    driver: string;
}

/** The shape of a model, as its configuration has it, and what was assumed of it. */
export interface Model {
    image_size: number;
    patch_size: number;
    width: number;
    depth: number;
    heads: number;
    mask_ratio: number;
    norm_pix_loss: boolean;
    /** What the weights did not tell and was assumed, for people; empty where they told all. */
    assumed: string[];
    [key: string]: unknown;
}

export type Strategy = "random" | "block" | "grid";

export interface ReconstructOptions {
    /** Share of hidden patches, 0 to under 1; 0.75 if not given. */
    ratio?: number;
    /** The same seed hides the same patches on every machine; 0 if not given. */
    seed?: number;
    /** How hidden patches are chosen; as the model was trained if not given. */
    strategy?: Strategy;
}

export interface Reconstruction {
    /** Side of the model's pictures. */
    width: number;
    height: number;
    /** RGBA: predictions where hidden, the picture's own pixels where visible. The same as `panels.pasted`. */
    pixels: ImageData["data"];
    /** RGBA pixels of all four views. */
    panels: Record<"visible" | "reconstruction" | "pasted" | "original", ImageData["data"]>;
    /** A number a patch, row by row: 1 where hidden. */
    mask: Uint8Array;
    /** Mean square error over hidden patches, in normalised units. */
    hiddenMse: number;
    /** The same as PSNR in dB; undefined where nothing is hidden. */
    hiddenPsnr: number | undefined;
}

export interface TrainOptions {
    /** `micro`, `mini`, `tiny`, `small`, `base`, `large` or `huge`; `micro` if not given. */
    model?: string;
    /** Optimiser steps; 100 if not given. Warm-up is the preset's, but a tenth of them at most. */
    steps?: number;
    /** Pictures per step; as the preset has it if not given. */
    batch?: number;
    /** Base learning rate, scaled by batch / 256; as the preset has it if not given. */
    blr?: number;
    /** Share of hidden patches, more than 0 and less than 1; 0.75 if not given. */
    maskRatio?: number;
    /** Number formats: 32-bit floats, or 16-bit ones where these suffice, on devices with `shader-f16`; `f32` if not given. */
    precision?: "f32" | "mixed";
    /** Seed of initial weights, order, crops and masks; 0 if not given. */
    seed?: number;
    /** Milliseconds that training may keep the device busy at a time, 0 for no limit; 8 if not given. */
    sliceMs?: number;
    /** MiB of the device's memory for pictures; more are decoded anew each time they are used. 1024 if not given. */
    pixelBudget?: number;
    /** Pictures to train on, or archives of them, of which one in ten is left out; the built-in photographs if not given. */
    pictures?: { name: string; bytes: ArrayBuffer | Uint8Array }[];
    /**
     * Told of every step, of several at a time where steps are short. Training ends soon after it returns `false`, and
     * what was learnt is taken up. What it throws ends training too: the call rejects with it, and the session keeps the
     * model that it had.
     */
    onProgress?: (progress: { step: number; steps: number; loss: number }) => boolean | void;
    /** Ends training at the next step; the call rejects with its reason, and the session keeps the model that it had. */
    signal?: AbortSignal;
}

export interface CaseReport {
    case: string;
    adapter: string;
    pass: boolean;
    failures: string[];
    [key: string]: unknown;
}

export interface KernelReport {
    kernel: string;
    case: string;
    error: number;
    tolerance: number;
    pass: boolean;
}

export interface SelfTest {
    pass: boolean;
    cases: CaseReport[];
    kernels: KernelReport[];
}

/**
 * A device, with a model on it once `loadWeights`, `loadFromHub` or `train` put one there. Calls are taken one after the
 * other. Those that load a model free the former one as soon as the new weights are known to be whole.
 */
export class Session {
    private constructor(engine: unknown);
    /** Loads the engine where that is not done yet, and opens a device. Raises `NoWebGpuError` where there is none. */
    static open(options?: LoadOptions): Promise<Session>;
    /** What it runs on. */
    adapter(): Promise<Adapter>;
    /** Takes up the weights in a file (safetensors, or PyTorch's `.pth` or `.bin`), or the shipped ones. */
    loadWeights(bytes?: ArrayBuffer | Uint8Array, name?: string): Promise<Model>;
    /**
     * Takes up weights from the Hugging Face hub, such as `facebook/vit-mae-base`: `config.json` and `model.safetensors`
     * or `pytorch_model.bin` of a repository that is open to all.
     */
    loadFromHub(repository: string, options?: HubOptions): Promise<Model>;
    /** The weights as a safetensors file, for `unmask reconstruct --weights` among others. */
    saveWeights(): Promise<Uint8Array>;
    /**
     * Hides patches of the largest centred square of `picture`, as it is at the time of the call, and rebuilds them.
     * Transparent parts show mid grey. Pictures far larger than the model's are reduced first.
     */
    reconstruct(picture: CanvasImageSource | ImageData, options?: ReconstructOptions): Promise<Reconstruction>;
    /** Trains a new model and takes up its weights. */
    train(options?: TrainOptions): Promise<Model>;
    /** Golden cases from the reference, and with `kernels` every kernel against its twin on the processor. */
    selfTest(options?: { kernels?: boolean }): Promise<SelfTest>;
    /** Gives the device back. Training, fetching and self-tests under way are ended; they and calls that wait reject. */
    close(): Promise<void>;
}
