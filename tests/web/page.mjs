// The page in a real browser: node tests/web/page.mjs FOLDER, as `./dev test` calls it after building it into FOLDER.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";

import { serve } from "../../web/serve.mjs";
import { root } from "../../web/tools.mjs";
import { launch } from "./browser.mjs";

/** Milliseconds that the slowest machine may take for what a test waits for. */
const PATIENCE = 180_000;
/** Largest difference of a channel between the page and the native program. */
const CHANNEL = 2;
/**
 * Errors that the tests themselves make: the last are files that a hub lacks or keeps to itself, and what a picture opened
 * as a page asks for.
 */
const EXPECTED = [/broken\.png/, /status of 40[134] .*https:\/\/hub\.example\//, /status of 404 .*\/favicon\.ico/];

const folder = path.resolve(process.argv[2] ?? path.join(root, "web/dist"));
const native = process.env.UNMASK_BIN ?? path.join(root, "target/debug/unmask");
// Served from a sub-path, as hosts of project pages do.
const base = path.basename(folder);
let server, browser, page, address;
const errors = [];

async function open(query = "") {
    const opened = await browser.context.newPage();
    opened.on("console", message => message.type() === "error"
        && errors.push(`${message.text()} (${message.location().url})`));
    opened.on("pageerror", error => errors.push(String(error)));
    opened.setDefaultTimeout(PATIENCE);
    await opened.goto(address + query);
    return opened;
}

const state = () => page.evaluate(() => globalThis.unmask.state());

/** Waits until what the app shows fulfils `done`. */
async function until(what, done, patience = PATIENCE) {
    const start = Date.now();
    for (;;) {
        const now = await state();
        if (now && done(now)) return now;
        const problem = page.locator("#problem");
        if (await problem.isVisible()) assert.fail(`${what}: the page says: ${await problem.innerText()}`);
        assert.ok(Date.now() - start < patience, `waited in vain for ${what}: ${JSON.stringify(now)}`);
        await page.waitForTimeout(50);
    }
}

/** Waits until the app has drawn what came in before: it was asked for a frame earlier than this asks for two. */
const drawn = () => page.evaluate(() => new Promise(resolve => {
    requestAnimationFrame(() => requestAnimationFrame(resolve));
}));

/** Presses the button at the top left of the training panel: Start, or Continue where a run stands. */
async function pressStart() {
    for (let y = 40; y < 100; y += 6) {
        await page.mouse.click(30, y);
        await drawn();
        // A second press would be one of Cancel.
        if ((await state()).phase !== "idle") return;
    }
    assert.fail("no button to start was found");
}

/** The step of the state that the driven page keeps its run in, of which the file begins with a header in JSON. */
const keptStep = () => page.evaluate(async () => {
    const finished = request => new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
    });
    const key = sessionStorage.getItem("unmask run");
    if (!key) return null;
    const database = await finished(indexedDB.open("unmask", 2));
    try {
        const bytes = await finished(database.transaction("states").objectStore("states").get(key));
        if (!bytes) return null;
        const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
        return Number(JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))).__metadata__.step);
    } finally {
        database.close();
    }
});

/** Pauses the run of the page that is driven, and waits until it is kept where it stands. */
async function pauseAndKeep() {
    await page.keyboard.press("Space");
    const { step } = await until("the pause", ({ phase }) => phase === "paused");
    const start = Date.now();
    for (let kept; (kept = await keptStep()) !== step;) {
        assert.ok(Date.now() - start < PATIENCE, `waited in vain for step ${step} to be kept, ${kept} is`);
        await page.waitForTimeout(50);
    }
    return step;
}

/** What reached the console or was not caught, but for what the tests do on purpose. */
function unexpected() {
    return errors.filter(text => !EXPECTED.some(expected => expected.test(text)));
}

before(async () => {
    server = await serve(path.dirname(folder));
    address = `http://localhost:${server.address().port}/${base}/`;
    browser = await launch();
});

after(async () => {
    await browser?.close();
    server?.close();
});

test("the page opens on a reconstruction, from a sub-path, with what its address says", async t => {
    const start = Date.now();
    page = await open("?ratio=0.5&seed=7&strategy=grid");
    const shown = await until("the first picture", ({ visible }) => visible !== null);
    t.diagnostic(`first reconstruction ${Date.now() - start} ms after opening the page`);
    assert.deepEqual([shown.visible, shown.patches, shown.seed, shown.strategy], [32, 64, 7, "grid"]);
    assert.deepEqual(shown.notices, []);
    assert.ok(await page.locator("#cover").isHidden());
});

