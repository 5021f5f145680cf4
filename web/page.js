// Loads the app and starts it; says what is wrong where that fails. `unmask` in the console is its hook for scripts.
import { stayAwake } from "./awake.js";
import { startCamera } from "./camera.js";
import { droppedFolders, readFolders } from "./folders.js";
import { begin, isUnkept, keep, kept, leave } from "./storage.js";
import { load } from "./unmask.js";

const element = id => document.getElementById(id);
let page, glue;

/** Replaces the page by an explanation; the first one stays, as what follows are its consequences. */
function problem(title, text, { steps = [], details } = {}) {
    if (!element("problem").hidden) return;
    element("problem-title").textContent = title;
    element("problem-text").textContent = text;
    element("problem-steps").replaceChildren(...steps.map(step => {
        const item = document.createElement("li");
        // Addresses and settings to type stand between backticks.
        item.append(...step.split("`").map((part, index) => {
            if (index % 2 === 0) return part;
            const code = document.createElement("code");
            code.textContent = part;
            return code;
        }));
        return item;
    }));
    element("problem-details").textContent = details ?? "";
    element("problem-details").hidden = element("copy").hidden = !details;
    element("loading").hidden = true;
    element("app").hidden = true;
    element("problem").hidden = element("cover").hidden = false;
}

/** What to do about a browser without WebGPU. */
function advice(agent, platform) {
    const linux = /Linux/.test(agent) && !/Android/.test(agent);
    const [, firefox] = /Firefox\/(\d+)/.exec(agent) ?? [];
    const [, chromium] = /(?:Chrome|Edg)\/(\d+)/.exec(agent) ?? [];
    const edge = /Edg\//.test(agent);
    const safari = !chromium && !firefox && /Safari\//.test(agent);
    const elsewhere = "Chrome and Edge on Windows, macOS and Android offer WebGPU without any setting.";
    if (firefox) {
        const update = "Update Firefox: it offers WebGPU from version 141 on Windows and 145 on Macs with Apple silicon.";
        const flag = "Elsewhere open `about:config`, set `dom.webgpu.enabled` to true and restart Firefox.";
        return ["Firefox", [...(Number(firefox) < 145 ? [update] : []), flag, elsewhere]];
    }
    if (safari) {
        const flag = "Or, from Safari 18, turn it on: Settings, Advanced, “Show features for web developers”, then "
            + "Feature Flags, WebGPU. On an iPhone or iPad: Settings, Apps, Safari, Advanced, Feature Flags.";
        return ["Safari", ["Update to Safari 26 or newer, which comes with macOS, iOS and iPadOS 26.", flag]];
    }
    if (chromium) {
        const name = edge ? "Edge" : "Chrome or Chromium";
        const scheme = edge ? "edge" : "chrome";
        const steps = [];
        if (Number(chromium) < 121) steps.push(`Update ${name}: version 121 or newer is needed.`);
        if (linux) {
            steps.push(`Open \`${scheme}://flags/#enable-unsafe-webgpu\` and choose Enabled, do the same at `
                + `\`${scheme}://flags/#enable-vulkan\`, and restart the browser: on Linux it is off on many systems.`);
            steps.push("Install a Vulkan driver if there is none: `mesa-vulkan-drivers` on Debian and Ubuntu.");
        }
        steps.push("Turn on “Use graphics acceleration when available” in the settings, under System.");
        steps.push(`What the browser thinks of this computer's GPU stands at \`${scheme}://gpu\`.`);
        return [name, steps];
    }
    return ["This browser", [elsewhere, `What you use calls itself: ${platform || agent}`]];
}

async function findGpu() {
    if (!isSecureContext) {
        problem("This address is not secure", "Browsers offer WebGPU to pages over https or from this computer only.", {
            steps: [`Open \`${location.href.replace(/^http:/, "https:")}\` instead, if the server offers it.`],
        });
        return false;
    }
    let adapter = null;
    try {
        adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
    } catch {
        // Treated as none.
    }
    if (adapter) return true;
    const [name, steps] = advice(navigator.userAgent, navigator.userAgentData?.platform);
    const text = navigator.gpu
        ? `${name} knows WebGPU, but found no GPU to use it on. Unmask computes everything on the GPU and needs it.`
        : `${name} does not offer WebGPU here. Unmask computes everything on the GPU and needs it.`;
    problem("No WebGPU", text, { steps });
    return false;
}

