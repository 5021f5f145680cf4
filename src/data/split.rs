//! The held-out part of a data set.

use super::Source;

/// Which pictures train a model and which measure it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Indices of the training pictures, ascending.
    pub train: Vec<usize>,
    /// Indices of the held-out pictures, ascending. Never trained on.
    pub held_out: Vec<usize>,
}

/// Most pictures of a source that are held out: more would only be missed in training.
const MOST: usize = 5000;

impl Split {
    /// At most `most` of the held-out pictures, evenly from all of them, so that classes and sets which lie one after
    /// the other all have their share.
    pub fn measured(&self, most: usize) -> Vec<usize> {
        let count = self.held_out.len().min(most);
        (0..count).map(|place| self.held_out[place * self.held_out.len() / count]).collect()
    }
}

/// Holds out a tenth of a source's pictures, rounded up, 5,000 at most; none of fewer than two.
///
/// A hash of the name alone decides, so the same names are held out on every machine, wherever
/// the folder lies and in whatever order it is listed. Names added or removed change the part of
/// few others.
pub fn split(source: &dyn Source) -> Split {
    let names: Vec<&str> = (0..source.len()).map(|index| source.name(index)).collect();
    split_names(&names)
}

fn split_names(names: &[&str]) -> Split {
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_cached_key(|&index| (fnv1a(names[index]), names[index]));
    let count = match names.len() {
        0 | 1 => 0,
        n => n.div_ceil(10).min(MOST),
    };
    let mut train = order.split_off(count);
    let mut held_out = order;
    train.sort_unstable();
    held_out.sort_unstable();
    Split { train, held_out }
}

/// 64 bit FNV-1a of a name's UTF-8 bytes.
fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|i| format!("class/photo_{i}.jpg")).collect()
    }

    fn split_of(names: &[String]) -> Split {
        split_names(&names.iter().map(String::as_str).collect::<Vec<_>>())
    }

    #[test]
    fn the_hash_is_fnv1a() {
        assert_eq!(fnv1a(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_tenth_is_held_out_rounded_up() {
        let counts = [(0, 0), (1, 0), (2, 1), (10, 1), (11, 2), (100, 10), (231, 24), (49_999, 5000), (70_000, 5000)];
        for (count, held_out) in counts {
            let split = split_of(&names(count));
            assert_eq!(split.held_out.len(), held_out, "of {count}");
            let mut all = [split.train.clone(), split.held_out.clone()].concat();
            assert!(split.train.is_sorted() && split.held_out.is_sorted());
            all.sort_unstable();
            assert!(all.into_iter().eq(0..count));
        }
    }

    #[test]
    fn what_is_measured_comes_from_everywhere() {
        let split = |count: usize| Split { train: Vec::new(), held_out: (0..count).map(|i| 3 * i).collect() };
        assert_eq!(split(3).measured(10), [0, 3, 6]);
        assert!(split(0).measured(10).is_empty());
        assert_eq!(split(1000).measured(4), [0, 750, 1500, 2250]);
    }

    #[test]
    fn the_order_of_names_does_not_matter() {
        let forward = names(57);
        let backward: Vec<String> = forward.iter().rev().cloned().collect();
        let pick = |names: &[String], split: &Split| {
            let mut picked: Vec<_> = split.held_out.iter().map(|&i| names[i].clone()).collect();
            picked.sort();
            picked
        };
        assert_eq!(pick(&forward, &split_of(&forward)), pick(&backward, &split_of(&backward)));
    }
}
