// Makes the page: node web/build.mjs OUT [FEATURES]. Called by `./dev web`, which sees to the tools.
//
// OUT then holds all that a static host needs, from any sub-path. Every reference in it is relative. OUT is new, empty
// or an earlier build, else it is refused.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { checkFolder, publish } from "./publish.mjs";
import { compressed, hash, list, pack, root } from "./tools.mjs";

/** Most bytes of wasm over the wire, gzipped. */
const MOST = 3_000_000;

const out = path.resolve(process.argv[2] ?? "web/dist");
const cargoFeatures = process.argv[3] ?? "app";
const target = path.resolve(root, process.env.CARGO_TARGET_DIR || "target");
const bindgen = process.env.WASM_BINDGEN || "wasm-bindgen";

function fail(message) {
    console.error(`error: ${message}`);
    process.exit(1);
}

try {
    // Told before minutes of building.
    checkFolder(out);
} catch (error) {
    fail(error.message);
}

function run(program, ...args) {
    console.error(`\n==> ${path.basename(program)} ${args.join(" ")}`);
    execFileSync(program, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
}

const kilobytes = bytes => `${(bytes / 1e3).toFixed(0)} kB`;

run("cargo", "rustc", "--lib", "--crate-type", "cdylib", "--profile", "web", "--no-default-features",
    "--features", cargoFeatures, "--target", "wasm32-unknown-unknown");
const raw = path.join(target, "wasm32-unknown-unknown/web/unmask.wasm");
const work = path.join(target, "web-page");
fs.rmSync(work, { recursive: true, force: true });
// Of a wasm that is built for size, wasm-opt takes 5 % but nothing of what goes over the wire, in minutes.
run(bindgen, "--target", "web", "--no-typescript", "--remove-name-section", "--remove-producers-section",
    "--out-dir", work, "--out-name", "glue", raw);

const assets = folder => list(path.join(root, "assets", folder), folder === "photos" ? ".jpg" : ".safetensors")
    .map(name => [`${folder}/${name}`, fs.readFileSync(path.join(root, "assets", folder, name))]);
const golden = list(path.join(root, "tests/golden"), ".safetensors")
    .map(name => [name.replace(".safetensors", ""), fs.readFileSync(path.join(root, "tests/golden", name))]);
const wasm = fs.readFileSync(path.join(work, "glue_bg.wasm"));
const glue = fs.readFileSync(path.join(work, "glue.js"));
// Named by content: a browser never joins the script of one build with the wasm of another.
const files = { glue, wasm, assets: pack([...assets("photos"), ...assets("weights")]), golden: pack(golden) };
const endings = { glue: "js", wasm: "wasm", assets: "bin", golden: "bin" };
const manifest = {};
const named = Object.entries(files).map(([name, data]) => {
    const file = `${name}-${hash(data)}.${endings[name]}`;
    manifest[name] = { file, bytes: data.length };
    return [`web/files/${file}`, data];
});
const read = file => fs.readFileSync(path.join(root, file));
const beside = [
    "page.js", "page.css", "awake.js", "camera.js", "folders.js", "storage.js", "unmask.js", "unmask.d.ts", "README.md",
];
// What others name comes before what names it.
publish(out, [
    ...named,
    ["web/files/manifest.json", `${JSON.stringify(manifest, null, 2)}\n`],
    ["web/icon.png", read("assets/icon.png")],
    ...beside.map(name => [`web/${name}`, read(`web/${name}`)]),
    ["index.html", read("index.html")],
]);

const wire = compressed(wasm);
const pictures = files.assets.length;
console.log(`\nwasm  ${kilobytes(wasm.length)}; ${kilobytes(wire.gzip)} gzipped, ${kilobytes(wire.brotli)} with brotli`);
console.log(`data  ${kilobytes(pictures)} of weights and photographs`);
console.log(`page  ${out}`);
if (wire.gzip > MOST) {
    fail(`${wire.gzip} bytes of gzipped wasm, at most ${MOST} are allowed`);
}
