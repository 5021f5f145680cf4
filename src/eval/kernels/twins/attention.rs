//! Multi-head attention over its whole matrix, and softmax.

/// Extents of one attention: batch, tokens, heads, head size.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Pictures.
    pub batch: usize,
    /// Tokens of a picture.
    pub tokens: usize,
    /// Heads.
    pub heads: usize,
    /// Size of a head.
    pub head: usize,
}

impl Shape {
    /// From batch, tokens, heads and head size.
    pub fn of((batch, tokens, heads, head): (usize, usize, usize, usize)) -> Self {
        Shape { batch, tokens, heads, head }
    }

    /// Of queries, keys and values together.
    pub fn qkv(self) -> [usize; 3] {
        [self.batch, self.tokens, 3 * self.heads * self.head]
    }

    /// Of the output.
    pub fn output(self) -> [usize; 3] {
        [self.batch, self.tokens, self.heads * self.head]
    }

    /// Where the query (0), key (1) or value (2) of a token and head begins in qkv.
    fn place(self, batch: usize, token: usize, part: usize, head: usize) -> usize {
        (((batch * self.tokens + token) * 3 + part) * self.heads + head) * self.head
    }

    /// Where a token and head begins in the output.
    fn place_out(self, batch: usize, token: usize, head: usize) -> usize {
        ((batch * self.tokens + token) * self.heads + head) * self.head
    }

    /// Calls `each` with batch and head.
    fn for_each_head(self, mut each: impl FnMut(usize, usize)) {
        for batch in 0..self.batch {
            for head in 0..self.heads {
                each(batch, head);
            }
        }
    }

    /// Scaled logits of one query.
    fn logits(self, qkv: &[f64], batch: usize, head: usize, query: usize) -> Vec<f64> {
        let q = &qkv[self.place(batch, query, 0, head)..][..self.head];
        let scale = (self.head as f64).sqrt().recip();
        (0..self.tokens).map(|key| scale * dot(q, &qkv[self.place(batch, key, 1, head)..][..self.head])).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add_scaled(to: &mut [f64], factor: f64, x: &[f64]) {
    for (to, x) in to.iter_mut().zip(x) {
        *to += factor * x;
    }
}

/// `ln Σ exp(x)`.
pub fn log_sum_exp(x: &[f64]) -> f64 {
    let most = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    most + x.iter().map(|x| (x - most).exp()).sum::<f64>().ln()
}

/// How much token `query` of the first batch element looks at each token, `[heads, tokens]`.
pub fn row(s: Shape, qkv: &[f64], query: usize) -> Vec<f64> {
    (0..s.heads).flat_map(|head| softmax(&s.logits(qkv, 0, head, query), s.tokens)).collect()
}

/// Output and log-sum-exp by the definition.
pub fn forward(s: Shape, qkv: &[f64]) -> [Vec<f64>; 2] {
    let mut o = vec![0.0; s.batch * s.tokens * s.heads * s.head];
    let mut lse = vec![0.0; s.batch * s.heads * s.tokens];
    s.for_each_head(|batch, head| {
        for query in 0..s.tokens {
            let logits = s.logits(qkv, batch, head, query);
            let normaliser = log_sum_exp(&logits);
            lse[(batch * s.heads + head) * s.tokens + query] = normaliser;
            let to = &mut o[s.place_out(batch, query, head)..][..s.head];
            for (key, logit) in logits.iter().enumerate() {
                add_scaled(to, (logit - normaliser).exp(), &qkv[s.place(batch, key, 2, head)..][..s.head]);
            }
        }
    });
    [o, lse]
}

/// Gradient of `Σ o dout` by the chain rule over the whole matrix.
pub fn backward(s: Shape, qkv: &[f64], dout: &[f64]) -> Vec<f64> {
    let mut dqkv = vec![0.0; qkv.len()];
    let scale = (s.head as f64).sqrt().recip();
    let part = |at: usize| &qkv[at..][..s.head];
    s.for_each_head(|batch, head| {
        for query in 0..s.tokens {
            let logits = s.logits(qkv, batch, head, query);
            let normaliser = log_sum_exp(&logits);
            let p: Vec<f64> = logits.iter().map(|logit| (logit - normaliser).exp()).collect();
            let dy = &dout[s.place_out(batch, query, head)..][..s.head];
            let dp: Vec<f64> = (0..s.tokens).map(|key| dot(dy, part(s.place(batch, key, 2, head)))).collect();
            let mean = dot(&p, &dp);
            let from_q = s.place(batch, query, 0, head);
            for key in 0..s.tokens {
                let slope = scale * p[key] * (dp[key] - mean);
                let (from_k, from_v) = (s.place(batch, key, 1, head), s.place(batch, key, 2, head));
                add_scaled(&mut dqkv[from_q..][..s.head], slope, part(from_k));
                add_scaled(&mut dqkv[from_k..][..s.head], slope, part(from_q));
                add_scaled(&mut dqkv[from_v..][..s.head], p[key], dy);
            }
        }
    });
    dqkv
}

/// Softmax of each row of `x [rows, columns]`.
pub fn softmax(x: &[f64], columns: usize) -> Vec<f64> {
    let row = |row: &[f64]| -> Vec<f64> {
        let normaliser = log_sum_exp(row);
        row.iter().map(|x| (x - normaliser).exp()).collect()
    };
    x.chunks(columns).flat_map(row).collect()
}

/// Gradient of [`softmax`] for `x`, from its result `y` and the gradient `dy` of that.
pub fn softmax_gradient(y: &[f64], dy: &[f64], columns: usize) -> Vec<f64> {
    let rows = y.chunks(columns).zip(dy.chunks(columns));
    rows.flat_map(|(y, dy)| y.iter().zip(dy).map(|(p, d)| p * (d - dot(y, dy))).collect::<Vec<f64>>()).collect()
}
