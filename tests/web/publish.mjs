// Where a built page is put: node --test tests/web/publish.mjs, as `./dev test` calls it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";

import { checkFolder, publish } from "../../web/publish.mjs";
import { root } from "../../web/tools.mjs";

let folder;
beforeEach(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), "unmask-page-"))));
afterEach(() => fs.rmSync(folder, { recursive: true }));

/** A page whose files are named by `build`. */
function page(build) {
    const names = { glue: `glue-${build}.js`, wasm: `wasm-${build}.wasm` };
    const manifest = Object.fromEntries(Object.entries(names).map(([name, file]) => [name, { file, bytes: 1 }]));
    return [
        ...Object.values(names).map(file => [`web/files/${file}`, build]),
        ["web/files/manifest.json", JSON.stringify(manifest)],
        ["index.html", build],
    ];
}

const held = () => fs.readdirSync(folder, { recursive: true }).map(String)
    .filter(name => fs.statSync(path.join(folder, name)).isFile()).sort();

test("a folder of somebody else's is refused and stays as it is", () => {
    fs.writeFileSync(path.join(folder, "index.html"), "mine");
    fs.mkdirSync(path.join(folder, "web"));
    const refused = error => error.message.startsWith(`${folder}: holds files that are no earlier build`);
    assert.throws(() => publish(folder, page("a1")), refused);
    assert.deepEqual(held(), ["index.html"]);
    assert.throws(() => checkFolder(path.join(folder, "index.html")), /expected a folder/);
    assert.throws(() => checkFolder(root), /no earlier build/);
});

test("the build says so before it builds", () => {
    fs.writeFileSync(path.join(folder, "thesis.txt"), "mine");
    const env = { ...process.env, PATH: "" };
    const built = spawnSync(process.execPath, [path.join(root, "web/build.mjs"), folder], { env, encoding: "utf8" });
    assert.equal(built.status, 1);
    assert.ok(built.stderr.startsWith(`error: ${folder}: holds files`), built.stderr);
    assert.ok(built.stderr.includes("thesis.txt"), built.stderr);
    assert.deepEqual(held(), ["thesis.txt"]);
});

test("an earlier build is replaced, and what lies beside it stays", () => {
    const inside = path.join(folder, "new/page");
    publish(inside, page("a1"));
    fs.writeFileSync(path.join(inside, "CNAME"), "example.org");
    // As a build that was killed leaves it.
    fs.mkdirSync(path.join(inside, ".unmask-unfinished"));
    publish(inside, page("b2"));
    folder = inside;
    const files = ["glue-b2.js", "manifest.json", "wasm-b2.wasm"].map(name => `web/files/${name}`);
    assert.deepEqual(held(), ["CNAME", "index.html", ...files]);
    assert.equal(fs.readFileSync(path.join(folder, "index.html"), "utf8"), "b2");
    folder = path.dirname(path.dirname(inside));
});

test("a build that was killed before the page was whole may be done again", () => {
    fs.mkdirSync(path.join(folder, ".unmask-unfinished/web"), { recursive: true });
    fs.mkdirSync(path.join(folder, "web/files"), { recursive: true });
    publish(folder, page("a1"));
    assert.equal(held().length, 4);
});
