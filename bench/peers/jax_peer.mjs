// jax-js in a headless Chromium, timed step by step beside Unmask in one.
//
// node jax_peer.mjs --folder PACKAGE --case FILE: PACKAGE is @jax-js/jax as npm installs it; FILE is what `unmask bench
// --turns` dumped. Speaks as the other peers do.
import fs from "node:fs";
import path from "node:path";

import { conduct } from "./page.mjs";

await conduct("jax-js", "package.json", async (page, address, options) => {
    const { version } = JSON.parse(fs.readFileSync(path.join(options.folder, "package.json")));
    for (const [name, file] of [["case", options.case], ["jax_page.js", path.join(import.meta.dirname, "jax_page.js")]]) {
        await page.route(address + name, route => route.fulfill({ path: file }));
    }
    const ready = await page.evaluate(async address => {
        const { open } = await import(`${address}jax_page.js`);
        const { turn, ...ready } = await open(await (await fetch(`${address}case`)).arrayBuffer());
        globalThis.turn = turn;
        return ready;
    }, address);
    return { version, ...ready };
});
