// A masked autoencoder in jax-js, for the page that `jax_peer.mjs` opens.
import { defaultDevice, init, jit, nn, numpy as np, tree, valueAndGrad } from "./dist/index.js";

const BLOCK = { before: ["layernorm_before"], after: ["layernorm_after"], out: ["attention.o_proj"], fc1: ["mlp.fc1"],
    fc2: ["mlp.fc2"], qkv: ["q", "k", "v"].map(which => `attention.${which}_proj`) };
const LAYERS = { embedding: "vit.embeddings.patch_embeddings.projection", encoderNorm: "vit.layernorm",
    decoderEmbed: "decoder.decoder_embed", decoderNorm: "decoder.decoder_norm", pred: "decoder.decoder_pred" };

/** Metadata and tensors of a safetensors file of f32. */
function readCase(buffer) {
    const length = Number(new DataView(buffer).getBigUint64(0, true));
    const { __metadata__: metadata, ...entries } = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
    const tensors = Object.fromEntries(Object.entries(entries).map(([name, { dtype, shape, data_offsets: [from, to] }]) => {
        if (dtype !== "F32") throw new Error(`${name} is ${dtype}, expected F32`);
        return [name, { shape, values: new Float32Array(buffer.slice(8 + length + from, 8 + length + to)) }];
    }));
    return { model: JSON.parse(metadata.model), optimiser: JSON.parse(metadata.optimiser), tensors };
}

/** The weights as a tree, biases beside weights of `[out, in]`. */
function parameters({ model, tensors }) {
    const array = (name, shape) => np.array(tensors[name].values, { shape: shape ?? tensors[name].shape });
    const joined = (names, kind) => {
        const parts = names.map(name => tensors[`param/${name}.${kind}`]);
        const [rows, ...rest] = parts[0].shape;
        const columns = rest.reduce((product, extent) => product * extent, 1);
        const shape = rest.length > 0 ? [rows * parts.length, columns] : [rows * parts.length];
        return np.concatenate(parts.map(({ values }) => np.array(values))).reshape(shape);
    };
    const layer = names => ({ weight: joined(names, "weight"), bias: joined(names, "bias") });
    const block = name => Object.fromEntries(
        Object.entries(BLOCK).map(([key, names]) => [key, layer(names.map(part => `${name}.${part}`))]));
    const blocks = (name, count) => Array.from({ length: count }, (_, index) => block(`${name}.${index}`));
    return {
        ...Object.fromEntries(Object.entries(LAYERS).map(([key, name]) => [key, layer([name])])),
        encoder: blocks("vit.layers", model.depth),
        decoder: blocks("decoder.decoder_layers", model.decoder_depth),
        classToken: array("param/vit.embeddings.cls_token"),
        hidden: array("param/decoder.mask_token"),
    };
}

const linear = (x, { weight, bias }) => np.matmul(x, weight.transpose()).add(bias);

function layerNorm(x, { weight, bias }, eps) {
    const centred = x.ref.sub(x.mean(-1, { keepdims: true }));
    const deviation = np.sqrt(np.square(centred.ref).mean(-1, { keepdims: true }).add(eps));
    return centred.div(deviation).mul(weight).add(bias);
}

/** A block on `[batch * tokens, width]`. */
function block(x, p, { batch, tokens, width, heads, eps }) {
    const qkv = linear(layerNorm(x.ref, p.before, eps), p.qkv).reshape([batch, tokens, 3, heads, width / heads]);
    const [q, k, v] = np.split(qkv, 3, 2).map(part => part.reshape([batch, tokens, heads, width / heads]));
    x = x.add(linear(nn.dotProductAttention(q, k, v).reshape([batch * tokens, width]), p.out));
    const inner = nn.gelu(linear(layerNorm(x.ref, p.after, eps), p.fc1), { approximate: false });
    return x.add(linear(inner, p.fc2));
}

/** Places of the visible patches and of all, as rows of a whole batch, and 1 for each hidden one. */
function masks(noise, batch, count, visible) {
    const [keep, restore, mask] = [new Int32Array(batch * visible), new Int32Array(batch * count), new Float32Array(batch * count)];
    for (let at = 0; at < batch; at++) {
        const row = noise.subarray(at * count, (at + 1) * count);
        const order = Array.from(row.keys()).sort((a, b) => row[a] - row[b] || a - b);
        order.forEach((patch, place) => {
            if (place < visible) keep[at * visible + place] = at * count + patch;
            // Hidden patches all take the one row after the last visible one of their picture.
            restore[at * count + patch] = at * count + place;
            mask[at * count + patch] = place < visible ? 0 : 1;
        });
    }
    return { keep: np.array(keep), restore: np.array(restore), mask: np.array(mask, { shape: [batch, count] }) };
}

