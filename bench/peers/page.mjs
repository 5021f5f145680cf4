// What the peers in a browser share: a headless Chromium whose page answers turns.
import readline from "node:readline";
import { parseArgs } from "node:util";

import { launch } from "../../tests/web/browser.mjs";
import { serve } from "../../web/serve.mjs";

// What run.py may say; a browser takes the one adapter that there is.
const NAMES = ["folder", "model", "batch", "seed", "rate", "case", "adapter"];

const say = value => process.stdout.write(`${JSON.stringify(value)}\n`);

/**
 * Serves `--folder` and lets `open` prepare `globalThis.turn` in a page that shows the file `blank` of it and runs nothing.
 * Prints a line of JSON with what `open` returns, then answers every line `N` on stdin with the times and losses of N
 * more optimiser steps.
 */
export async function conduct(name, blank, open) {
    const { values: options } = parseArgs({ options: Object.fromEntries(NAMES.map(each => [each, { type: "string" }])) });
    const server = await serve(options.folder);
    const browser = await launch({ headless: true });
    try {
        const page = await browser.context.newPage();
        page.on("console", message => console.error(`${name}: ${message.text()}`));
        await page.route("**/favicon.ico", route => route.fulfill({ status: 204 }));
        // Steps take as long as they take.
        page.setDefaultTimeout(0);
        const address = `http://localhost:${server.address().port}/`;
        await page.goto(address + blank);
        const ready = await open(page, address, options);
        const words = await page.evaluate(async () => {
            const { vendor, architecture } = (await navigator.gpu.requestAdapter()).info;
            return [vendor, architecture];
        });
        const variant = `WebGPU in Chromium ${browser.context.browser().version()}`;
        say({ ready: true, precision: "f32", ...ready, name, variant, adapter: words.join(" "), adapter_words: words });
        for await (const line of readline.createInterface({ input: process.stdin })) {
            say(await page.evaluate(steps => globalThis.turn(steps), Number(line)));
        }
    } finally {
        await browser.close();
        server.close();
    }
}
