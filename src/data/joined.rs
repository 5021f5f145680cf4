//! Several data sets as one.

use std::sync::Arc;

use super::{DataError, Picture, Raw, Source, Split, open, split};

/// Sources one after the other.
struct Joined {
    sources: Vec<Arc<dyn Source>>,
    /// Where each begins.
    starts: Vec<usize>,
    len: usize,
}

impl Joined {
    /// The source that holds `index`, and the index within it.
    fn find(&self, index: usize) -> (&dyn Source, usize) {
        assert!(index < self.len, "picture {index} of {}", self.len);
        // The first begins at 0, so that at least one begins at or before any index.
        let at = self.starts.partition_point(|start| *start <= index) - 1;
        (self.sources[at].as_ref(), index - self.starts[at])
    }
}

impl Source for Joined {
    fn len(&self) -> usize {
        self.len
    }

    fn name(&self, index: usize) -> &str {
        let (source, index) = self.find(index);
        source.name(index)
    }

    fn label(&self, index: usize) -> Option<&str> {
        let (source, index) = self.find(index);
        source.label(index)
    }

    fn read(&self, index: usize) -> Result<Raw<'_>, DataError> {
        let (source, index) = self.find(index);
        source.read(index)
    }

    fn load(&self, index: usize, limit: Option<u32>) -> Result<Picture, DataError> {
        let (source, index) = self.find(index);
        source.load(index, limit)
    }
}

/// Sources one after the other, as one.
pub fn join(mut sources: Vec<Arc<dyn Source>>) -> Arc<dyn Source> {
    if sources.len() == 1 {
        return sources.remove(0);
    }
    let mut len = 0;
    let starts = sources
        .iter()
        .map(|source| {
            let start = len;
            len += source.len();
            start
        })
        .collect();
    Arc::new(Joined { sources, starts, len })
}

/// Opens the data sets `specs` as one, each with its own held-out tenth, so that what a set holds out alone it holds
/// out in company too.
///
/// # Errors
/// Those of [`open`].
pub fn open_all(specs: &[String]) -> Result<(Arc<dyn Source>, Split), DataError> {
    let sources: Vec<Arc<dyn Source>> = specs.iter().map(|spec| open(spec)).collect::<Result<_, _>>()?;
    let mut joint = Split::default();
    let mut first = 0;
    for source in &sources {
        let Split { train, held_out } = split(source.as_ref());
        joint.train.extend(train.into_iter().map(|index| first + index));
        joint.held_out.extend(held_out.into_iter().map(|index| first + index));
        first += source.len();
    }
    Ok((join(sources), joint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_set_holds_out_what_it_holds_out_alone() {
        let (alone, split_alone) = open_all(&["sample".to_owned()]).expect("a source");
        let (both, split_both) = open_all(&["sample".to_owned(), "sample".to_owned()]).expect("a source");
        assert_eq!(both.len(), 2 * alone.len());
        let twice: Vec<usize> =
            split_alone.held_out.iter().copied().chain(split_alone.held_out.iter().map(|i| i + alone.len())).collect();
        assert_eq!(split_both.held_out, twice);
        assert_eq!(both.name(alone.len() + 3), alone.name(3));
        assert_eq!(both.load(alone.len(), None).expect("a picture"), alone.load(0, None).expect("a picture"));
    }
}