test("the slider is dragged, the visible count follows, and so does the address", async () => {
    // The slider lies somewhere at the top of the controls on the left.
    const before = await state();
    let at;
    for (let y = 60; y < 200 && !at; y += 6) {
        await page.mouse.click(40, y);
        await drawn();
        if ((await state()).ratio !== before.ratio) at = y;
    }
    assert.ok(at, "no slider was found");
    await page.mouse.move(40, at);
    await page.mouse.down();
    await page.mouse.move(120, at, { steps: 8 });
    const count = ratio => Math.max(1, Math.floor(64 * (1 - ratio)));
    const middle = await until("the slider's mask", ({ ratio, visible }) => ratio > 0.3 && visible === count(ratio));
    await page.mouse.move(150, at, { steps: 4 });
    const end = await until("fewer patches", ({ ratio, visible }) => ratio > middle.ratio && visible === count(ratio));
    await page.mouse.up();
    await page.waitForFunction(ratio => new URLSearchParams(location.search).get("ratio") === String(ratio),
        Math.round(end.ratio * 1e4) / 1e4);
});

test("files are dropped and pasted", async () => {
    const drop = (name, type, size) => page.evaluate(async ([name, type, size]) => {
        const canvas = new OffscreenCanvas(size, size);
        const context = canvas.getContext("2d");
        context.fillStyle = "teal";
        context.fillRect(0, 0, size, size);
        context.fillStyle = "gold";
        context.fillRect(size / 4, size / 4, size / 2, size / 2);
        const blob = await canvas.convertToBlob({ type: "image/png" });
        const data = new DataTransfer();
        data.items.add(new File([blob], name, { type: "image/png" }));
        const target = type === "drop" ? document.getElementById("app") : document;
        const event = type === "drop"
            ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
        target.dispatchEvent(event);
    }, [name, type, size]);
    for (const [name, type, size] of [["dropped.png", "drop", 90], ["pasted.png", "paste", 130]]) {
        const { shown } = await state();
        await drop(name, type, size);
        await until(`${name} to be shown`, now => now.picture === name && now.shown > shown);
    }
    await page.evaluate(() => globalThis.unmask.feed("broken.png", new Uint8Array([1, 2, 3])));
    const broken = await until("a notice", ({ notices }) => notices.length > 0);
    assert.match(broken.notices[0], /broken\.png/);
});

test("no error reached the console, but for the broken file", () => {
    assert.deepEqual(unexpected(), []);
});

test("the inside of the model shows", async () => {
    await page.close();
    page = await open("?tab=inspect");
    const { inspected } = await until("a look inside", ({ inspected }) => inspected !== null);
    assert.deepEqual(inspected, [3, 37]);
    await page.mouse.click(700, 300);
    await until("another token", ({ inspected }) => inspected[1] !== 37);
});

test("the app trains, and the page stays alive", async t => {
    await page.close();
    page = await open("?tab=train");
    await until("the first picture", ({ visible }) => visible !== null);
    // Whether the screen may be kept on depends on the machine; that it is asked for does not.
    await page.evaluate(() => {
        globalThis.locks = 0;
        navigator.wakeLock.request = async () => {
            locks++;
            return Object.assign(new EventTarget(), { release: async () => void locks-- });
        };
    });
    await pressStart();
    await until("the first step", ({ step }) => step >= 1);
    assert.equal(await page.evaluate(() => locks), 1);
    const frames = await page.evaluate(() => new Promise(resolve => {
        const gaps = [];
        const start = performance.now();
        let last = start;
        requestAnimationFrame(function frame(now) {
            gaps.push(now - last);
            last = now;
            if (now - start < 8000) requestAnimationFrame(frame);
            else resolve(gaps);
        });
    }));
    const { step, loss } = await state();
    frames.sort((a, b) => a - b);
    const longest = frames.at(-1);
    t.diagnostic(`${step} steps; frame gaps: median ${frames[frames.length >> 1].toFixed(0)} ms, `
        + `longest ${longest.toFixed(0)} ms`);
    assert.ok(step >= 1 && loss > 0, `step ${step}, loss ${loss}`);
    // How long gaps are depends on what else the machine does; a page that hangs draws nothing.
    assert.ok(frames.length >= 4, `${frames.length} frames in 8 s`);
});

