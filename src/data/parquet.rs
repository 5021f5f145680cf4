//! Parquet files with a column of pictures, as data sets on the Hugging Face hub come.
//!
//! Pages are compressed and hold many pictures each, so that none can be read on its own: the column is unpacked into a
//! temporary file once, page by page.

use std::io::{BufReader, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parquet::basic::Type;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::{ParquetError, Result as Parquet};
use parquet::file::reader::{ChunkReader, FileReader as _, Length, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use super::archive::{ArchiveSource, Member, Packing};
use super::watched::{Watched, WatchedStream};
use super::{DataError, MAX_FILE_BYTES, Source};
use crate::platform::{Bytes, Spool};

/// Pictures read at a time.
const AT_ONCE: usize = 16;
/// Names of columns that hold pictures; the first of these that is there counts. `bytes` is that of the hub's images.
const COLUMNS: [&str; 10] = ["bytes", "image", "img", "jpg", "jpeg", "png", "webp", "picture", "photo", "content"];

/// Names of columns that tell what a picture shows, numbers or texts; the first of these that is there counts.
const LABELS: [&str; 6] = ["label", "labels", "class", "cls", "category", "target"];

/// A file as the Parquet library reads it.
struct Pages(Watched);

impl Length for Pages {
    fn len(&self) -> u64 {
        self.0.size()
    }
}

impl ChunkReader for Pages {
    // Heads of pages are read byte by byte.
    type T = BufReader<WatchedStream>;

    fn get_read(&self, start: u64) -> Parquet<Self::T> {
        Ok(BufReader::new(self.0.stream(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Parquet<bytes::Bytes> {
        let read = self.0.read(start, length as u64).map_err(|error| ParquetError::General(error.to_string()))?;
        if read.len() != length {
            return Err(ParquetError::EOF(format!("{length} bytes from {start} on lie beyond its end")));
        }
        Ok(read.into())
    }
}

/// The pictures of a Parquet file called `name`, numbered by row.
///
/// # Errors
/// [`DataError::Container`] where it is damaged, or has no column of pictures.
pub fn open(name: &str, bytes: &Watched) -> Result<Arc<dyn Source>, DataError> {
    let fail = |reason: String| DataError::Container { name: name.to_owned(), kind: "a Parquet file", reason };
    // The library asserts where a damaged file contradicts itself.
    let unpacked = catch_unwind(AssertUnwindSafe(|| unpack(name, bytes)));
    let unpacked = unpacked.unwrap_or_else(|_| Err("it contradicts itself".to_owned()));
    let (bytes, members) = unpacked.map_err(fail)?;
    match members.is_empty() {
        true => Err(fail(super::container::NO_PICTURE.to_owned())),
        false => Ok(Arc::new(ArchiveSource::new(Arc::new(bytes), members))),
    }
}

/// Where `column` stands among those that may hold pictures, if it does.
fn rank(column: &ColumnDescriptor) -> Option<usize> {
    let one_a_row = column.max_rep_level() == 0 && column.physical_type() == Type::BYTE_ARRAY;
    let name = column.name().to_ascii_lowercase();
    COLUMNS.iter().position(|known| one_a_row && *known == name)
}

/// Where `column` stands among those that may hold labels, if it does.
fn label_rank(column: &ColumnDescriptor) -> Option<usize> {
    let kinds = [Type::INT32, Type::INT64, Type::BYTE_ARRAY];
    let one_a_row = column.max_rep_level() == 0 && kinds.contains(&column.physical_type());
    let name = column.name().to_ascii_lowercase();
    LABELS.iter().position(|known| one_a_row && *known == name)
}

/// The values of a column of labels in a group of `rows`, as texts; none where a row has none. `there` is the level of a
/// value that is there.
fn labels(reader: ColumnReader, rows: usize, there: i16) -> Parquet<Vec<Option<String>>> {
    fn all<T: DataType>(
        mut reader: ColumnReaderImpl<T>,
        rows: usize,
        there: i16,
        text: impl Fn(&T::T) -> String,
    ) -> Parquet<Vec<Option<String>>> {
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let mut read = 0;
        while read < rows {
            let (more, _, _) = reader.read_records(rows - read, Some(&mut levels), None, &mut values)?;
            if more == 0 {
                break;
            }
            read += more;
        }
        let mut given = values.iter();
        let is_there = |row: usize| levels.get(row).is_none_or(|level| *level >= there);
        Ok((0..read).map(|row| if is_there(row) { given.next().map(&text) } else { None }).collect())
    }
    match reader {
        ColumnReader::Int32ColumnReader(reader) => all(reader, rows, there, i32::to_string),
        ColumnReader::Int64ColumnReader(reader) => all(reader, rows, there, i64::to_string),
        ColumnReader::ByteArrayColumnReader(reader) => {
            all(reader, rows, there, |text| String::from_utf8_lossy(text.data()).into_owned())
        }
        _ => Ok(Vec::new()),
    }
}

/// The library's error in words.
fn text(error: ParquetError) -> String {
    let told = error.to_string();
    match told.split_once("Disabled feature at compile time: ") {
        Some((_, packing)) => format!(
            "it is compressed by {packing}; expected snappy, gzip, LZ4 or none, as pyarrow writes it anew: \
             pyarrow.parquet.write_table(pyarrow.parquet.read_table(OLD), NEW, compression=\"snappy\")"
        ),
        None => told,
    }
}

fn unpack(name: &str, bytes: &Watched) -> Result<(Bytes, Vec<Member>), String> {
    let disk = |error: std::io::Error| bytes.not_kept(&error);
    let file = SerializedFileReader::new(Pages(bytes.clone())).map_err(text)?;
    let schema = file.metadata().file_metadata().schema_descr_ptr();
    let columns = schema.columns();
    let found = columns.iter().enumerate().filter_map(|(index, column)| Some((rank(column)?, index))).min();
    let (_, column) = found.ok_or_else(|| {
        let names: Vec<String> = columns.iter().map(|column| column.path().string()).collect();
        format!("has columns {}; expected one of bytes called {}", names.join(", "), COLUMNS.join(", "))
    })?;
    // Of a value that is there; rows may hold none.
    let there = columns[column].max_def_level();
    let label = columns.iter().enumerate().filter_map(|(index, column)| Some((label_rank(column)?, index))).min();
    let (mut spool, mut members, mut row) = (Spool::new().map_err(disk)?, Vec::new(), 0);
    for group in 0..file.num_row_groups() {
        let group = file.get_row_group(group).map_err(text)?;
        let first = row;
        let mut labels = match label {
            Some((_, label)) => {
                let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
                let reader = group.get_column_reader(label).map_err(text)?;
                labels(reader, rows, columns[label].max_def_level()).map_err(text)?
            }
            None => Vec::new(),
        };
        let ColumnReader::ByteArrayColumnReader(mut reader) = group.get_column_reader(column).map_err(text)? else {
            return Err("its column of pictures changes its type".to_owned());
        };
        loop {
            let (mut values, mut levels) = (Vec::new(), Vec::new());
            let (rows, _, _) = reader.read_records(AT_ONCE, Some(&mut levels), None, &mut values).map_err(text)?;
            if rows == 0 {
                break;
            }
            let mut given = values.iter();
            for index in 0..rows {
                row += 1;
                if levels.get(index).is_some_and(|level| *level < there) {
                    continue;
                }
                let (Some(value), row) = (given.next(), row - 1) else { break };
                let (at, size) = (spool.len(), value.len() as u64);
                if size > MAX_FILE_BYTES {
                    return Err(format!("row {row} has {size} bytes, expected at most {MAX_FILE_BYTES}"));
                }
                spool.write_all(value.data()).map_err(disk)?;
                let name = format!("{name}/{row:07}");
                let label = labels.get_mut(row - first).and_then(Option::take).filter(|label| !label.is_empty());
                members.push(Member { name, at, stored: size, size, packing: Packing::Stored, label });
            }
        }
    }
    Ok((spool.finish().map_err(disk)?, members))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_library_was_built_without_is_told_with_a_remedy() {
        let error = |text: &str| ParquetError::General(text.to_owned());
        let told = text(error("Disabled feature at compile time: zstd"));
        assert!(
            told.starts_with("it is compressed by zstd; expected snappy") && told.contains("write_table"),
            "{told}"
        );
        assert_eq!(text(error("odd")), "Parquet error: odd");
    }
}
