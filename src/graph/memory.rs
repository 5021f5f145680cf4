//! Which tensors share a buffer: greedy over lifetimes.

/// A tensor's need of memory.
#[derive(Clone, Debug)]
pub(super) struct Lifetime {
    /// Bytes.
    pub bytes: u64,
    /// Positions of the ops that use it, ascending; the first writes it, the others read it.
    pub used: Vec<usize>,
    /// Position of the op before which nothing else may take its place.
    pub last: usize,
}

impl Lifetime {
    fn first(&self) -> usize {
        self.used.first().copied().unwrap_or(self.last)
    }

    fn overlaps(&self, other: &Lifetime) -> bool {
        self.first() <= other.last && other.first() <= self.last
    }

    /// Whether an op uses both and writes one of them.
    fn meets(&self, other: &Lifetime) -> bool {
        let uses = |lifetime: &Lifetime, op: usize| lifetime.used.binary_search(&op).is_ok();
        uses(self, other.first()) || uses(other, self.first())
    }
}

/// Tensors placed in slots; of those in one slot that live at once none lie on each other, and no op uses two and writes
/// one.
#[derive(Clone, Debug, Default)]
pub(super) struct Assignment {
    /// Slot of each lifetime and first byte in it, in the order given.
    pub place: Vec<(usize, u64)>,
    /// Bytes of each slot.
    pub bytes: Vec<u64>,
    /// Most bytes live at one time: no assignment does with less.
    pub lower_bound: u64,
}

impl Assignment {
    fn total(&self) -> u64 {
        self.bytes.iter().sum()
    }
}

/// Places within a slot begin at multiples of this, which is as much as any adapter asks of a binding.
const ALIGNMENT: u64 = 256;

/// Assigns slots to `lifetimes`, in each of several orders, of which the one that takes the least memory counts: by size,
/// where what is large decides; by time, where something large lives so shortly that others should not be kept to it.
///
/// An op's inputs and outputs never share a slot: WebGPU forbids a dispatch to bind one buffer for reading and for
/// writing. So a slot has one tensor at a time, as long as that takes little more than the least there could be; else
/// tensors that no op uses together may lie side by side in one.
pub(super) fn assign(lifetimes: &[Lifetime]) -> Assignment {
    let by = |key: fn(&Lifetime) -> u64, place: fn(&[Lifetime], &[usize]) -> Assignment| {
        let mut order: Vec<usize> = (0..lifetimes.len()).collect();
        order.sort_by_key(|index| (key(&lifetimes[*index]), lifetimes[*index].first(), *index));
        place(lifetimes, &order)
    };
    let orders: [fn(&Lifetime) -> u64; 4] = [
        |lifetime| u64::MAX - lifetime.bytes,
        |lifetime| u64::MAX - lifetime.bytes * (1 + lifetime.last - lifetime.first()) as u64,
        |lifetime| lifetime.first() as u64,
        |lifetime| u64::MAX - lifetime.last as u64,
    ];
    // The first of the best: the same on every machine.
    let best = |place| orders.map(|key| by(key, place)).into_iter().min_by_key(Assignment::total).unwrap_or_default();
    let alone = best(in_order);
    // A twentieth more is no reason to have more in a slot.
    if alone.total() <= alone.lower_bound + alone.lower_bound / 20 {
        return alone;
    }
    let packed = best(side_by_side);
    if packed.total() < alone.total() { packed } else { alone }
}

/// Assigns slots in the given order: each tensor to the free slot that fits it best, one that it makes larger only where
/// none is large enough.
fn in_order(lifetimes: &[Lifetime], order: &[usize]) -> Assignment {
    let mut slots: Vec<(u64, Vec<&Lifetime>)> = Vec::new();
    let mut place = vec![(0, 0); lifetimes.len()];
    for index in order.iter().copied() {
        let lifetime = &lifetimes[index];
        let free = slots
            .iter()
            .enumerate()
            .filter(|(_, (_, tenants))| !tenants.iter().any(|other| other.overlaps(lifetime)))
            .min_by_key(|(_, (bytes, _))| (*bytes < lifetime.bytes, bytes.abs_diff(lifetime.bytes)))
            .map(|(place, _)| place);
        let chosen = free.unwrap_or_else(|| {
            slots.push((0, Vec::new()));
            slots.len() - 1
        });
        slots[chosen].0 = slots[chosen].0.max(lifetime.bytes);
        slots[chosen].1.push(lifetime);
        place[index].0 = chosen;
    }
    Assignment {
        place,
        bytes: slots.into_iter().map(|(bytes, _)| bytes).collect(),
        lower_bound: lower_bound(lifetimes),
    }
}

