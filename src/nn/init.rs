//! Initial values of parameters, drawn from counter-based streams.

/// How a parameter starts.
#[derive(Clone, Debug, PartialEq)]
pub enum Init {
    /// All zero.
    Zeros,
    /// All one.
    Ones,
    /// Normal with mean zero.
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// Uniform in ± sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010).
    XavierUniform {
        /// Inputs of the layer.
        fan_in: usize,
        /// Outputs of the layer.
        fan_out: usize,
    },
    /// Uniform in ± `bound`.
    Uniform {
        /// Largest magnitude.
        bound: f64,
    },
    /// Given values.
    Table(Vec<f32>),
}

impl Init {
    /// `len` values; a pure function of `seed` and `name`, whatever else the model holds.
    pub fn values(&self, len: usize, seed: u64, name: &str) -> Vec<f32> {
        let mut stream = Stream::new(seed, name);
        match self {
            Init::Zeros => vec![0.0; len],
            Init::Ones => vec![1.0; len],
            Init::Normal { std } => (0..len).map(|_| (stream.normal() * std) as f32).collect(),
            Init::XavierUniform { fan_in, fan_out } => {
                let bound = (6.0 / (fan_in + fan_out) as f64).sqrt();
                (0..len).map(|_| ((stream.unit() * 2.0 - 1.0) * bound) as f32).collect()
            }
            Init::Uniform { bound } => (0..len).map(|_| ((stream.unit() * 2.0 - 1.0) * bound) as f32).collect(),
            Init::Table(values) => values.clone(),
        }
    }
}

/// A stream of random numbers: SplitMix64 (Steele, Lea and Flood 2014) on a counter.
#[derive(Clone, Debug)]
pub struct Stream(u64);

impl Stream {
    /// The stream of `name` under `seed`.
    pub fn new(seed: u64, name: &str) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for byte in seed.to_le_bytes().into_iter().chain(name.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Stream(hash)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Standard normal, by Box and Muller.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_have_the_moments_they_claim() {
        let normal = Init::Normal { std: 0.02 }.values(100_000, 1, "a");
        let mean = normal.iter().map(|x| f64::from(*x)).sum::<f64>() / 1e5;
        let std = (normal.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / 1e5).sqrt();
        assert!(mean.abs() < 3e-4 && (std - 0.02).abs() < 2e-4, "mean {mean}, std {std}");
        let xavier = Init::XavierUniform { fan_in: 100, fan_out: 50 }.values(100_000, 1, "a");
        let most = xavier.iter().fold(0f32, |a, b| a.max(b.abs()));
        assert!((most - 0.2).abs() < 1e-3, "largest {most}");
    }

    #[test]
    fn values_depend_on_seed_and_name() {
        let init = Init::Uniform { bound: 1.0 };
        assert_eq!(init.values(4, 1, "a"), init.values(4, 1, "a"));
        assert_ne!(init.values(4, 1, "a"), init.values(4, 2, "a"));
        assert_ne!(init.values(4, 1, "a"), init.values(4, 1, "b"));
    }
}
