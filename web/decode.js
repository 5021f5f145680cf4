// A worker that decodes pictures with the browser's own decoders. It has no imports: the program holds its text.
//
// Its first message says that it runs: a page may forbid it, and would wait for answers in vain.
// Asked with { bytes, limit, port }, it answers on the port with { width, height, pixels } (RGBA, upright, on mid grey,
// the short side at most `limit`), or with null where the browser cannot tell the pixels.

const GREY = "rgb(128 128 128)";
const AS_STORED = { imageOrientation: "from-image", colorSpaceConversion: "none" };

function canvasOf(width, height) {
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    return context;
}

/** Whether a canvas gives back what was put into it: some browsers alter it, to hide which they are. */
function isHonest() {
    const side = 16;
    const context = canvasOf(side, side);
    const given = context.createImageData(side, side);
    for (let at = 0; at < given.data.length; at++) given.data[at] = at % 4 === 3 ? 255 : (at * 37) % 256;
    context.putImageData(given, 0, 0);
    const got = context.getImageData(0, 0, side, side).data;
    return got.every((value, at) => value === given.data[at]);
}

/** `image` on mid grey, as a canvas of the given size. */
function drawn(image, width, height) {
    const context = canvasOf(width, height);
    context.fillStyle = GREY;
    context.fillRect(0, 0, width, height);
    context.drawImage(image, 0, 0, width, height);
    return context;
}

/** Halves the picture while it is more than twice too large, which averages whole pixels in every browser. */
function reduced(bitmap, limit) {
    let { width, height } = bitmap;
    const short = Math.min(width, height);
    const scale = limit > 0 && short > limit ? limit / short : 1;
    const [w, h] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
    let image = bitmap;
    while (Math.min(width, height) >= 2 * Math.min(w, h) && scale < 1) {
        [width, height] = [Math.max(w, Math.round(width / 2)), Math.max(h, Math.round(height / 2))];
        image = drawn(image, width, height).canvas;
    }
    return drawn(image, w, h).getImageData(0, 0, w, h);
}

const honest = typeof OffscreenCanvas === "function" && isHonest();

postMessage("begun");

self.onmessage = async ({ data: { bytes, limit, port } }) => {
    let answer = null;
    try {
        if (honest) {
            const bitmap = await createImageBitmap(new Blob([bytes]), AS_STORED);
            const { width, height, data } = reduced(bitmap, limit);
            bitmap.close();
            answer = { width, height, pixels: new Uint8Array(data.buffer) };
        }
    } catch {
        // The program's own decoder says what is wrong.
    }
    port.postMessage(answer, answer ? [answer.pixels.buffer] : []);
};
