// Keeps the screen on while a run learns: a computer that falls asleep trains nothing, and a page can ask for no less.

let wanted = false;
/** The lock, or the request for it. A browser takes a lock back when its page is hidden. */
let held = null;

async function hold() {
    if (!wanted || held || document.visibilityState !== "visible" || !navigator.wakeLock) return;
    const request = navigator.wakeLock.request("screen");
    held = request;
    const forget = () => {
        if (held === request) held = null;
    };
    try {
        (await request).addEventListener("release", forget);
    } catch {
        // Refused, as where the battery is low: then the computer may sleep.
        forget();
    }
}

/** Keeps the screen on from now, or no longer. */
export function stayAwake(on) {
    wanted = on;
    if (on) return void hold();
    held?.then(lock => lock.release(), () => {});
    held = null;
}

document.addEventListener("visibilitychange", hold);
