// The state of the latest run, kept in the browser's storage so that it outlives the page.

const [DATABASE, STORE, KEY] = ["unmask", "runs", "latest"];

function finished(request) {
    return new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
    });
}

/** Calls `work` with the store; storage can be full, or forbidden as in private windows. */
async function withStore(mode, work) {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    const database = await finished(request);
    try {
        const transaction = database.transaction(STORE, mode);
        const result = await finished(work(transaction.objectStore(STORE)));
        if (mode === "readwrite") {
            await new Promise((resolve, reject) => {
                transaction.oncomplete = resolve;
                transaction.onabort = () => reject(transaction.error);
            });
        }
        return result;
    } finally {
        database.close();
    }
}

let last = Promise.resolve();

/** Keeps `bytes`, the state of a run, in place of what was kept before. */
export function keep(bytes) {
    last = last
        .then(() => withStore("readwrite", store => store.put(bytes, KEY)))
        .catch(error => console.warn(`the run is not kept for the next visit: ${error}`));
    return last;
}

/** What was kept last; undefined where nothing was, or storage cannot be read. */
export function kept() {
    return withStore("readonly", store => store.get(KEY)).catch(error => {
        console.warn(`what was kept cannot be read: ${error}`);
        return undefined;
    });
}