test("a reload keeps the run, and it goes on", async () => {
    const paused = await pauseAndKeep();
    await page.waitForFunction(() => locks === 0);
    await page.reload();
    const { stands } = await until("the run that was kept", ({ stands, visible }) => stands !== null && visible !== null);
    assert.equal(stands, paused);
    await pressStart();
    await until("a step further", ({ step }) => step > paused);
});

test("a lost device is replaced, and the run goes on", async () => {
    const paused = await pauseAndKeep();
    await page.evaluate(() => globalThis.unmask.loseDevice());
    const back = await until("the app on another device",
        ({ notices, visible }) => visible !== null && notices.some(text => text.includes("was lost")));
    assert.equal(back.stands, paused);
    await pressStart();
    await until("a step further", ({ step }) => step > paused);
    await page.close();
});

test("tabs keep runs of their own, and of closed ones the newest is offered", async () => {
    const first = page = await open("?tab=train");
    const { stands } = await until("the run that was kept", ({ stands }) => stands !== null);
    const second = page = await open("?tab=train");
    await page.evaluate(() => globalThis.unmask.started);
    // What was kept would be taken up in the next frame.
    await drawn();
    await until("the first picture", ({ visible }) => visible !== null);
    assert.equal((await state()).stands, null, "another tab has that run");
    page = first;
    // A page behind another draws nothing.
    await page.bringToFront();
    await pressStart();
    await until("a step further", ({ step }) => step > stands);
    const own = await pauseAndKeep();
    page = second;
    await page.bringToFront();
    await pressStart();
    await until("the first step", ({ step }) => step >= 1);
    const newer = await pauseAndKeep();
    await second.close();
    page = first;
    await page.reload();
    const again = await until("the run of this tab", now => now.stands !== null);
    assert.equal(again.stands, own, "not the newer one of a closed tab");
    await first.close();
    // The newest is now the one that was kept last: a tab that does not go on with it leaves it as it is.
    page = await open("?tab=train");
    const newest = await until("the newest run", now => now.stands !== null);
    assert.equal(newest.stands, newer);
});

test("a run that is not kept is told, and not left without a question", async () => {
    await page.evaluate(() => {
        const { put } = IDBObjectStore.prototype;
        globalThis.allowStorage = () => { IDBObjectStore.prototype.put = put; };
        IDBObjectStore.prototype.put = () => { throw new DOMException("the disk is full", "QuotaExceededError"); };
    });
    const { stands } = await state();
    await pressStart();
    await until("a step further", ({ step }) => step > stands);
    await page.keyboard.press("Space");
    const { notices } = await until("a notice", now => now.notices.length > 0);
    assert.match(notices[0], /not kept: .* MB \(the disk is full\)/);
    const asked = page.waitForEvent("dialog");
    await page.close({ runBeforeUnload: true });
    const dialog = await asked;
    assert.equal(dialog.type(), "beforeunload");
    await dialog.dismiss();

    await page.evaluate(() => globalThis.allowStorage());
    await page.keyboard.press("Space");
    const { step } = await state();
    await until("a step further", now => now.step > step);
    await pauseAndKeep();
    const closed = page.waitForEvent("close");
    await page.close({ runBeforeUnload: true });
    await closed;
});