/** The step of the case: what it trains, and a function that does `steps` more steps. */
export async function open(buffer) {
    if (!(await init("webgpu")).includes("webgpu")) throw new Error("jax-js finds no WebGPU here");
    defaultDevice("webgpu");
    const file = readCase(buffer);
    const { model: shape, optimiser: { rate, adamw } } = file;
    if (shape.encoder_sees_masks) throw new Error("encoder_sees_masks is not done here");
    const [batch] = file.tensors["input/pixel_values"].shape;
    const [patch, grid, width, small] = [shape.patch_size, shape.image_size / shape.patch_size, shape.width, shape.decoder_width];
    const [count, length, eps] = [grid ** 2, 3 * patch ** 2, shape.layer_norm_eps];
    const visible = Math.max(1, Math.floor(count * (1 - shape.mask_ratio)));
    const encoding = { batch, tokens: visible + 1, width, heads: shape.heads, eps };
    const decoding = { batch, tokens: count + 1, width: small, heads: shape.decoder_heads, eps };
    const given = name => np.array(file.tensors[name].values, { shape: file.tensors[name].shape });
    const constants = {
        image: given("input/pixel_values"),
        positions: given("param/vit.embeddings.position_embeddings").reshape([count + 1, width]),
        decoderPositions: given("param/decoder.decoder_pos_embed"),
        one: np.ones([1]),
        ...masks(file.tensors["input/noise"].values, batch, count, visible),
    };

    function loss(p, c) {
        const patches = c.image.reshape([batch, 3, grid, patch, grid, patch]);
        const pixels = patches.ref.transpose([0, 2, 4, 1, 3, 5]).reshape([batch * count, length]);
        // As Unmask does it, hidden patches are dropped before the projection.
        const [first, rest] = np.split(c.positions, [1], 0);
        const places = np.tile(rest, [batch, 1]);
        const tokens = linear(np.take(pixels, c.keep.ref, 0), p.embedding).add(np.take(places, c.keep, 0));
        const heading = np.broadcastTo(p.classToken.add(first.reshape([1, 1, width])), [batch, 1, width]);
        let x = np.concatenate([heading, tokens.reshape([batch, visible, width])], 1).reshape([-1, width]);
        for (const each of p.encoder) x = block(x, each, encoding);
        x = linear(layerNorm(x, p.encoderNorm, eps), p.decoderEmbed).reshape([batch, visible + 1, small]);
        const [start, seen] = np.split(x, [1], 1);
        const hidden = np.broadcastTo(p.hidden, [batch, count - visible, small]);
        const shuffled = np.concatenate([seen, hidden], 1).reshape([batch * count, small]);
        // A factor of one: the gradient of what is taken must not be a mere view of another tensor (jax-js 0.1.25).
        const placed = np.take(shuffled, c.restore, 0).mul(c.one).reshape([batch, count, small]);
        x = np.concatenate([start, placed], 1).add(c.decoderPositions).reshape([-1, small]);
        for (const each of p.decoder) x = block(x, each, decoding);
        const all = layerNorm(x, p.decoderNorm, eps).reshape([batch, count + 1, small]);
        const pred = linear(np.split(all, [1], 1)[1].reshape([batch * count, small]), p.pred).reshape([batch, count, length]);
        let target = patches.transpose([0, 2, 4, 3, 5, 1]).reshape([batch, count, length]);
        if (shape.norm_pix_loss) {
            const centred = target.ref.sub(target.mean(-1, { keepdims: true }));
            const variance = np.square(centred.ref).sum(-1, { keepdims: true }).div(length - 1);
            target = centred.div(np.sqrt(variance.add(1e-6)));
        }
        const errors = np.square(pred.sub(target)).mean(-1);
        return errors.mul(c.mask.ref).sum().div(c.mask.sum());
    }

    const gradients = valueAndGrad(loss);
    const step = jit(function step(p, first, second, corrections, c) {
        const [value, g] = gradients(tree.ref(p), c);
        const [one, two] = np.split(corrections, 2).map(each => each.reshape([]));
        const next = { p: [], first: [], second: [] };
        const [weights, form] = tree.flatten(p);
        const [grads, firsts, seconds] = [g, first, second].map(each => tree.leaves(each));
        for (const [index, weight] of weights.entries()) {
            const grad = grads[index];
            const m = firsts[index].mul(adamw.beta1).add(grad.ref.mul(1 - adamw.beta1));
            const v = seconds[index].mul(adamw.beta2).add(np.square(grad).mul(1 - adamw.beta2));
            next.first.push(m.ref);
            next.second.push(v.ref);
            const decay = weight.ndim > 1 ? 1 - rate * adamw.weight_decay : 1;
            const change = m.div(one.ref).div(np.sqrt(v.div(two.ref)).add(adamw.eps)).mul(rate);
            next.p.push(weight.mul(decay).sub(change));
        }
        one.dispose();
        two.dispose();
        return [value, ...["p", "first", "second"].map(key => tree.unflatten(form, next[key]))];
    });

    let p = parameters(file);
    const zeros = () => tree.map(each => np.zeros(each.shape), p);
    let [first, second] = [zeros(), zeros()];
    let done = 0;
    async function turn(steps) {
        const answer = { ms: [], losses: [] };
        for (let at = 0; at < steps; at++) {
            const start = performance.now();
            done += 1;
            const corrections = np.array([1 - adamw.beta1 ** done, 1 - adamw.beta2 ** done]);
            let value;
            [value, p, first, second] = step(p, first, second, corrections, tree.ref(constants));
            answer.losses.push((await value.data())[0]);
            answer.ms.push(performance.now() - start);
        }
        return answer;
    }
    const counted = tree.leaves(p).reduce((sum, each) => sum + each.size, 0);
    return { turn, batch, parameters: counted };
}
