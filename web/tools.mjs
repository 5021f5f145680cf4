// What building, serving and testing the page share.
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

/** The repository's root. */
export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** Files below `folder` that end in `ending`, as paths relative to it with `/`, sorted. */
export function list(folder, ending) {
    const found = fs.readdirSync(folder, { recursive: true }).map(name => String(name).split(path.sep).join("/"));
    return found.filter(name => name.endsWith(ending)).sort();
}

/**
 * A pack of files: the length of a JSON list of `[name, length]` as a little-endian u32, the list, then their bytes.
 * `src/platform/assets.rs` reads it.
 */
export function pack(files) {
    const header = Buffer.from(JSON.stringify(files.map(([name, bytes]) => [name, bytes.length])));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(header.length);
    return Buffer.concat([length, header, ...files.map(([, bytes]) => bytes)]);
}

/** Bytes of `data` as a web server sends them: gzip and brotli. */
export function compressed(data) {
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: data.length };
    return { gzip: gzipSync(data, { level: 9 }).length, brotli: brotliCompressSync(data, { params }).length };
}

/** A short name of `data` by its content. */
export function hash(data) {
    return createHash("sha256").update(data).digest("hex").slice(0, 12);
}