test("of runs of closed tabs the newest are kept, and those of open tabs all", async () => {
    // Another name for this machine, so that nothing is kept there, and a page without the app.
    page = await browser.context.newPage();
    await page.goto(`${address.replace("localhost", "127.0.0.1")}web/icon.png`);
    const { left, offered } = await page.evaluate(async () => {
        const finished = request => new Promise((resolve, reject) => {
            request.onsuccess = () => resolve(request.result);
            request.onerror = () => reject(request.error);
        });
        const { keep, kept } = await import("./storage.js");
        await keep(new Uint8Array([100]), error => { throw error; });
        const own = sessionStorage.getItem("unmask run");
        sessionStorage.removeItem("unmask run");
        // An open tab's, kept before all others.
        await new Promise(taken => navigator.locks.request("unmask open", () => {
            taken();
            return new Promise(() => {});
        }));
        const database = await finished(indexedDB.open("unmask", 2));
        const put = database.transaction(["states", "times"], "readwrite");
        for (const [time, name] of ["open", "a", "b", "c", "d", "e", "f"].entries()) {
            put.objectStore("states").put(new Uint8Array([time]), name);
            put.objectStore("times").put(time, name);
        }
        await new Promise((resolve, reject) => Object.assign(put, { oncomplete: resolve, onabort: reject }));
        const offered = [...await kept()];
        const read = database.transaction(["states", "times"]);
        const names = await Promise.all(["states", "times"].map(store => finished(read.objectStore(store).getAllKeys())));
        database.close();
        return { left: names.map(names => names.map(name => name === own ? "own" : name).sort()), offered };
    });
    assert.deepEqual(offered, [6], "the newest");
    const expected = ["c", "d", "e", "f", "open", "own"];
    assert.deepEqual(left, [expected, expected]);
    const again = await page.evaluate(async () => {
        // Another copy of the module is another tab, as far as it knows.
        const { keep, kept, leave } = await import("./storage.js?again");
        const fail = error => { throw error; };
        await keep(new Uint8Array([101]), fail);
        leave();
        await keep(new Uint8Array([102]), fail);
        return [...await kept()];
    });
    assert.deepEqual(again, [101], "a run that another took the place of is offered like those of closed tabs");
    await page.close();
});

