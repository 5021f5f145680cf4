//! Pictures that cannot be read, and when there are too many of them.

use std::collections::VecDeque;

use crate::train::TrainError;

/// Unreadable files that an error names.
const MOST_TOLD: usize = 5;
/// Unreadable files that are no matter, whatever their share.
const FEW: u64 = 16;
/// Streamed files whose share of unreadable ones is looked at beside that of all.
const RECENT: usize = 1024;

/// Fails where more than the share `most` of `tried` files have `failed`, `spare` of them not counted. `names` are
/// those of some.
fn check_share(failed: u64, tried: u64, most: f64, spare: u64, names: &[String]) -> Result<(), TrainError> {
    match failed.saturating_sub(spare) as f64 > most * tried as f64 {
        true => {
            let names = names.iter().take(MOST_TOLD).cloned().collect();
            Err(TrainError::Unreadable { failed, tried, most, names })
        }
        false => Ok(()),
    }
}

/// Fails where too many of a set of `readable` pictures and those that are `skipped` cannot be read: more than the
/// share `most`. A few are no matter as long as most can be read and some are allowed at all.
pub fn check_set(readable: usize, skipped: &[String], most: f64) -> Result<(), TrainError> {
    let spare = if most > 0.0 && skipped.len() < readable { FEW } else { 0 };
    let failed = skipped.len() as u64;
    check_share(failed, readable as u64 + failed, most, spare, skipped)
}

/// Fails where so many of a set of `count` are `skipped` that [`check_set`] will fail whatever becomes of the rest, of
/// which `readable` could be read so far. Which share of them are broken tells less: they may lie side by side.
pub fn check_so_far(readable: usize, count: usize, skipped: &[String], most: f64) -> Result<(), TrainError> {
    let failed = skipped.len();
    match check_set(count.saturating_sub(failed), skipped, most) {
        Ok(()) => Ok(()),
        // Of those that were tried.
        Err(_) => check_set(readable, skipped, most),
    }
}

/// An error that tells of the `first` file that cannot be read what is wrong with it.
pub fn with_first(mut error: TrainError, first: Option<&str>) -> TrainError {
    if let (TrainError::Unreadable { names, .. }, Some(first)) = (&mut error, first)
        && let Some(name) = names.first_mut()
    {
        *name = first.to_owned();
    }
    error
}

/// How many streamed files could not be read, of all that this process tried and of the latest.
///
/// All tell of a share that is a little too large, and the latest of a disk that went away after a million good ones.
#[derive(Debug, Default)]
pub struct Failures {
    /// All that were tried.
    pub tried: u64,
    /// Those of them that could not be read.
    pub failed: u64,
    recent: VecDeque<bool>,
    recent_failed: u64,
    /// Names of the latest that could not be read.
    pub latest: Vec<String>,
}

