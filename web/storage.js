// The state of runs, kept in the browser's storage so that they outlive the page: one run a tab.

const DATABASE = "unmask";
/** The states, and when each was kept, which is read without them. */
const [STATES, TIMES] = ["states", "times"];
/** Runs of closed tabs that are kept beside those of open ones; older ones go. */
const MOST_LEFT = 4;
/** Where a tab remembers across reloads what its run is kept under. */
const OWN = "unmask run";

function finished(request) {
    return new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
    });
}

/** What the requests that `work` makes of both stores answer; storage can be full, or forbidden as in private windows. */
async function withStores(mode, work) {
    const request = indexedDB.open(DATABASE, 2);
    request.onupgradeneeded = () => [STATES, TIMES].forEach(name => request.result.createObjectStore(name));
    const database = await finished(request);
    try {
        const transaction = database.transaction([STATES, TIMES], mode);
        const done = new Promise((resolve, reject) => {
            transaction.oncomplete = resolve;
            transaction.onabort = () => reject(transaction.error);
        });
        const requests = work(transaction.objectStore(STATES), transaction.objectStore(TIMES));
        const [answers] = await Promise.all([Promise.all(requests.map(finished)), done]);
        return answers;
    } finally {
        database.close();
    }
}

/** Takes `key` for this tab; what gives it back, or null where another tab that is open has it. */
function take(key) {
    return new Promise((resolve, reject) => {
        navigator.locks.request(`unmask ${key}`, { ifAvailable: true }, lock => {
            if (!lock) return resolve(null);
            return new Promise(release => resolve(release));
        }).catch(reject);
    });
}

/** What this tab kept its run under before it was reloaded; a browser may forbid to remember. */
function remembered() {
    try {
        return sessionStorage.getItem(OWN);
    } catch {
        return null;
    }
}

function remember(key) {
    try {
        sessionStorage.setItem(OWN, key);
    } catch {
        // Then a reload offers the newest run that no tab has.
    }
}

/** What this tab keeps its run under, once it has kept one, and what gives that back. */
let own = {};
/** The run of a closed tab, or of this one before it was reloaded, that is offered and not gone on with yet. */
let offered;
/** Runs that began in this tab, and whether the state of the latest was kept when that was last tried. */
let runs = 0, stored = false;
/** Whether nothing was kept since it was told that nothing can be. */
let told = false;
let last = Promise.resolve();

/** A run begins; asks the browser not to clear away what is kept when it needs room. */
export function begin() {
    runs += 1;
    stored = false;
    if (offered) {
        // It is this run that goes on: another would have left it first.
        own = { key: offered.name, release: offered.release };
        remember(own.key);
        offered = undefined;
    }
    // Whether it agrees changes nothing: it may clear away what is kept either way.
    navigator.storage?.persist?.().catch(() => {});
}

/** The run that was offered, or that this tab kept, is not gone on with: it stays as it is, for other tabs. */
export function leave() {
    if (offered) {
        offered.release();
        offered = undefined;
        return;
    }
    const left = own;
    own = {};
    // Not before what is still being kept of it is there.
    last = last.then(() => left.release?.());
}

/** Whether the tab has a run whose state is not kept. */
export const isUnkept = () => runs > 0 && !stored;

/** Keeps `bytes`, the state of this tab's run, in place of what it kept before; `failed` is called with why not. */
export function keep(bytes, failed) {
    const [mine, run, time] = [own, runs, Date.now()];
    last = last.then(async () => {
        if (!mine.key) {
            const fresh = crypto.randomUUID();
            mine.release = await take(fresh);
            mine.key = fresh;
        }
        if (mine === own) remember(mine.key);
        await withStores("readwrite", (states, times) => [states.put(bytes, mine.key), times.put(time, mine.key)]);
        stored ||= run === runs;
        told = false;
    }).catch(error => {
        stored = false;
        // The same trouble comes again with every copy.
        if (!told) failed(error);
        told = true;
    });
    return last;
}

/**
 * This tab's run from before it was reloaded, else the newest that no open tab has: until `leave` no other tab takes it.
 * Undefined where there is none, where a run has begun here, or where storage cannot be read.
 */
export async function kept() {
    try {
        const [names, times] = await withStores("readonly", (_, times) => [times.getAllKeys(), times.getAll()]);
        const held = new Set((await navigator.locks.query()).held.map(({ name }) => name));
        const own = remembered();
        const left = names.map((name, index) => ({ name, time: name === own ? Infinity : times[index] }))
            .filter(({ name }) => !held.has(`unmask ${name}`))
            .sort((a, b) => b.time - a.time);
        for (const { name } of left.splice(MOST_LEFT)) {
            await withStores("readwrite", (states, times) => [states.delete(name), times.delete(name)]);
        }
        for (const { name } of left) {
            const release = await take(name);
            if (!release) continue;
            const [state] = await withStores("readonly", states => [states.get(name)]);
            if (runs > 0) {
                release();
                return undefined;
            }
            offered = { name, release };
            return state;
        }
    } catch (error) {
        console.warn(`what was kept cannot be read: ${error}`);
    }
    return undefined;
}
