// Serves a folder on this machine: node web/serve.mjs FOLDER [PORT]. No headers beyond the types of files.
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";

const TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".md": "text/plain; charset=utf-8",
    ".ts": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".wasm": "application/wasm",
};

/** A server of `folder` at `port` of this machine only; 0 for any that is free. */
export function serve(folder, port = 0) {
    const base = path.resolve(folder);
    const server = http.createServer((request, response) => {
        const answer = (status, text) => response.writeHead(status, { "Content-Type": "text/plain" }).end(text);
        let file;
        try {
            file = path.join(base, decodeURIComponent(new URL(request.url, "http://localhost").pathname));
        } catch {
            return answer(400, "bad address");
        }
        if (file !== base && !file.startsWith(base + path.sep)) return answer(403, "outside");
        let size;
        try {
            if (fs.statSync(file).isDirectory()) file = path.join(file, "index.html");
            size = fs.statSync(file).size;
        } catch {
            // Missing, or no path at all: a name too long, one below a file, one with a zero byte.
            return answer(404, "no such file");
        }
        const type = TYPES[path.extname(file)] ?? "application/octet-stream";
        response.writeHead(200, { "Content-Type": type, "Content-Length": size, "Cache-Control": "no-cache" });
        fs.createReadStream(file).on("error", () => response.destroy()).pipe(response);
    });
    return new Promise((resolve, reject) => {
        server.on("error", reject);
        server.listen(port, "127.0.0.1", () => resolve(server));
    });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const [folder = "web/dist", port = process.env.PORT ?? "8080"] = process.argv.slice(2);
    try {
        const server = await serve(folder, Number(port));
        console.log(`serving ${folder} at http://localhost:${server.address().port}/ (Ctrl-C ends it)`);
    } catch (error) {
        console.error(error.code === "EADDRINUSE" ? `port ${port} is taken: name another in PORT` : String(error));
        process.exit(1);
    }
}
