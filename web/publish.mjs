// Puts a built page into a folder that may be somebody's: files of earlier builds are replaced, nothing else is
// touched.
import fs from "node:fs";
import path from "node:path";

/** Names the files of a build; where it lies, a folder holds a page of ours. */
const MANIFEST = "web/files/manifest.json";
/** Where a page lies until it is whole, inside the folder and so on the same disk. */
const UNFINISHED = ".unmask-unfinished";
/** Names of files that carry their content's hash. */
const BY_CONTENT = /^[a-z]+-[0-9a-f]+\.[a-z]+$/;

/** The files named by content in the build that lies in `folder`; null where none does. */
function earlier(folder) {
    try {
        const manifest = JSON.parse(fs.readFileSync(path.join(folder, MANIFEST), "utf8"));
        if (!manifest.glue?.file || !manifest.wasm?.file) return null;
        return Object.values(manifest).map(({ file }) => String(file)).filter(file => BY_CONTENT.test(file));
    } catch {
        return null;
    }
}

/** Throws unless `folder` is missing, empty, or holds a page that was built before. */
export function checkFolder(folder) {
    const stat = fs.statSync(folder, { throwIfNoEntry: false });
    if (!stat) return;
    if (!stat.isDirectory()) throw new Error(`${folder}: expected a folder for the page, this is a file`);
    const names = fs.readdirSync(folder).sort();
    // One that was killed while files took their places has no manifest yet.
    const ours = names.length === 0 || names.includes(UNFINISHED) || earlier(folder) !== null;
    if (!ours) {
        throw new Error(`${folder}: holds files that are no earlier build of the page (such as ${names[0]}); `
            + "expected an empty or new folder, or one that was built into before");
    }
}

/**
 * Makes `folder` hold the page `files`, pairs of a relative path and bytes; all of them are written before the first
 * takes its place. What an earlier build left under names of other contents goes, files of others stay.
 */
export function publish(folder, files) {
    checkFolder(folder);
    const stale = earlier(folder) ?? [];
    const unfinished = path.join(folder, UNFINISHED);
    fs.rmSync(unfinished, { recursive: true, force: true });
    const put = (from, name, write) => {
        const file = path.join(from, name);
        fs.mkdirSync(path.dirname(file), { recursive: true });
        write(file);
    };
    for (const [name, bytes] of files) put(unfinished, name, file => fs.writeFileSync(file, bytes));
    // In their order: who opens the page meanwhile gets the old one or the new one.
    for (const [name] of files) put(folder, name, file => fs.renameSync(path.join(unfinished, name), file));
    fs.rmSync(unfinished, { recursive: true, force: true });
    const names = new Set(files.map(([name]) => name));
    for (const file of stale.map(file => `web/files/${file}`).filter(file => !names.has(file))) {
        fs.rmSync(path.join(folder, file), { force: true });
    }
}
