//! Which tensors share a buffer: greedy over lifetimes.

/// A tensor's need of memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetime {
    /// Bytes.
    pub bytes: u64,
    /// Position of the op that writes it first.
    pub first: usize,
    /// Position of the op that reads it last.
    pub last: usize,
}

impl Lifetime {
    fn overlaps(&self, other: &Lifetime) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Tensors placed in slots; no two in one slot live at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Assignment {
    /// Slot of each lifetime, in the order given.
    pub slot: Vec<usize>,
    /// Bytes of each slot.
    pub bytes: Vec<u64>,
    /// Most bytes live at one time: no assignment does with less.
    pub lower_bound: u64,
}

/// Assigns slots to `lifetimes`, in each of several orders, of which the one that takes the least memory counts: by size,
/// where what is large decides; by time, where something large lives so shortly that others should not be kept to it.
///
/// An op's inputs and outputs overlap by definition, so they never share a slot: WebGPU forbids a dispatch to bind one
/// buffer for reading and for writing.
pub(super) fn assign(lifetimes: &[Lifetime]) -> Assignment {
    let by = |key: fn(&Lifetime) -> u64| {
        let mut order: Vec<usize> = (0..lifetimes.len()).collect();
        order.sort_by_key(|index| (key(&lifetimes[*index]), lifetimes[*index].first, *index));
        in_order(lifetimes, &order)
    };
    let orders: [fn(&Lifetime) -> u64; 4] = [
        |lifetime| u64::MAX - lifetime.bytes,
        |lifetime| u64::MAX - lifetime.bytes * (1 + lifetime.last - lifetime.first) as u64,
        |lifetime| lifetime.first as u64,
        |lifetime| u64::MAX - lifetime.last as u64,
    ];
    let all = orders.map(by);
    // The first of the best: the same on every machine.
    all.into_iter().min_by_key(|found| found.bytes.iter().sum::<u64>()).unwrap_or_default()
}

/// Assigns slots in the given order: each tensor to the free slot that fits it best, one that it makes larger only where
/// none is large enough.
fn in_order(lifetimes: &[Lifetime], order: &[usize]) -> Assignment {
    let mut slots: Vec<(u64, Vec<Lifetime>)> = Vec::new();
    let mut slot = vec![0; lifetimes.len()];
    for index in order.iter().copied() {
        let lifetime = lifetimes[index];
        let free = slots
            .iter()
            .enumerate()
            .filter(|(_, (_, tenants))| !tenants.iter().any(|other| other.overlaps(&lifetime)))
            .min_by_key(|(_, (bytes, _))| (*bytes < lifetime.bytes, bytes.abs_diff(lifetime.bytes)))
            .map(|(place, _)| place);
        let chosen = free.unwrap_or_else(|| {
            slots.push((0, Vec::new()));
            slots.len() - 1
        });
        slots[chosen].0 = slots[chosen].0.max(lifetime.bytes);
        slots[chosen].1.push(lifetime);
        slot[index] = chosen;
    }
    Assignment { slot, bytes: slots.into_iter().map(|(bytes, _)| bytes).collect(), lower_bound: lower_bound(lifetimes) }
}

fn lower_bound(lifetimes: &[Lifetime]) -> u64 {
    let end = lifetimes.iter().map(|lifetime| lifetime.last + 2).max().unwrap_or(0);
    let mut change = vec![0i64; end];
    for lifetime in lifetimes {
        change[lifetime.first] += lifetime.bytes as i64;
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
                Lifetime { bytes: 4 + 4 * next(1000), first, last: first + next(12) as usize }
            })
            .collect();
        let assignment = assign(&lifetimes);
        for (i, a) in lifetimes.iter().enumerate() {
            assert!(assignment.bytes[assignment.slot[i]] >= a.bytes);
            for (j, b) in lifetimes.iter().enumerate().skip(i + 1) {
                assert!(assignment.slot[i] != assignment.slot[j] || !a.overlaps(b), "{a:?} and {b:?} share a slot");
            }
        }
        let total: u64 = assignment.bytes.iter().sum();
        assert!(total >= assignment.lower_bound);
        assert!(total < lifetimes.iter().map(|l| l.bytes).sum::<u64>(), "nothing was shared");
    }
}
