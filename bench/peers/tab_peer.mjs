// Unmask's own training step in a headless Chromium, timed step by step beside the native one.
//
// node tab_peer.mjs --folder DIST --model PRESET --batch B --seed S --rate R: DIST holds the page, built with the feature
// `turns`. Prints a line of JSON when it is ready, then answers every line `N` on stdin with the times and losses of N
// more optimiser steps. Weights, pictures and masks follow from the seed, as they do in the native program.
import readline from "node:readline";
import { parseArgs } from "node:util";

import { launch } from "../../tests/web/browser.mjs";
import { serve } from "../../web/serve.mjs";

// What is told to every peer: this one draws the case anew and takes the one adapter that there is.
const names = ["folder", "model", "batch", "seed", "rate", "case", "adapter"];
const { values: options } = parseArgs({ options: Object.fromEntries(names.map(name => [name, { type: "string" }])) });
const say = value => process.stdout.write(`${JSON.stringify(value)}\n`);

const server = await serve(options.folder);
const browser = await launch({ headless: true });
try {
    const page = await browser.context.newPage();
    page.on("console", message => console.error(`tab: ${message.text()}`));
    await page.route("**/favicon.ico", route => route.fulfill({ status: 204 }));
    // Steps take as long as they take.
    page.setDefaultTimeout(0);
    const address = `http://localhost:${server.address().port}/web/`;
    // A page that shows nothing but a picture: no app runs in it.
    await page.goto(`${address}icon.png`);
    const ready = await page.evaluate(async ({ module, model, batch, seed, rate }) => {
        const { load } = await import(module);
        const { Turns } = await load();
        globalThis.turns = await Turns.open(model, Number(batch), Number(seed), Number(rate));
        const { vendor, architecture } = (await navigator.gpu.requestAdapter()).info;
        return { ...JSON.parse(globalThis.turns.ready()), adapter: `${vendor} ${architecture}`, adapter_words: [vendor, architecture] };
    }, { module: `${address}unmask.js`, ...options });
    say({ ...ready, name: "tab", variant: `WebGPU in Chromium ${browser.context.browser().version()}` });
    for await (const line of readline.createInterface({ input: process.stdin })) {
        say(JSON.parse(await page.evaluate(steps => globalThis.turns.turn(steps), Number(line))));
    }
} finally {
    await browser.close();
    server.close();
}
