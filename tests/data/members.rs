//! What is in an archive and is no picture, or cannot be had.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};

use unmask::data::{Labels, open_given};

use super::containers::{npy, open_at, pictures, zip};
use super::{listen, logged};

#[test]
fn labels_in_an_archive_of_arrays_are_those_of_its_pictures() {
    listen();
    let arrays = [
        ("train_images.npy", npy("|u1", "(3, 2, 2)", &[0; 12])),
        ("train_labels.npy", npy("|u1", "(3, 1)", &[7, 9, 10])),
        ("one_hot.npy", npy("|u1", "(3, 10)", &[0; 30])),
        ("y.npy", npy("<i8", "(3,)", &[0; 24])),
        ("odd.npy", npy("<i8", "(3, 2, 2)", &[0; 96])),
        ("val_images.npy", npy("|u1", "(2, 2, 2)", &[0; 8])),
    ];
    let file = |arrays: &[(&str, Vec<u8>)]| zip(arrays, zip::CompressionMethod::Stored);
    let source = open_given(vec![("labelled.npz".to_owned(), file(&arrays))]).expect("a source");
    let names: Vec<&str> = (0..source.len()).map(|index| source.name(index)).collect();
    let train = ["0", "1", "2"].map(|index| format!("labelled.npz/train_images/{index}"));
    let val = ["0", "1"].map(|index| format!("labelled.npz/val_images/{index}"));
    assert_eq!(names, [&train[..], &val].concat());
    let all: Vec<usize> = (0..source.len()).collect();
    assert_eq!(Labels::told(&*source, &all), [Some("7"), Some("9"), Some("10"), None, None]);
    let warned = [
        "labelled.npz: left out of it: labelled.npz/one_hot (an array of shape [3, 10], taken for labels), \
         labelled.npz/odd (numbers of type",
        "labelled.npz: several arrays of pictures are taken as one set: \
         labelled.npz/train_images, labelled.npz/val_images",
    ];
    assert_eq!(warned.map(|warned| logged(&format!("WARN {warned}"))), [1, 1]);
    // Labels of some pictures are not those of others, of which there are as many.
    let sets = [
        ("x_train.npy", arrays[0].1.clone()),
        ("x_test.npy", arrays[0].1.clone()),
        ("y_train.npy", arrays[1].1.clone()),
    ];
    let source = open_given(vec![("sets.npz".to_owned(), file(&sets))]).expect("a source");
    assert_eq!([source.label(0), source.label(3)], [Some("7"), None]);
    // Which of two tells, where both might, nobody knows.
    let arrays =
        [arrays[0].clone(), ("fine_labels.npy", arrays[3].1.clone()), ("coarse_labels.npy", arrays[3].1.clone())];
    let source = open_given(vec![("two.npz".to_owned(), file(&arrays))]).expect("a source");
    assert_eq!((source.len(), source.label(0)), (3, None));
    let arrays = [("train_labels.npy", npy("|u1", "(3, 1)", &[7; 3]))];
    let error = open_given(vec![("y.npz".to_owned(), file(&arrays))]).err().expect("labels alone").to_string();
    assert!(error.contains("y.npz: cannot be used as a zip archive: y.npz/train_labels"), "{error}");
}

#[test]
fn arrays_of_more_bytes_than_fit_are_read_where_they_lie() {
    const NAME: &[u8] = b"x.npy";
    let head = npy("|u1", "(1025, 1024, 1024)", &[]);
    let size = head.len() as u32 + 1025 * (1 << 20);
    let fields = |bytes: &mut Vec<u8>| {
        // Version, flags, packing, time and date; checksum, which nobody asks for; sizes; lengths of name and the rest.
        bytes.extend([20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0, 0, 0, 0, 0]);
        bytes.extend(size.to_le_bytes().repeat(2));
        bytes.extend([NAME.len() as u8, 0, 0, 0]);
    };
    let mut start = b"PK\x03\x04".to_vec();
    fields(&mut start);
    start.extend(NAME);
    start.extend(head);
    let mut directory = b"PK\x01\x02\x14\0".to_vec();
    fields(&mut directory);
    directory.extend([0; 14]);
    directory.extend(NAME);
    let at = (start.len() + 1025 * (1 << 20)) as u32;
    let mut end = b"PK\x05\x06\0\0\0\0\x01\0\x01\0".to_vec();
    end.extend((directory.len() as u32).to_le_bytes());
    end.extend(at.to_le_bytes());
    end.extend([0; 2]);

    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("large.npz");
    // What is skipped takes no place on the disk.
    let mut file = fs::File::create(&path).expect("made");
    file.write_all(&start).expect("written");
    file.seek(SeekFrom::Start(u64::from(at) - 1)).expect("within");
    file.write_all(&[200]).expect("written");
    file.write_all(&[directory, end].concat()).expect("written");
    drop(file);
    let source = open_at(&path);
    assert_eq!((source.len(), source.name(1024)), (1025, "large.npz/x/1024"));
    let last = source.load(1024, None).expect("a picture").pixels;
    assert_eq!((last.len(), last.last_chunk::<8>()), (4 << 20, Some(&[0, 0, 0, 255, 200, 200, 200, 255])));
}

#[test]
fn one_member_that_cannot_be_read_is_no_reason_to_refuse_an_archive() {
    listen();
    let whole = zip(&pictures(), zip::CompressionMethod::Stored);
    // Of the second member in the directory: how it is packed, and whether it is encrypted.
    let mut heads = (0..whole.len()).filter(|at| whole[*at..].starts_with(b"PK\x01\x02"));
    let second = heads.nth(1).expect("three members");
    for (name, field, value, why) in
        [("packed.zip", 10, 9, "compressed by "), ("secret.zip", 8, whole[second + 8] | 1, "encrypted)")]
    {
        let mut bytes = whole.clone();
        bytes[second + field] = value;
        let source = open_given(vec![(name.to_owned(), bytes)]).expect("a source");
        let names: Vec<&str> = (0..source.len()).map(|index| source.name(index)).collect();
        assert_eq!(names, ["cat/a.png", "dog/c.png"].map(|inner| format!("{name}/{inner}")));
        assert!((0..2).all(|index| source.load(index, Some(8)).is_ok()));
        assert_eq!(logged(&format!("WARN {name}: left out of it: cat/b.png ({why}")), 1, "{name}");
    }
}