impl Failures {
    /// Takes note of a file, by its name where it could not be read; fails where more of them could not be read than
    /// the share `most` allows.
    pub fn note(&mut self, unreadable: Option<&str>, most: f64) -> Result<(), TrainError> {
        let failed = unreadable.is_some();
        self.tried += 1;
        self.failed += u64::from(failed);
        self.recent.push_back(failed);
        self.recent_failed += u64::from(failed);
        if self.recent.len() > RECENT && self.recent.pop_front() == Some(true) {
            self.recent_failed -= 1;
        }
        let Some(name) = unreadable else { return Ok(()) };
        if !self.latest.iter().any(|known| known == name) {
            self.latest.insert(0, name.to_owned());
            self.latest.truncate(MOST_TOLD);
        }
        let recent = self.recent.len() as u64;
        // A few files more than the share are no reason to stop at the very start; nor, of the latest, what chance
        // makes of a share that is allowed: four standard deviations.
        let chance = (4.0 * (most * recent as f64).sqrt()) as u64;
        let few = if most > 0.0 { FEW } else { 0 };
        check_share(self.failed, self.tried, most, few, &self.latest)?;
        check_share(self.recent_failed, recent, most, few.max(chance), &self.latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::kernels::Random;

    /// Feeds `count` files of which the share `broken` cannot be read; how many it took to fail.
    fn feed(failures: &mut Failures, count: u64, broken: f64, random: &mut Random) -> Option<(u64, TrainError)> {
        (1..=count).find_map(|tried| {
            let failed = (random.bits() as f64) < broken * f64::from(u32::MAX);
            let name = format!("{tried}.jpg");
            failures.note(failed.then_some(name.as_str()), 0.1).err().map(|error| (tried, error))
        })
    }

    #[test]
    fn a_disk_that_goes_away_late_is_noticed_soon() {
        let (mut failures, mut random) = (Failures::default(), Random(3));
        assert!(feed(&mut failures, 200_000, 0.08, &mut random).is_none());
        let (tried, error) = feed(&mut failures, 200_000, 1.0, &mut random).expect("given up");
        assert!(tried < 200, "after {tried}");
        let (told, latest) = (error.to_string(), format!("max_unreadable allows: {tried}.jpg, "));
        assert!(told.contains("of 1024 pictures cannot be read") && told.contains(&latest), "{error}");
        // The same right after a start or a resumption.
        let (tried, _) = feed(&mut Failures::default(), 1000, 1.0, &mut random).expect("given up");
        assert!(tried < 20, "after {tried}");
    }

    #[test]
    fn a_few_broken_files_of_resident_data_are_no_matter() {
        let check = |readable: usize, broken: usize, most: f64| {
            let names: Vec<String> = (0..broken).map(|index| format!("{index}.jpg")).collect();
            check_set(readable, &names, most).map_err(|error| error.to_string())
        };
        // Readable, broken, share.
        for (readable, broken, most) in
            [(7, 1, 0.1), (5, 3, 0.1), (100, 27, 0.1), (1, 9, 0.9), (9, 0, 0.0), (0, 3, 1.0)]
        {
            assert_eq!(check(readable, broken, most), Ok(()), "{broken} broken of {}", readable + broken);
        }
        for (readable, broken, most) in [(4, 4, 0.1), (1, 2, 0.1), (100, 29, 0.1), (99, 1, 0.0)] {
            assert!(check(readable, broken, most).is_err(), "{broken} broken of {}", readable + broken);
        }
        let told = check(1, 7, 0.1).expect_err("too many");
        let want = "7 of 8 pictures cannot be read, more than the share of 0.1 that max_unreadable allows: \
                    0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg and 2 more; ";
        assert!(told.starts_with(want), "{told}");
    }

    #[test]
    fn a_disk_that_goes_away_is_noticed_before_all_files_were_tried() {
        let names: Vec<String> = (0..130).map(|index| format!("{index}.jpg")).collect();
        // The whole of one folder may be broken.
        assert!(check_so_far(0, 10_000, &names, 0.1).is_ok() && check_so_far(70, 1000, &names[..116], 0.1).is_ok());
        let error = check_so_far(70, 1000, &names, 0.1).expect_err("too many, whatever follows");
        let told = with_first(error, Some("0.jpg: cannot be read: gone")).to_string();
        let want = "130 of 200 pictures cannot be read, more than the share of 0.1 that max_unreadable allows: \
                    0.jpg: cannot be read: gone, 1.jpg, 2.jpg, 3.jpg, 4.jpg and 125 more; ";
        assert!(told.starts_with(want), "{told}");
        assert!(check_so_far(0, 3, &names[..3], 1.0).is_ok() && check_so_far(99, 1000, &names[..1], 0.0).is_err());
    }

    #[test]
    fn a_share_that_is_a_little_too_large_is_noticed_at_last() {
        let (tried, error) = feed(&mut Failures::default(), 100_000, 0.12, &mut Random(4)).expect("given up");
        assert!(tried > 100 && matches!(error, TrainError::Unreadable { most: 0.1, .. }), "after {tried}: {error}");
    }
}
