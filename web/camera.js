// The camera's frames into the app.

/** Side of the square that the app is given. */
const SIDE = 256;
/** Milliseconds between frames. */
const EVERY = 66;

/** A function that turns the camera on and off for `page`. */
export function startCamera(page) {
    let stream = null;
    let timer = 0;
    // Counts up whenever the camera is turned on or off: an answer to an earlier wish is out of date.
    let wish = 0;

    function stop() {
        clearInterval(timer);
        for (const track of stream?.getTracks() ?? []) track.stop();
        stream = null;
    }

    async function start(mine) {
        if (!navigator.mediaDevices?.getUserMedia) throw new Error("this browser lets pages use no camera here");
        const wanted = { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: "user" };
        const opened = await navigator.mediaDevices.getUserMedia({ video: wanted });
        if (mine !== wish) return opened.getTracks().forEach(track => track.stop());
        stream = opened;
        const video = document.createElement("video");
        video.muted = video.playsInline = true;
        video.srcObject = stream;
        await video.play();
        if (mine !== wish) return;
        const context = new OffscreenCanvas(SIDE, SIDE).getContext("2d", { willReadFrequently: true });
        // A camera that faces its user is a mirror.
        if (stream.getVideoTracks()[0]?.getSettings().facingMode !== "environment") context.setTransform(-1, 0, 0, 1, SIDE, 0);
        stream.getVideoTracks()[0]?.addEventListener("ended", () => {
            stop();
            page.cameraOff("the camera was unplugged or taken away");
        });
        timer = setInterval(() => {
            const side = Math.min(video.videoWidth, video.videoHeight);
            if (!side || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
            const [x, y] = [(video.videoWidth - side) / 2, (video.videoHeight - side) / 2];
            context.drawImage(video, x, y, side, side, 0, 0, SIDE, SIDE);
            page.frame(SIDE, SIDE, new Uint8Array(context.getImageData(0, 0, SIDE, SIDE).data.buffer));
        }, EVERY);
    }

    return on => {
        wish += 1;
        stop();
        if (!on) return;
        const mine = wish;
        start(mine).catch(error => {
            if (mine !== wish) return;
            stop();
            const denied = error?.name === "NotAllowedError";
            page.cameraOff(denied
                ? "the camera is not allowed here: allow it beside the page's address, then press Camera again"
                : `the camera does not work: ${error?.message ?? error}`);
        });
    };
}
