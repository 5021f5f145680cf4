// A Chromium with WebGPU on SwiftShader, on a screen that nobody sees: only a window shows a WebGPU canvas. What draws
// nothing does without a screen.
import { spawn } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";

const { chromium } = createRequire(new URL("../../web/package.json", import.meta.url))("playwright-core");

const QUIET = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"];
const WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
const CANVAS = ["--use-vulkan=swiftshader", "--enable-features=Vulkan,VulkanFromANGLE,DefaultANGLEVulkan",
    "--use-angle=swiftshader", "--ignore-gpu-blocklist"];
const NAMES = ["chromium", "chromium-browser", "google-chrome"];

function executable() {
    if (process.env.UNMASK_CHROMIUM) return process.env.UNMASK_CHROMIUM;
    const folders = (process.env.PATH ?? "").split(path.delimiter);
    const found = NAMES.flatMap(name => folders.map(folder => path.join(folder, name))).find(file => fs.existsSync(file));
    if (!found) throw new Error("no Chromium or Chrome on the PATH: name one in UNMASK_CHROMIUM");
    return found;
}

/** A screen of its own, `width` by `height` pixels, on a display number that was free. */
export async function screen([width, height] = [1400, 1000]) {
    const server = spawn("Xvfb", ["-displayfd", "1", "-screen", "0", `${width}x${height}x24`, "-nolisten", "tcp"],
        { stdio: ["ignore", "pipe", "ignore"] });
    const number = await new Promise((resolve, reject) => {
        server.on("error", reject);
        server.on("exit", code => reject(new Error(`Xvfb ended with ${code}`)));
        let text = "";
        server.stdout.on("data", data => {
            text += data;
            if (text.includes("\n")) resolve(text.trim());
        });
    });
    return { display: `:${number}`, close: () => server.kill() };
}

/** Starts a browser, with WebGPU or as it comes, with a window or headless; `close` ends all of it. */
export async function launch({
    webgpu = true, headless = false, args = [], viewport = { width: 1280, height: 800 },
} = {}) {
    const xvfb = headless ? { close() {} } : await screen();
    const drawing = webgpu ? [...WEBGPU, ...(headless ? [] : CANVAS)] : ["--disable-gpu"];
    const profile = fs.mkdtempSync(path.join(os.tmpdir(), "unmask-browser-"));
    try {
        const context = await chromium.launchPersistentContext(profile, {
            executablePath: executable(),
            headless,
            viewport,
            env: { ...process.env, ...(headless ? {} : { DISPLAY: xvfb.display }) },
            args: [...QUIET, ...drawing, ...args],
        });
        return {
            context,
            async close() {
                await context.close();
                xvfb.close();
                fs.rmSync(profile, { recursive: true, force: true });
            },
        };
    } catch (error) {
        xvfb.close();
        fs.rmSync(profile, { recursive: true, force: true });
        throw error;
    }
}
