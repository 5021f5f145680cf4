//! Event files for TensorBoard: curves of a run as it goes.
//!
//! A file is a row of records, each with its length and two checksums; a record is a message of protocol buffers.

use std::fs::File;
use std::io;
use std::path::Path;

use prost::Message;

use super::MetricsLine;
use super::appended::Appended;

/// What a record says (`tensorflow.Event`).
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    /// Optimiser step.
    #[prost(int64, tag = "2")]
    pub step: i64,
    /// Of the first record alone.
    #[prost(string, optional, tag = "3")]
    pub file_version: Option<String>,
    /// Curves.
    #[prost(message, optional, tag = "5")]
    pub summary: Option<Summary>,
    /// That a run goes on from this step, and what was said of later ones is void.
    #[prost(message, optional, tag = "7")]
    pub session_log: Option<SessionLog>,
}

/// Points of curves (`tensorflow.Summary`).
#[derive(Clone, PartialEq, Message)]
pub struct Summary {
    /// The points.
    #[prost(message, repeated, tag = "1")]
    pub value: Vec<Value>,
}

/// A point of a curve (`tensorflow.Summary.Value`).
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    /// Name of the curve.
    #[prost(string, tag = "1")]
    pub tag: String,
    /// Its value; written even where it is zero.
    #[prost(float, optional, tag = "2")]
    pub simple_value: Option<f32>,
}

/// `tensorflow.SessionLog`.
#[derive(Clone, PartialEq, Message)]
pub struct SessionLog {
    /// 1 for a start.
    #[prost(int32, tag = "1")]
    pub status: i32,
}

/// The masked checksum of the format.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// `event` as a record.
pub fn record(event: &Event) -> Vec<u8> {
    let message = event.encode_to_vec();
    let length = (message.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(&message);
    record.extend(masked_crc(&message).to_le_bytes());
    record
}

/// An event file that is written.
#[derive(Debug)]
pub struct EventFile {
    file: Appended,
}

fn now() -> f64 {
    web_time::SystemTime::now().duration_since(web_time::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

impl EventFile {
    /// Starts a file in `folder` for a run that stands at `step`.
    ///
    /// # Errors
    /// The system's.
    pub fn create(folder: &Path, step: u64) -> io::Result<EventFile> {
        // TensorBoard takes any file whose name holds `tfevents`, in the order of names. Two starts within a
        // microsecond do not happen.
        let path = folder.join(format!("events.out.tfevents.{:017.6}.unmask", now()));
        let mut events = EventFile { file: Appended::new(File::create_new(path)?)? };
        events.write(Event { file_version: Some("brain.Event:2".to_owned()), ..Event::default() })?;
        if step > 0 {
            let session_log = Some(SessionLog { status: 1 });
            events.write(Event { step: step as i64 + 1, session_log, ..Event::default() })?;
        }
        Ok(events)
    }

    /// Adds what a line says.
    ///
    /// # Errors
    /// The system's; it is added with the next line then.
    pub fn log(&mut self, line: &MetricsLine) -> io::Result<()> {
        let curves = [
            ("loss/train", line.loss),
            ("loss/held_out", line.held_out_loss),
            ("lr", line.lr),
            ("grad_norm", line.grad_norm),
            ("images_per_s", line.images_per_s),
        ];
        let point =
            |(tag, value): (&str, Option<f64>)| Some(Value { tag: tag.to_owned(), simple_value: Some(value? as f32) });
        let value: Vec<Value> = curves.into_iter().filter_map(point).collect();
        self.write(Event { step: line.step as i64, summary: Some(Summary { value }), ..Event::default() })
    }

    fn write(&mut self, event: Event) -> io::Result<()> {
        self.file.push(&record(&Event { wall_time: now(), ..event }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events of a file, checksums verified.
    fn events(mut bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight")) as usize;
            let crc = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four"));
            assert_eq!(crc(8), masked_crc(&bytes[..8]));
            let message = &bytes[12..12 + length];
            assert_eq!(crc(12 + length), masked_crc(message));
            events.push(Event::decode(message).expect("an event"));
            bytes = &bytes[16 + length..];
        }
        events
    }

    #[test]
    fn a_file_holds_what_was_logged() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = EventFile::create(folder.path(), 7).expect("a file");
        file.log(&MetricsLine { step: 8, loss: Some(0.5), lr: Some(0.0), ..MetricsLine::default() }).expect("logged");
        let path = folder.path().read_dir().expect("listed").next().expect("a file").expect("a file").path();
        let events = events(&std::fs::read(path).expect("read"));
        assert_eq!(events[0].file_version.as_deref(), Some("brain.Event:2"));
        assert_eq!((events[1].step, events[1].session_log.clone()), (8, Some(SessionLog { status: 1 })));
        let values = &events[2].summary.as_ref().expect("a summary").value;
        let values: Vec<(&str, Option<f32>)> =
            values.iter().map(|value| (value.tag.as_str(), value.simple_value)).collect();
        assert_eq!(values, [("loss/train", Some(0.5)), ("lr", Some(0.0))]);
        assert_eq!(events[2].step, 8);
    }

    #[test]
    fn the_masked_checksum_is_the_format_s() {
        // Every file of TensorFlow's own begins with a record of 24 bytes: 18 00 … 00 a3 7f 4b 22.
        assert_eq!(masked_crc(&24u64.to_le_bytes()), 0x224b_7fa3);
    }
}
