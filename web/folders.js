// Folders dropped on the page: their files, those of the folders inside them included.

/** Bytes in words. */
const size = bytes => bytes < 1e9 ? `${Math.ceil(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;

/** What was dropped, as entries, where a folder is among it; else null. Entries are gone once the event is handled. */
export function droppedFolders(event) {
    const entries = [...(event.dataTransfer?.items ?? [])].map(item => item.webkitGetAsEntry?.()).filter(Boolean);
    return entries.some(entry => entry.isDirectory) ? entries : null;
}

/** The files among `entries` and in the folders among them, by their paths; within it, where it is one folder. */
async function walk(entries) {
    const files = [];
    // As the native program names them: which pictures are held out hangs on their names.
    const prefix = entries.length === 1 && entries[0].isDirectory ? `${entries[0].fullPath}/` : "/";
    const waiting = [...entries];
    for (let entry; (entry = waiting.pop());) {
        if (entry.isFile) {
            files.push([entry.fullPath.slice(prefix.length), entry]);
            continue;
        }
        const reader = entry.createReader();
        // A reader gives some at a time, and none at the end.
        for (let some; (some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject))).length;) {
            waiting.push(...some);
        }
    }
    // As the native program sorts them, so that the same seed draws the same pictures.
    return new Map(files.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * Reads those files in `entries` whose paths `choose` keeps. Gives their paths and for each its bytes, or why it cannot
 * be read; raises where there is none, or more than the `most` bytes that a page can hold.
 */
export async function readFolders(entries, choose, most) {
    const name = entries.map(entry => entry.name).join(", ");
    const found = await walk(entries);
    const chosen = choose([...found.keys()]);
    if (!chosen.length) throw new Error(`${name}: none of its ${found.size} files is a picture or holds pictures`);
    const files = [];
    let total = 0;
    for (const path of chosen) {
        const entry = found.get(path);
        const file = await new Promise((resolve, reject) => entry.file(resolve, reject)).catch(error => String(error));
        total += file.size ?? 0;
        files.push(file);
    }
    if (total > most) {
        throw new Error(`${name}: ${chosen.length} files of ${size(total)}, and a page can hold ${size(most)} of them. `
            + "Drop a part of them, or train in the desktop window, which reads pictures as it needs them.");
    }
    const contents = [];
    for (const file of files) {
        const bytes = typeof file === "string" ? file : await file.arrayBuffer().catch(error => String(error));
        contents.push(typeof bytes === "string" ? bytes : new Uint8Array(bytes));
    }
    return { paths: chosen, contents };
}
