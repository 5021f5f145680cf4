//! Features as rows of numbers.

/// A row of features for each of some pictures, which lie one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Features {
    /// Numbers in a row.
    pub width: usize,
    /// The rows.
    pub values: Vec<f32>,
}

/// Added to the variance, as in the reference's linear probe.
const EPS: f64 = 1e-6;

impl Features {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Row `index`.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..][..self.width]
    }

    /// The `count` rows from `first` on, each at length 1; rows of zeros stay.
    pub(super) fn unit(&self, first: usize, count: usize) -> Vec<f32> {
        let mut rows = self.values[first * self.width..][..count * self.width].to_vec();
        for row in rows.chunks_mut(self.width) {
            let length = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            if length > 0.0 {
                row.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
            }
        }
        rows
    }

    /// What standardises these features and others like them.
    pub fn standard(&self) -> Standard {
        let n = self.len().max(1) as f64;
        let mut columns = vec![[0.0; 2]; self.width];
        for row in self.values.chunks(self.width.max(1)) {
            columns.iter_mut().zip(row).for_each(|([mean, _], x)| *mean += f64::from(*x) / n);
        }
        for row in self.values.chunks(self.width.max(1)) {
            let pairs = columns.iter_mut().zip(row);
            pairs.for_each(|([mean, variance], x)| *variance += (f64::from(*x) - *mean).powi(2) / n);
        }
        Standard(columns.into_iter().map(|[mean, variance]| [mean, (variance + EPS).sqrt()]).collect())
    }
}

/// Mean and deviation of each column of some features: a batch norm without gain and shift.
#[derive(Clone, Debug, PartialEq)]
pub struct Standard(Vec<[f64; 2]>);

impl Standard {
    /// `row` with these means subtracted and divided by these deviations.
    pub fn apply(&self, row: &[f32]) -> impl Iterator<Item = f32> {
        row.iter().zip(&self.0).map(|(x, [mean, std])| ((f64::from(*x) - mean) / std) as f32)
    }
}

/// Features with the class of each row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// The features.
    pub features: Features,
    /// Class of each row.
    pub classes: Vec<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_standardised() {
        let features = Features { width: 2, values: vec![1.0, 5.0, 3.0, 5.0] };
        let standard = features.standard();
        // A column that never changes is divided by what is added to its variance.
        for (row, want) in [([1.0, 5.0], [-1.0, 0.0]), ([5.0, 6.0], [3.0, 1000.0])] {
            let got: Vec<f32> = standard.apply(&row).collect();
            assert!(got.iter().zip(want).all(|(got, want)| (got - want).abs() <= 1e-3 * want.abs()), "{got:?}");
        }
    }

    #[test]
    fn rows_of_unit_length() {
        let features = Features { width: 2, values: vec![9.0, 9.0, 3.0, -4.0, 0.0, 0.0] };
        assert_eq!(features.unit(1, 2), [0.6, -0.8, 0.0, 0.0]);
        assert_eq!((features.len(), features.row(1)), (3, &[3.0, -4.0][..]));
        assert_eq!(Features::default().len(), 0);
    }
}