test("the interface for scripts: self-test, reconstruction as the native program has it, training", async t => {
    page = await open("web/icon.png");
    await page.evaluate(async module => {
        const { Session } = await import(module);
        globalThis.session = await Session.open();
    }, `${address}web/unmask.js`);
    await t.test("the self-test passes", async () => {
        const report = await page.evaluate(() => globalThis.session.selfTest());
        assert.deepEqual(report.cases.flatMap(({ failures }) => failures), []);
        assert.ok(report.pass && report.cases.length >= 2);
    });
    await t.test("pixels are those of the native program", async () => {
        const work = fs.mkdtempSync(path.join(os.tmpdir(), "unmask-web-"));
        const built = await page.evaluate(async () => {
            const canvas = new OffscreenCanvas(100, 80);
            const context = canvas.getContext("2d");
            const sky = context.createLinearGradient(0, 0, 100, 80);
            for (const [at, colour] of [[0, "#204080"], [0.5, "#e0a040"], [1, "#306030"]]) sky.addColorStop(at, colour);
            context.fillStyle = sky;
            context.fillRect(0, 0, 100, 80);
            context.fillStyle = "#c03020";
            context.beginPath();
            context.arc(55, 35, 18, 0, 7);
            context.fill();
            await globalThis.session.loadWeights();
            const bitmap = await createImageBitmap(canvas);
            const { panels, mask, hiddenMse } = await globalThis.session.reconstruct(bitmap, { ratio: 0.75, seed: 7 });
            const png = new Uint8Array(await (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer());
            const plain = Object.fromEntries(Object.entries(panels).map(([name, pixels]) => [name, [...pixels]]));
            return { png: [...png], panels: plain, mask: [...mask], hiddenMse };
        });
        const [file, out] = [path.join(work, "picture.png"), path.join(work, "out.png")];
        fs.writeFileSync(file, Buffer.from(built.png));
        const report = JSON.parse(execFileSync(native, ["--json", "reconstruct", file, "--mask-ratio", "0.75", "--seed", "7",
            "--out", out], { encoding: "utf8" }).trim().split("\n").at(-1));
        assert.deepEqual(built.mask.flatMap((hidden, patch) => hidden ? [] : [patch]), report.keep);
        assert.ok(Math.abs(built.hiddenMse - report.hidden_mse) < 1e-4 * report.hidden_mse + 1e-6,
            `hidden MSE ${built.hiddenMse}, native ${report.hidden_mse}`);
        const strip = await page.evaluate(async base64 => {
            const blob = await (await fetch(`data:image/png;base64,${base64}`)).blob();
            const bitmap = await createImageBitmap(blob);
            const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
            context.drawImage(bitmap, 0, 0);
            return [...context.getImageData(0, 0, bitmap.width, bitmap.height).data];
        }, fs.readFileSync(out, "base64"));
        fs.rmSync(work, { recursive: true });
        const side = 64;
        let most = 0;
        for (const [index, name] of ["visible", "reconstruction", "pasted", "original"].entries()) {
            for (let at = 0; at < side * side * 4; at++) {
                const [row, rest] = [Math.floor(at / (side * 4)), at % (side * 4)];
                const want = strip[row * side * 16 + index * side * 4 + rest];
                most = Math.max(most, Math.abs(built.panels[name][at] - want));
            }
        }
        t.diagnostic(`pixels are off by ${most} of 255 at most`);
        assert.ok(most <= CHANNEL, `off by ${most}`);
    });
    await t.test("pictures are opaque on mid grey, and large ones reduced", async () => {
        const shown = await page.evaluate(async () => {
            const colour = [200, 40, 0];
            const data = (width, height) => {
                const image = new ImageData(width, height);
                for (let at = 0; at < image.data.length; at += 4) {
                    image.data.set([...colour, at / 4 % width < width / 2 ? 128 : 0], at);
                }
                return image;
            };
            const canvas = new OffscreenCanvas(700, 700);
            const context = canvas.getContext("2d");
            context.fillStyle = "rgb(200 40 0 / 50%)";
            context.fillRect(0, 0, 350, 700);
            const shown = {};
            for (const [name, picture] of Object.entries({ small: data(80, 80), large: data(700, 700), canvas })) {
                const { width, panels: { original } } = await globalThis.session.reconstruct(picture, { ratio: 0.5 });
                shown[name] = [0.25, 0.75].map(share => {
                    const at = (width / 2 * width + share * width) * 4;
                    return [...original.slice(at, at + 4)];
                });
            }
            return shown;
        });
        for (const [name, colours] of Object.entries(shown)) {
            for (const [index, want] of [[164, 84, 64, 255], [128, 128, 128, 255]].entries()) {
                const off = Math.max(...colours[index].map((value, channel) => Math.abs(value - want[channel])));
                assert.ok(off <= CHANNEL, `${name}: ${colours[index]}, expected ${want}`);
            }
        }
    });
    await t.test("saved weights are those that were loaded", async () => {
        const { same, metadata, shipped, plain, losses } = await page.evaluate(async () => {
            const { session } = globalThis;
            const picture = new ImageData(64, 64);
            const loss = async () => (await session.reconstruct(picture, { seed: 1 })).hiddenMse;
            const shipped = await session.loadWeights();
            const losses = [await loss()];
            const file = await session.saveWeights();
            await session.loadWeights(file, "saved.safetensors");
            losses.push(await loss());
            const again = await session.saveWeights();
            const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
            const tensors = file => file.subarray(8 + length);
            const { __metadata__: metadata, ...header } = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
            // The same without a word on the model, of which something has to be assumed then.
            const text = JSON.stringify(header);
            const bare = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
            const bytes = new Uint8Array(8 + bare.length + file.length - 8 - length);
            new DataView(bytes.buffer).setBigUint64(0, BigInt(bare.length), true);
            bytes.set(bare, 8);
            bytes.set(tensors(file), 8 + bare.length);
            const plain = await session.loadWeights(bytes, "plain.safetensors");
            // What is told beside the tensors has no order.
            const [first, second] = [tensors(file), tensors(again)];
            const same = file.length === again.length && first.every((byte, at) => byte === second[at]);
            return { same, metadata, shipped, plain, losses };
        });
        assert.ok(same);
        assert.equal(losses[0], losses[1]);
        assert.equal(JSON.parse(metadata.model).width, shipped.width);
        assert.deepEqual([shipped.assumed, plain.width], [[], shipped.width]);
        assert.match(plain.assumed.join(), /targets are raw pixels/);
    });
    await t.test("weights that are refused leave the model as it is", async () => {
        const message = await page.evaluate(async () => {
            const { session } = globalThis;
            const message = await session.loadWeights(new Uint8Array(100), "bad.safetensors").catch(error => error.message);
            await session.saveWeights();
            return message;
        });
        assert.match(message, /bad\.safetensors/);
    });
    await t.test("numbers that are none are refused by name", async () => {
        const refused = await page.evaluate(async () => {
            const { session } = globalThis;
            const calls = [
                session.train({ blr: NaN }), session.train({ steps: Infinity }),
                session.reconstruct(new ImageData(64, 64), { seed: NaN }),
            ];
            return Promise.all(calls.map(call => call.catch(({ name, message }) => `${name}: ${message}`)));
        });
        assert.deepEqual(refused.map(text => /^RangeError: (\w+)/.exec(text)?.[1]), ["blr", "steps", "seed"]);
    });
    await t.test("weights come from a hub", async () => {
        const model = path.join(import.meta.dirname, "../weights/transformers5");
        await page.route("https://hub.example/**", route => {
            const file = path.join(model, new URL(route.request().url()).pathname.split("/").at(-1));
            const headers = { "Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "X-Error-Code" };
            const refused = {
                private: { status: 401, headers },
                gated: { status: 401, headers: { ...headers, "X-Error-Code": "GatedRepo" } },
                unnamed: { status: 404, headers: { ...headers, "X-Error-Code": "RevisionNotFound" } },
                forbidden: { status: 403, headers },
            };
            const [, owner] = new URL(route.request().url()).pathname.split("/");
            // It never answers.
            if (owner === "slow") return undefined;
            if (refused[owner]) return route.fulfill(refused[owner]);
            if (!fs.existsSync(file)) return route.fulfill({ status: 404, headers });
            return route.fulfill({ body: fs.readFileSync(file), headers });
        });
        const loaded = await page.evaluate(async () => {
            const counts = [];
            const options = { endpoint: "https://hub.example", onProgress: bytes => counts.push(bytes) };
            const model = await globalThis.session.loadFromHub("owner/name", options);
            const refusal = name => globalThis.session.loadFromHub(name, options).catch(error => error.message);
            const refused = [];
            for (const owner of ["private", "gated", "unnamed", "forbidden"]) refused.push(await refusal(`${owner}/name`));
            return { model, last: counts.at(-1), none: await refusal("../evil"), refused };
        });
        assert.equal(loaded.model.heads, 2);
        // There is no preprocessor_config.json.
        assert.match(loaded.model.assumed.join(), /^pixel_mean = /);
        for (const [index, words] of [/or it is private/, /is gated/, /has no revision "main"/, /is gated/].entries()) {
            assert.match(loaded.refused[index], words);
        }
        assert.equal(loaded.last, fs.statSync(path.join(model, "model.safetensors")).size);
        assert.match(loaded.none, /expected the name of a repository/);
    });
    await t.test("micro trains 30 steps and the loss falls", async () => {
        const losses = await page.evaluate(async () => {
            const losses = [];
            await globalThis.session.train({
                steps: 30, batch: 4, blr: 0.02, seed: 3, sliceMs: 0, onProgress: ({ loss }) => { losses.push(loss); },
            });
            return losses;
        });
        const mean = values => values.reduce((sum, value) => sum + value, 0) / values.length;
        assert.equal(losses.length, 30);
        const [first, last] = [mean(losses.slice(0, 3)), mean(losses.slice(-5))];
        t.diagnostic(`loss ${first.toFixed(3)} to ${last.toFixed(3)}`);
        assert.ok(last < 0.9 * first, losses.join(" "));
        const { bytes, step } = await page.evaluate(async () => {
            const file = await globalThis.session.saveWeights();
            const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
            const { __metadata__ } = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
            return { bytes: file.length, step: __metadata__.step };
        });
        assert.ok(bytes > 1e6);
        assert.equal(step, "30");
    });
    await t.test("calls end by a signal or by what a callback throws", async () => {
        const { same, counts } = await page.evaluate(async () => {
            const { session } = globalThis;
            const caught = call => call.then(() => null, error => error);
            const loss = async () => (await session.reconstruct(new ImageData(64, 64))).hiddenMse;
            const [thrown, reason, before] = [new Error("thrown"), new Error("aborted"), await loss()];
            const options = { steps: 50, batch: 4, sliceMs: 0 };
            const counts = [0, 0, 0];
            const same = [];
            same.push(thrown === await caught(session.train({
                ...options, onProgress() { counts[0]++; throw thrown; },
            })));
            const controller = new AbortController();
            same.push(reason === await caught(session.train({
                ...options, signal: controller.signal, onProgress() { counts[1]++; controller.abort(reason); },
            })));
            const { signal } = controller;
            same.push(reason === await caught(session.train({ ...options, signal, onProgress() { counts[2]++; } })));
            const slow = new AbortController();
            setTimeout(() => slow.abort(reason), 200);
            const hub = { endpoint: "https://hub.example", signal: slow.signal };
            same.push(reason === await caught(session.loadFromHub("slow/name", hub)));
            same.push(before === await loss());
            return { same, counts };
        });
        assert.deepEqual(same, [true, true, true, true, true]);
        assert.deepEqual(counts, [1, 1, 0]);
    });
    await t.test("another copy of the module opens, and closing ends what is under way", async () => {
        const messages = await page.evaluate(async module => {
            const { Session } = await import(module);
            const session = await Session.open();
            await session.loadWeights();
            const calls = [
                session.loadFromHub("slow/name", { endpoint: "https://hub.example" }), session.saveWeights(),
            ].map(call => call.catch(error => error.message));
            await new Promise(resolve => setTimeout(resolve, 200));
            await session.close();
            await session.close();
            calls.push(session.adapter().catch(error => error.message));
            return Promise.all(calls);
        }, `${address}web/unmask.js?again`);
        assert.deepEqual(messages, Array(3).fill("the session is closed"));
    });
    await t.test("pictures are decoded in workers, ahead of use", async () => {
        const { losses, message } = await page.evaluate(async () => {
            const pictures = [];
            for (let at = 0; at < 12; at++) {
                const canvas = new OffscreenCanvas(80 + at, 70);
                const context = canvas.getContext("2d");
                context.fillStyle = `hsl(${at * 30} 80% 50%)`;
                context.fillRect(8 * at, 5, 40, 40);
                const type = at % 2 ? "image/png" : "image/jpeg";
                const bytes = await (await canvas.convertToBlob({ type })).arrayBuffer();
                pictures.push({ name: `${at}.${type.slice(6)}`, bytes });
            }
            const losses = [];
            const options = { pictures, steps: 5, batch: 4, sliceMs: 0, onProgress: ({ loss }) => { losses.push(loss); } };
            // Nothing stays in the device's memory: each batch is decoded anew.
            await globalThis.session.train({ ...options, pixelBudget: 0 });
            pictures.splice(0, 9, ...pictures.slice(0, 9).map(({ name, bytes }) => ({ name, bytes: bytes.slice(0, 200) })));
            const message = await globalThis.session.train(options).catch(error => error.message);
            return { losses, message };
        });
        assert.equal(losses.length, 5);
        assert.ok(losses.every(Number.isFinite), losses.join(" "));
        assert.match(message, /7 of 10 pictures cannot be read/);
        assert.ok(page.workers().length >= 1, "no worker was started");
    });
    await t.test("the workers end with the session", async () => {
        await page.evaluate(() => globalThis.session.close());
        const start = Date.now();
        while (page.workers().length > 0) {
            assert.ok(Date.now() - start < PATIENCE, `${page.workers().length} workers are still there`);
            await page.waitForTimeout(50);
        }
    });
    await t.test("an engine that stopped ends every call", async () => {
        const { under, messages } = await page.evaluate(async module => {
            const { Session } = await import(module);
            const session = await Session.open();
            let begun;
            const first = new Promise(resolve => { begun = resolve; });
            const call = session.train({ steps: 1000, batch: 4, onProgress: () => begun() }).catch(error => error);
            await first;
            // As the browser tells of a trap that nobody caught.
            const error = new WebAssembly.RuntimeError("unreachable");
            dispatchEvent(new ErrorEvent("error", { error }));
            const { cause } = await call;
            const later = [session.adapter(), Session.open()];
            const messages = await Promise.all(later.map(call => call.catch(error => error.message)));
            await session.close();
            return { under: cause === error, messages };
        }, `${address}web/unmask.js`);
        assert.ok(under);
        for (const message of messages) assert.match(message, /Unmask stopped[^]*unreachable/);
    });
    await page.close();
});

test("a worker decodes as the native program does", async () => {
    page = await open();
    const script = fs.readFileSync(path.join(root, "web/decode.js"), "utf8");
    const stored = fs.readFileSync(path.join(import.meta.dirname, "turned.jpg"), "base64");
    const got = await page.evaluate(async ([script, stored]) => {
        const worker = new Worker(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
        const ask = (bytes, limit) => new Promise(resolve => {
            const { port1, port2 } = new MessageChannel();
            port1.onmessage = ({ data }) => resolve(data && { ...data, pixels: [...data.pixels] });
            worker.postMessage({ bytes, limit, port: port2 }, [port2]);
        });
        const canvas = new OffscreenCanvas(300, 100);
        const context = canvas.getContext("2d");
        context.fillStyle = "rgb(200 40 0 / 50%)";
        context.fillRect(0, 0, 150, 100);
        const bytes = new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer());
        const jpeg = Uint8Array.from(atob(stored), letter => letter.charCodeAt(0));
        return [await ask(bytes, 0), await ask(bytes, 20), await ask(new Uint8Array([1, 2, 3]), 0), await ask(jpeg, 0)];
    }, [script, stored]);
    const [whole, small, broken, turned] = got;
    const near = (picture, x, y, colour) => {
        const pixel = picture.pixels.slice((y * picture.width + x) * 4, (y * picture.width + x) * 4 + 4);
        const off = Math.max(...pixel.map((value, at) => Math.abs(value - [...colour, 255][at])));
        assert.ok(off <= 6, `(${x}, ${y}) is ${pixel}, expected ${colour}`);
    };
    for (const [picture, scale] of [[whole, 1], [small, 5]]) {
        assert.deepEqual([picture.width, picture.height], [300 / scale, 100 / scale]);
        near(picture, 20 / scale, 50 / scale, [164, 84, 64]);
        near(picture, 250 / scale, 50 / scale, [128, 128, 128]);
    }
    assert.equal(broken, null);
    // Stored lying on its side: red is above blue once it is turned.
    assert.deepEqual([turned.width, turned.height], [16, 32]);
    near(turned, 8, 4, [254, 0, 0]);
    near(turned, 8, 28, [0, 0, 254]);
    await page.close();
});

// It goes on being the data to train on, so this comes after what trains on the built-in photographs.
test("a folder is dropped", async () => {
    page = await open();
    await until("the first picture", ({ visible }) => visible !== null);
    const work = fs.mkdtempSync(path.join(os.tmpdir(), "unmask-web-"));
    const photos = path.join(root, "assets/photos");
    const names = fs.readdirSync(photos, { recursive: true }).filter(name => name.endsWith(".jpg"));
    // More files than a browser lists at a time, in a folder inside the one that is dropped.
    fs.mkdirSync(path.join(work, "pictures/more"), { recursive: true });
    fs.mkdirSync(path.join(work, "texts"));
    for (let at = 0; at < 130; at++) {
        const name = names[at % names.length];
        fs.copyFileSync(path.join(photos, name), path.join(work, "pictures/more", `${at}.JPG`));
    }
    fs.copyFileSync(path.join(photos, names[0]), path.join(work, "pictures/first.jpg"));
    for (const text of ["pictures/notes.txt", "texts/notes.txt"]) fs.writeFileSync(path.join(work, text), "no picture");
    const devtools = await browser.context.newCDPSession(page);
    const drop = async name => {
        const data = { items: [], files: [path.join(work, name)], dragOperationsMask: 1 };
        for (const type of ["dragEnter", "dragOver", "drop"]) {
            await devtools.send("Input.dispatchDragEvent", { type, x: 400, y: 300, data });
        }
    };
    await drop("texts");
    const none = await until("a notice", ({ notices }) => notices.length > 0);
    assert.match(none.notices.join("\n"), /texts: none of its 1 files is a picture/);
    await drop("pictures");
    const given = await until("the folder", ({ given }) => given > 0);
    assert.deepEqual([given.given, given.tab], [131, "Train"]);
    fs.rmSync(work, { recursive: true });
    await page.close();
});

test("what stops the app is shown with a button to copy it", async () => {
    page = await open();
    await until("the first picture", ({ visible }) => visible !== null);
    await page.evaluate(() => {
        dispatchEvent(new ErrorEvent("error", { error: new WebAssembly.RuntimeError("unreachable"), cancelable: true }));
    });
    assert.match(await page.locator("#problem").innerText(), /Unmask stopped[^]*unreachable/);
    assert.ok(await page.locator("#copy").isVisible());
    await page.close();
});

test("a browser without WebGPU gets an explanation", async () => {
    const plain = await launch({ webgpu: false, args: ["--disable-features=WebGPU,Vulkan", "--disable-blink-features=WebGPU"] });
    try {
        const opened = await plain.context.newPage();
        await opened.goto(address);
        await opened.locator("#problem").waitFor();
        assert.match(await opened.locator("#problem").innerText(), /No WebGPU[^]*chrome:\/\/flags/);
    } finally {
        await plain.close();
    }
});

test("no error but those made on purpose reached any console", () => {
    assert.deepEqual(unexpected(), []);
});
