//! Lists that stay short however long what they tell of lasts.

use std::ops::Deref;

/// Entries that lie evenly over all that were ever added, and the newest.
#[derive(Debug)]
pub struct Thinned<T> {
    /// Every `stride`th of those added, from the first on; then the newest, where it is none of these.
    kept: Vec<T>,
    stride: usize,
    added: usize,
}

impl<T> Default for Thinned<T> {
    fn default() -> Thinned<T> {
        Thinned { kept: Vec::new(), stride: 1, added: 0 }
    }
}

impl<T> Deref for Thinned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.kept
    }
}

impl<T> Thinned<T> {
    /// Adds an entry; beyond `most` of them, 2 at least, every second one goes.
    pub fn push(&mut self, entry: T, most: usize) {
        if self.added > 0 && !(self.added - 1).is_multiple_of(self.stride) {
            self.kept.pop();
        }
        self.kept.push(entry);
        self.added += 1;
        while self.kept.len() > most.max(2) {
            let newest = self.kept.len() - 1;
            let mut index = 0;
            self.kept.retain(|_| {
                index += 1;
                (index - 1) % 2 == 0 || index - 1 == newest
            });
            self.stride *= 2;
        }
    }

    /// Forgets the entries from the first on of which `is_later` is true.
    pub fn cut(&mut self, is_later: impl Fn(&T) -> bool) {
        let left = self.kept.partition_point(|entry| !is_later(entry));
        if left < self.kept.len() {
            self.kept.truncate(left);
            self.added = left.saturating_sub(1) * self.stride + left.min(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_lie_evenly_over_all_and_the_newest_is_there() {
        for count in [1, 2, 3, 100, 101, 1000, 54_321] {
            let mut list = Thinned::default();
            (0..count).for_each(|entry| list.push(entry, 100));
            assert_eq!((list[0], list[list.len() - 1]), (0, count - 1));
            assert!(list.len() <= 100 && list.len() > 45.min(count - 1), "{count}: {}", list.len());
            let gaps: Vec<usize> = list.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let (last, others) = gaps.split_last().unwrap_or((&0, &[]));
            assert!(others.iter().all(|gap| gap == &others[0] && last <= gap), "{count}: {gaps:?}");
        }
    }

    #[test]
    fn what_was_cut_off_is_added_again_evenly() {
        for cut in [0, 1, 2, 500, 777, 999] {
            let mut list = Thinned::default();
            (0..1000).for_each(|entry| list.push(entry, 100));
            list.cut(|entry| *entry > cut);
            assert!(list.iter().all(|entry| *entry <= cut) && !list.is_empty());
            (list[list.len() - 1] + 1..5000).for_each(|entry| list.push(entry, 100));
            let gaps: Vec<usize> = list.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let (last, others) = gaps.split_last().expect("some");
            assert!(others.iter().all(|gap| gap == &others[0] && last <= gap), "{cut}: {gaps:?}");
        }
    }
}
