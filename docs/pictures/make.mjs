// Makes the README's pictures from real runs: ./dev pictures. Needs Xvfb, xdotool and ImageMagick beside the page's tools.
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { launch, screen } from "../../tests/web/browser.mjs";
import { serve } from "../../web/serve.mjs";
import { root } from "../../web/tools.mjs";

const [dist, program] = process.argv.slice(2).map(name => path.resolve(name));
const out = path.join(root, "docs/pictures");
const work = fs.mkdtempSync(path.join(os.tmpdir(), "unmask-pictures-"));
/** The window and the page, pixels. */
const SIZE = [1180, 760];
/** Held-out photographs that are shown. */
const PHOTOS = ["energy/cat_windmill12", "monument/ex_monuments_bentPyramid", "monument/cat_arcDeTriomphe",
    "planet/solar_system_jupiter", "monument/ex_monuments_chateaudeChenonceau", "animal/ex_world_animals_panda",
    "planet/solar_system_earth", "energy/cat_dam1", "monument/ex_monuments_brandenburgGate", "fish/cat_fish8"];
/** Pictures of a model in training, and seconds between them. */
const [FRAMES, EVERY] = [24, 10];

const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));
const magick = (...args) => execFileSync("convert", args.map(String), { stdio: "inherit" });

/** Held-out photographs as the shipped model rebuilds them. */
function strips() {
    const files = PHOTOS.map(name => path.join(root, "assets/photos", `${name}.jpg`));
    const folder = path.join(work, "strips");
    execFileSync(program, ["reconstruct", ...files, "--mask-ratio", "0.75", "--seed", "1", "--out", folder]);
    const strips = fs.readdirSync(folder).sort().map(name => path.join(folder, name));
    const column = part => ["(", ...part, "-bordercolor", "white", "-border", "4x4", "-append", ")"];
    const half = strips.length / 2;
    magick(...column(strips.slice(0, half)), ...column(strips.slice(half)), "+append", "-filter", "point", "-resize", "200%",
        "-strip", path.join(out, "held-out.png"));
}

/** Pictures `frames` one after the other; the last one stays. */
function animate(frames, delay, file) {
    magick("-delay", delay, ...frames.slice(0, -1), "-delay", 200, frames.at(-1), "-loop", 0, "-resize", "820x", "-quality",
        70, path.join(out, file));
}

/** The page: exploring, a mask ratio that falls, and a look inside. */
async function page() {
    const server = await serve(dist);
    const browser = await launch({ viewport: { width: SIZE[0], height: SIZE[1] } });
    try {
        const opened = await browser.context.newPage();
        const address = `http://localhost:${server.address().port}/`;
        const until = async done => {
            for (;;) {
                const state = await opened.evaluate(() => globalThis.unmask?.state());
                if (state && done(state)) return state;
                await pause(50);
            }
        };
        await opened.goto(`${address}?ratio=0.75&seed=1`);
        await until(({ visible }) => visible !== null);
        // Every photograph has its thumbnail by then.
        await pause(4000);
        await opened.goto(`${address}?ratio=0.95&seed=1`);
        await until(({ visible }) => visible === 3);
        await pause(4000);
        const frames = [];
        for (let ratio = 95; ratio >= 5; ratio -= 5) {
            if (ratio < 95) await opened.keyboard.press("ArrowDown");
            await until(({ visible }) => visible === Math.max(1, Math.floor(64 * (1 - ratio / 100) + 1e-9)));
            await pause(400);
            frames.push(path.join(work, `ratio-${100 - ratio}.png`));
            await opened.screenshot({ path: frames.at(-1) });
        }
        animate(frames, 18, "page.webp");
        await opened.goto(`${address}?tab=inspect&ratio=0.75&seed=1`);
        await until(({ inspected }) => inspected !== null);
        await pause(1000);
        await opened.screenshot({ path: path.join(out, "inspect.png") });
    } finally {
        await browser.close();
        server.close();
    }
}

/** The window: a model that learns for some minutes. */
async function desktop() {
    const xvfb = await screen(SIZE);
    const env = { ...process.env, DISPLAY: xvfb.display, HOME: work, XDG_DATA_HOME: work, WAYLAND_DISPLAY: "" };
    const app = spawn(program, [], { cwd: work, env, stdio: "inherit" });
    const ended = new Promise(resolve => app.on("exit", resolve));
    try {
        const xdotool = (...args) => execFileSync("xdotool", args.map(String), { env });
        await pause(15_000);
        // Train, then Start.
        xdotool("mousemove", 182, 12);
        await pause(1000);
        xdotool("click", 1);
        await pause(2000);
        xdotool("mousemove", 30, 46);
        await pause(1000);
        xdotool("click", 1);
        xdotool("mousemove", 700, 700);
        const frames = [];
        for (let index = 0; index < FRAMES; index++) {
            await pause(EVERY * 1000);
            frames.push(path.join(work, `train-${String(index).padStart(2, "0")}.png`));
            execFileSync("import", ["-window", "root", frames.at(-1)], { env });
        }
        magick(frames.at(-1), "-strip", path.join(out, "window.png"));
        animate(frames, 30, "window.webp");
    } finally {
        app.kill();
        await ended;
        xvfb.close();
    }
}

strips();
await page();
await desktop();
fs.rmSync(work, { recursive: true, force: true });