function crashed(text) {
    const stack = new Error().stack ?? "";
    problem("Unmask stopped", "Something went wrong that it cannot recover from. Settings are kept; reload to go on.", {
        details: `${text}\n\n${navigator.userAgent}\n\n${stack}`,
    });
}

/** Files into the app, as if they had been dropped onto it. */
async function feed(files) {
    for (const file of files) page?.feed(file.name || "pasted.png", new Uint8Array(await file.arrayBuffer()));
}

/** Folders into the app, to train on. */
async function feedFolders(entries) {
    try {
        const { paths, contents } = await readFolders(entries, glue.chooseFiles, glue.mostGiven());
        page.give(paths, contents);
    } catch (error) {
        page.notice(error.message);
    }
}

async function start() {
    if (!(await findGpu())) return;
    const megabytes = bytes => (bytes / 1e6).toFixed(1);
    glue = await load({
        onProgress(loaded, total) {
            element("bar").value = loaded / total;
            element("status").textContent = loaded < total
                ? `Loading ${megabytes(loaded)} of ${megabytes(total)} MB`
                : "Starting…";
        },
        onPanic: crashed,
    });
    element("status").textContent = "Starting…";
    element("app").hidden = false;
    globalThis.unmaskAwake = stayAwake;
    globalThis.unmaskRunBegan = begin;
    globalThis.unmaskLeaveKept = leave;
    globalThis.unmaskKeep = bytes => keep(bytes, error => {
        page?.notice(`the run is not kept: the browser's storage takes none of its ${megabytes(bytes.length)} MB `
            + `(${error?.message ?? error}). Save… under Train puts it into a file`);
    });
    page = await glue.Page.start(element("app"), error => {
        const training = isUnkept() ? "The run in training was not kept." : "What was in training is kept.";
        problem("The GPU is gone", `The device was lost and did not come back. ${training} Reload to try again.`, {
            details: String(error?.message ?? error),
        });
    });
    element("cover").hidden = true;
    element("app").focus();
    globalThis.unmaskCamera = startCamera(page);
    // It may be large: the app is there first.
    const run = await kept();
    if (run) page.takeKept(run);
}

addEventListener("paste", event => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) feed(files);
}, true);
addEventListener("drop", event => {
    const entries = page && droppedFolders(event);
    if (!entries) return;
    // The canvas would take a folder for a file; it still has to learn that nothing hovers over it any more.
    event.preventDefault();
    event.stopPropagation();
    element("app").dispatchEvent(new DragEvent("dragleave"));
    feedFolders(entries);
}, true);
// Dropped beside the canvas, a file would replace the page.
for (const name of ["dragover", "drop"]) addEventListener(name, event => event.preventDefault());
addEventListener("beforeunload", event => {
    const now = isUnkept() ? JSON.parse(page?.state() ?? "null") : null;
    // The browser asks whether to leave. A run that left nothing behind cannot be lost.
    if (now && (now.phase !== "idle" || now.savable)) event.preventDefault();
});
addEventListener("error", event => {
    if (event.error instanceof WebAssembly.RuntimeError) crashed(String(event.error));
});
addEventListener("unhandledrejection", event => {
    if (event.reason instanceof WebAssembly.RuntimeError) crashed(String(event.reason));
});
element("reload").addEventListener("click", () => location.reload());
element("copy").addEventListener("click", async () => {
    const details = element("problem-details");
    getSelection().selectAllChildren(details);
    await navigator.clipboard?.writeText(details.textContent).then(
        () => { element("copy").textContent = "Copied"; },
        // It is selected: the keyboard copies it.
        () => {},
    );
});

const started = start().catch(error => {
    problem("Unmask could not start", "Reload to try again.", {
        details: `${error?.message ?? error}\n\n${navigator.userAgent}\n\n${error?.stack ?? ""}`,
    });
});

globalThis.unmask = {
    /** Resolves once the app runs and has what was kept of a run, or says why it does not run. */
    started,
    /** What the app shows, or null before it runs. */
    state: () => JSON.parse(page?.state() ?? "null"),
    /** Takes in the bytes of a picture or of weights, as if the file had been dropped onto the page. */
    feed: (name, bytes) => page?.feed(name, new Uint8Array(bytes)),
    /** Gives the GPU device up, as a driver reset would. */
    loseDevice: () => page?.loseDevice(),
};
