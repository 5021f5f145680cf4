// Unmask's own training step in a headless Chromium, timed step by step beside the native one.
//
// node tab_peer.mjs --folder DIST --model PRESET --batch B --seed S --rate R: DIST holds the page, built with the feature
// `turns`. Speaks as the other peers do. Weights, pictures and masks follow from the seed, as in the native program.
import { conduct } from "./page.mjs";

await conduct("tab", "web/icon.png", (page, address, options) => page.evaluate(async ({ module, model, ...numbers }) => {
    const { load } = await import(module);
    const { Turns } = await load();
    const turns = await Turns.open(model, Number(numbers.batch), Number(numbers.seed), Number(numbers.rate));
    globalThis.turn = async steps => JSON.parse(await turns.turn(steps));
    return JSON.parse(turns.ready());
}, { module: `${address}web/unmask.js`, ...options }));