/// Places tensors in the given order: each where it makes a slot grow the least, but for slots that would grow beyond the
/// largest tensor, since that is what the adapter is known to bind.
fn side_by_side(lifetimes: &[Lifetime], order: &[usize]) -> Assignment {
    let most = lifetimes.iter().map(|lifetime| lifetime.bytes).max().unwrap_or(0);
    let mut slots: Vec<(u64, Vec<usize>)> = Vec::new();
    let mut place = vec![(0, 0); lifetimes.len()];
    for index in order.iter().copied() {
        let lifetime = &lifetimes[index];
        let mut chosen: Option<(u64, usize, u64)> = None;
        for (slot, (bytes, tenants)) in slots.iter().enumerate() {
            let together = || tenants.iter().filter(|other| lifetimes[**other].overlaps(lifetime));
            if together().any(|other| lifetimes[*other].meets(lifetime)) {
                continue;
            }
            let mut taken: Vec<(u64, u64)> =
                together().map(|other| (place[*other].1, lifetimes[*other].bytes)).collect();
            taken.sort_unstable();
            let mut offset = 0;
            for (start, bytes) in taken {
                if offset + lifetime.bytes <= start {
                    break;
                }
                offset = offset.max((start + bytes).next_multiple_of(ALIGNMENT));
            }
            let end = offset + lifetime.bytes;
            let growth = end.saturating_sub(*bytes);
            let better = growth < lifetime.bytes && chosen.is_none_or(|(least, ..)| growth < least);
            if better && end.max(*bytes) <= most {
                chosen = Some((growth, slot, offset));
            }
        }
        let (_, slot, offset) = chosen.unwrap_or_else(|| {
            slots.push((0, Vec::new()));
            (0, slots.len() - 1, 0)
        });
        slots[slot].0 = slots[slot].0.max(offset + lifetime.bytes);
        slots[slot].1.push(index);
        place[index] = (slot, offset);
    }
    Assignment {
        place,
        bytes: slots.into_iter().map(|(bytes, _)| bytes).collect(),
        lower_bound: lower_bound(lifetimes),
    }
}

fn lower_bound(lifetimes: &[Lifetime]) -> u64 {
    let end = lifetimes.iter().map(|lifetime| lifetime.last + 2).max().unwrap_or(0);
    let mut change = vec![0i64; end];
    for lifetime in lifetimes {
        change[lifetime.first()] += lifetime.bytes as i64;
        change[lifetime.last + 1] -= lifetime.bytes as i64;
    }
    let mut live = 0;
    change
        .iter()
        .map(|step| {
            live += step;
            live
        })
        .max()
        .unwrap_or(0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_that_live_together_never_share() {
        // A pseudo-random soup of lifetimes, checked pair by pair.
        let mut state = 1u64;
        let mut next = |range: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % range
        };
        let lifetimes: Vec<Lifetime> = (0..300)
            .map(|_| {
                let first = next(100) as usize;
                let mut used: Vec<usize> = (0..next(3)).map(|_| first + next(12) as usize).chain([first]).collect();
                used.sort_unstable();
                used.dedup();
                let last = used.last().copied().unwrap_or(first);
                Lifetime { bytes: 4 + 4 * next(1000), used, last }
            })
            .collect();
        let order: Vec<usize> = (0..lifetimes.len()).collect();
        let found = [assign(&lifetimes), in_order(&lifetimes, &order), side_by_side(&lifetimes, &order)];
        for (alone, assignment) in [false, true, false].into_iter().zip(&found) {
            for (i, a) in lifetimes.iter().enumerate() {
                let (slot, offset) = assignment.place[i];
                assert!(assignment.bytes[slot] >= offset + a.bytes && offset.is_multiple_of(ALIGNMENT));
                for (j, b) in lifetimes.iter().enumerate().skip(i + 1) {
                    let (other, at) = assignment.place[j];
                    if slot == other && a.overlaps(b) {
                        let apart = offset + a.bytes <= at || at + b.bytes <= offset;
                        assert!(!alone && apart && !a.meets(b), "{a:?} at {offset} and {b:?} at {at} in one slot");
                    }
                }
            }
            assert!(assignment.total() >= assignment.lower_bound);
            assert!(assignment.total() < lifetimes.iter().map(|l| l.bytes).sum::<u64>(), "nothing was shared");
        }
        assert!(found[0].total() <= found[1].total());
    }

    #[test]
    fn what_is_small_lies_side_by_side_where_something_large_was() {
        let tensor = |bytes: u64, used: &[usize]| Lifetime { bytes, used: used.to_vec(), last: used[used.len() - 1] };
        // A large one at first, then two of half its size that no op uses together, then one that is used with either.
        let lifetimes = [tensor(1024, &[0, 1]), tensor(512, &[3, 6]), tensor(512, &[4, 7]), tensor(256, &[1, 3, 4, 6])];
        let assignment = assign(&lifetimes);
        assert_eq!((assignment.total(), assignment.lower_bound), (1280, 1280));
        assert_eq!(assignment.place[1].0, assignment.place[2].0);
    }
}
