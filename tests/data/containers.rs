//! Files that hold many pictures: what is in them comes out as it went in.

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use image::{DynamicImage, ImageBuffer, Luma};
use unmask::data::{
    DataError, GivenSource, Labels, Picture, Source, census, decode, load_all, open, open_all, open_given,
};

use super::{listen, logged, png, quarters, stack};

/// Three different pictures, as files.
pub fn pictures() -> [(&'static str, Vec<u8>); 3] {
    let turned = |degrees: u32| match degrees {
        90 => quarters().rotate90(),
        180 => quarters().rotate180(),
        _ => quarters(),
    };
    [("cat/a.png", png(turned(0))), ("cat/b.png", png(turned(90))), ("dog/c.png", png(turned(180)))]
}

pub fn tar(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes.as_slice()).expect("appended");
    }
    archive.into_inner().expect("a tar archive")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).expect("packed");
    packed.finish().expect("a gzip file")
}

pub fn zip(files: &[(&str, Vec<u8>)], method: zip::CompressionMethod) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        archive.start_file(*name, options).expect("started");
        archive.write_all(bytes).expect("written");
    }
    archive.finish().expect("a zip archive").into_inner()
}

pub fn npy(kind: &str, shape: &str, numbers: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(numbers);
    bytes
}

/// Columns that tell what pictures show.
#[cfg(feature = "parquet")]
#[derive(Clone, Copy)]
enum Told {
    Numbers,
    Texts,
}

/// Two groups of two rows, the second of which has no picture, with labels 7, 8, 9 and -1, or cat, none, nothing and
/// dog.
#[cfg(feature = "parquet")]
fn parquet(files: &[(&str, Vec<u8>)], told: Told) -> Vec<u8> {
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;

    let label = match told {
        Told::Numbers => "required int64 label",
        Told::Texts => "optional binary Class (UTF8)",
    };
    let schema = format!(
        "message table {{ optional group image {{ optional binary bytes; optional binary path (UTF8); }} {label}; }}"
    );
    let schema = std::sync::Arc::new(parquet::schema::parser::parse_message_type(&schema).expect("a schema"));
    let properties = WriterProperties::builder().set_compression(parquet::basic::Compression::SNAPPY).build();
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, properties.into()).expect("a file");
    let parts = [
        (&files[..1], [2, 0], [7, 8], &["cat", "none"][..], [1, 1]),
        (&files[1..], [2, 2], [9, -1], &["dog"][..], [0, 1]),
    ];
    for (group, levels, numbers, texts, there) in parts {
        let mut group_writer = writer.next_row_group().expect("a group");
        let values: [Vec<ByteArray>; 2] = [
            group.iter().map(|(_, bytes)| ByteArray::from(bytes.clone())).collect(),
            group.iter().map(|(name, _)| ByteArray::from(*name)).collect(),
        ];
        for values in values {
            let mut column = group_writer.next_column().expect("no error").expect("a column");
            column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).expect("written");
            column.close().expect("closed");
        }
        let mut column = group_writer.next_column().expect("no error").expect("a column");
        match told {
            Told::Numbers => column.typed::<Int64Type>().write_batch(&numbers, None, None),
            Told::Texts => {
                let texts: Vec<ByteArray> = texts.iter().map(|text| ByteArray::from(*text)).collect();
                column.typed::<ByteArrayType>().write_batch(&texts, Some(&there), None)
            }
        }
        .expect("written");
        column.close().expect("closed");
        group_writer.close().expect("closed");
    }
    writer.close().expect("closed");
    bytes
}

pub fn open_at(path: &Path) -> std::sync::Arc<dyn Source> {
    open(path.to_str().expect("UTF-8")).unwrap_or_else(|error| panic!("{error}"))
}

/// Fails unless `source` holds the three pictures, named as `names`.
fn holds(source: &dyn Source, names: [&str; 3]) {
    assert_eq!((0..source.len()).map(|i| source.name(i)).collect::<Vec<_>>(), names);
    for (index, (_, bytes)) in pictures().iter().enumerate() {
        let want = decode(names[index], bytes, Some(16));
        assert_eq!(source.load(index, Some(16)), want);
    }
}

#[test]
fn archives_give_their_picture_files() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut files: Vec<(&str, Vec<u8>)> = pictures().to_vec();
    files.insert(1, ("cat/a.json", b"{}".to_vec()));
    let deflated = zip::CompressionMethod::Deflated;
    for (name, bytes) in [
        ("s.tar", tar(&files)),
        ("s.tar.gz", gzip(&tar(&files))),
        ("s.zip", zip(&files, deflated)),
        ("stored.zip", zip(&files, zip::CompressionMethod::Stored)),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, &bytes).expect("written");
        let names = ["cat/a.png", "cat/b.png", "dog/c.png"].map(|inner| format!("{name}/{inner}"));
        holds(&*open_at(&path), names.each_ref().map(String::as_str));
        let given = open_given(vec![(name.to_owned(), bytes)]).expect("a source");
        holds(&*given, names.each_ref().map(String::as_str));
    }
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_files_give_their_column_of_pictures() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("train.parquet");
    for (told, labels) in
        [(Told::Numbers, [Some("7"), Some("9"), Some("-1")]), (Told::Texts, [Some("cat"), None, Some("dog")])]
    {
        fs::write(&path, parquet(&pictures(), told)).expect("written");
        let source = open_at(&path);
        holds(&*source, ["train.parquet/0000000", "train.parquet/0000002", "train.parquet/0000003"]);
        assert_eq!([0, 1, 2].map(|index| source.label(index)), labels);
        match Labels::of_source(&*source) {
            Ok(labels) => assert_eq!((labels.classes.join(" "), labels.of), ("-1 7 9".to_owned(), vec![1, 2, 0])),
            Err(error) => assert_eq!(error, DataError::NoLabel { name: "train.parquet/0000002".to_owned() }),
        }
    }
}

#[test]
fn a_class_beside_a_picture_in_a_tar_archive_is_its_label() {
    let [(_, a), (_, b), (_, c)] = pictures();
    let files = [
        ("x/0001.cls", b"cat\n".to_vec()),
        ("x/0001.png", a.clone()),
        ("x/0002.png", b.clone()),
        ("x/0002.json", b"{}".to_vec()),
        ("x/0002.cls", b" red dog ".to_vec()),
        // Of one sample there may be several pictures.
        ("x/0002.left.png", c.clone()),
        ("y.z/3.png", a.clone()),
        ("4.png", b.clone()),
        // What is no class: empty, no text, too long.
        ("5.cls", b"\n".to_vec()),
        ("5.png", c.clone()),
        ("y/6.cls", vec![0xff, 0xfe, 0x00]),
        ("y/6.png", a.clone()),
        ("7.cls", vec![b'7'; 5000]),
        ("7.png", b),
    ];
    let want = [Some("cat"), Some("red dog"), Some("red dog"), Some("y.z"), None, None, Some("y"), None];
    for (name, bytes) in [("s.tar", tar(&files)), ("s.tar.gz", gzip(&tar(&files)))] {
        let source = open_given(vec![(name.to_owned(), bytes)]).expect("a source");
        let all: Vec<usize> = (0..source.len()).collect();
        assert_eq!(Labels::told(&*source, &all), want, "{name}");
        assert_eq!(Labels::of_source(&*source), Err(DataError::NoLabel { name: format!("{name}/4.png") }));
    }
    let shards = [("0.tar", tar(&files[..2])), ("1.tar", tar(&files[2..6]))];
    let source = open_given(shards.map(|(name, bytes)| (name.to_owned(), bytes)).into()).expect("a source");
    let labels = Labels::of_source(&*source).expect("labels");
    assert_eq!((labels.classes.join(", "), labels.of), ("cat, red dog".to_owned(), vec![0, 1, 1]));
}

#[test]
fn a_folder_of_shards_is_one_data_set() {
    let dir = tempfile::tempdir().expect("a folder");
    let [a, b, c] = pictures();
    fs::create_dir(dir.path().join("more")).expect("a folder");
    fs::write(dir.path().join("0.tar"), tar(&[a.clone(), b.clone()])).expect("written");
    fs::write(dir.path().join("more/1.tar"), tar(std::slice::from_ref(&c))).expect("written");
    fs::write(dir.path().join("more/labels.npy"), npy("<i8", "(3,)", &[0; 24])).expect("written");
    holds(&*open_at(dir.path()), ["0.tar/cat/a.png", "0.tar/cat/b.png", "more/1.tar/dog/c.png"]);
    let both = [dir.path().join("0.tar"), dir.path().join("more/1.tar")].map(|path| path.display().to_string());
    let (source, split) = open_all(&both).expect("a source");
    holds(&*source, ["0.tar/cat/a.png", "0.tar/cat/b.png", "1.tar/dog/c.png"]);
    assert_eq!(split.train.len() + split.held_out.len(), 3);
}

#[test]
fn many_shards_keep_their_order() {
    let dir = tempfile::tempdir().expect("a folder");
    let [(_, a), ..] = pictures();
    for index in 0..200 {
        fs::write(dir.path().join(format!("{index:03}.tar")), tar(&[("a.png", a.clone())])).expect("written");
    }
    let source = open_at(dir.path());
    let names: Vec<String> = (0..200).map(|index| format!("{index:03}.tar/a.png")).collect();
    assert!((0..source.len()).map(|index| source.name(index)).eq(names.iter().map(String::as_str)));
}

#[cfg(unix)]
#[test]
fn a_shard_that_the_system_does_not_open_is_not_left_out() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("0.tar"), tar(&pictures())).expect("written");
    let closed = dir.path().join("1.tar");
    fs::write(&closed, tar(&pictures())).expect("written");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).expect("closed");
    // Who may read everything finds nothing closed.
    if fs::File::open(&closed).is_err() {
        let error = open(dir.path().to_str().expect("UTF-8")).err().expect("an error").to_string();
        assert!(error.contains("1.tar: cannot be read: "), "{error}");
    }
}

#[test]
fn lists_name_files_beside_them() {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, bytes) in pictures() {
        let path = dir.path().join("photos").join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, bytes).expect("written");
    }
    let list = dir.path().join("train.txt");
    let absolute = dir.path().join("photos/dog/c.png").display().to_string();
    let text = format!("\u{feff}photos/cat/a.png\t0\n# three\n\n  photos/cat/b.png\n{absolute}\t1\n");
    let powershell = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [text.into_bytes(), powershell] {
        fs::write(&list, bytes).expect("written");
        holds(&*open_at(&list), ["photos/cat/a.png", "photos/cat/b.png", &absolute]);
    }
    fs::write(&list, b"photos/cat/a.png\ngr\xfcn.png\n").expect("written");
    let error = open(list.to_str().expect("UTF-8")).err().expect("another encoding").to_string();
    assert!(error.contains("train.txt: cannot be read: expected a text in UTF-8"), "{error}");
    assert!(error.contains("line 2"), "{error}");
}

#[test]
fn lists_tell_what_their_pictures_show() {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, bytes) in pictures() {
        fs::create_dir_all(dir.path().join(name).parent().expect("a folder")).expect("a folder");
        fs::write(dir.path().join(name), bytes).expect("written");
    }
    let list = dir.path().join("train.tsv");
    // A label, the same picture once more, none but the folder, none at all behind a tab.
    let text = "cat/a.png\t felix\tmore\r\n./cat/a.png\tagain\r\ncat/b.png\r\ncat/a.png\r\ndog/c.png\t\r\n";
    fs::write(&list, text).expect("written");
    let source = open_at(&list);
    holds(&*source, ["cat/a.png", "cat/b.png", "dog/c.png"]);
    let labels = Labels::of_source(&*source).expect("labels");
    assert_eq!((labels.classes.join(" "), labels.of), ("cat dog felix".to_owned(), vec![2, 0, 1]));
    fs::write(&list, "cat/a.png\t2\ncat/a.png\t3\ncat/b.png\t10\ndog/c.png\t9\ncat/b.png\t1").expect("written");
    let labels = Labels::of_source(&*open_at(&list)).expect("labels");
    assert_eq!((labels.classes.join(" "), labels.of), ("2 9 10".to_owned(), vec![0, 2, 1]));

    // A file of its own, for sets that tell nothing.
    let file = dir.path().join("labels");
    let set = |names: &[&str]| GivenSource::new(names.iter().map(|name| ((*name).to_owned(), Vec::new())));
    let (three, four) = (set(&["x", "y", "z"]), set(&["x", "y", "z", "a"]));
    let utf16: Vec<u8> = "\u{feff}b\r\na\r\nb\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, classes) in [
        (vec![0, 0, 8, 1, 0, 0, 0, 3, 9, 2, 9], "2 9"),
        (gzip(&[0, 0, 8, 1, 0, 0, 0, 3, 9, 2, 9]), "2 9"),
        (b"\tb\ny\ta\nz\tb".to_vec(), "a b"),
        (utf16, "a b"),
        (npy("<i4", "(3,)", &[9, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0]), "2 9"),
        (gzip(&npy("|S2", "(3, 1)", b"b\0aab\0")), "aa b"),
    ] {
        fs::write(&file, bytes).expect("written");
        let labels = Labels::of_file(&file, &three, &[0, 1, 2]).expect("labels");
        assert_eq!((labels.classes.join(" "), labels.of), (classes.to_owned(), vec![1, 0, 1]));
        let error = Labels::of_file(&file, &four, &[0, 1, 2, 3]).expect_err("too few").to_string();
        assert!(error.contains("it holds 3 labels; expected one for each of 4 pictures"), "{error}");
    }
    // With names the order is of no matter.
    fs::write(&file, "z\tc\nw\td\ny\tb\nx\ta\n").expect("written");
    assert_eq!(Labels::of_file(&file, &three, &[0, 1, 2]).expect("labels").of, [0, 1, 2]);
    let error = Labels::of_file(&file, &four, &[0, 1, 2, 3]).expect_err("no label").to_string();
    assert!(error.contains("labels: cannot be used") && error.contains("no label of a;"), "{error}");
    for (bad, reason) in [
        (npy("<i8", "(3,)", &[0; 23]), "it ends before its 3 labels do"),
        (npy("|u1", "(3, 2)", &[0; 6]), "an array of shape [3, 2]; expected labels along one axis"),
        (npy("|O", "(3,)", &[0; 24]), "elements of type \"|O\"; expected whole numbers or texts"),
    ] {
        fs::write(&file, bad).expect("written");
        let error = Labels::of_file(&file, &three, &[0, 1, 2]).expect_err(reason).to_string();
        assert!(error.contains(reason), "{error}");
    }
}

/// Pixels of the three pictures, which have to be of one size, `[N, H, W, 3]`.
fn pixels() -> (Vec<Picture>, Vec<u8>) {
    let decoded: Vec<DynamicImage> =
        [0, 180, 0].map(|turn| if turn == 0 { quarters() } else { quarters().rotate180() }).into();
    let pictures = decoded.iter().map(|image| Picture {
        name: String::new(),
        width: image.width(),
        height: image.height(),
        pixels: image.to_rgba8().into_raw(),
    });
    (pictures.collect(), decoded.iter().flat_map(|image| image.to_rgb8().into_raw()).collect())
}

#[test]
fn arrays_give_their_pictures() {
    let (pictures, bytes) = pixels();
    let (height, width) = (pictures[0].height, pictures[0].width);
    let area = (height * width) as usize;
    let planes: Vec<u8> = (0..3 * 3 * area)
        .map(|at| {
            let (picture, channel, pixel) = (at / (3 * area), at / area % 3, at % area);
            bytes[(picture * area + pixel) * 3 + channel]
        })
        .collect();
    let floats: Vec<u8> = bytes.iter().flat_map(|byte| (f32::from(*byte) / 255.0).to_le_bytes()).collect();
    let last = npy("|u1", &format!("(3, {height}, {width}, 3)"), &bytes);
    let mut idx = vec![0, 0, 8, 4];
    idx.extend([3, height, width, 3].iter().flat_map(|extent| extent.to_be_bytes()));
    idx.extend(&bytes);
    let arrays =
        zip(&[("y.npy", npy("<i8", "(3,)", &[0; 24])), ("x.npy", last.clone())], zip::CompressionMethod::Deflated);
    for (name, inner, file) in [
        ("last.npy", "last.npy", last.clone()),
        ("stored.npz", "stored.npz/x", zip(&[("x.npy", last.clone())], zip::CompressionMethod::Stored)),
        ("first.npy", "first.npy", npy("|u1", &format!("(3, 3, {height}, {width})"), &planes)),
        ("floats.npy", "floats.npy", npy("<f4", &format!("(3, {height}, {width}, 3)"), &floats)),
        ("all.npz", "all.npz/x", arrays),
        ("images-idx3-ubyte", "images-idx3-ubyte", idx.clone()),
        ("images-idx3-ubyte.gz", "images-idx3-ubyte.gz", gzip(&idx)),
    ] {
        let source = open_given(vec![(name.to_owned(), file)]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(source.len(), 3, "{name}");
        for (index, want) in pictures.iter().enumerate() {
            let want = Picture { name: format!("{inner}/{index}"), ..want.clone() };
            assert_eq!(source.load(index, None), Ok(want), "{name}");
        }
    }
    let source =
        open_given(vec![("cat/mnist.npz".to_owned(), zip(&[("x_train.npy", last)], zip::CompressionMethod::Stored))]);
    let source = source.expect("a source");
    assert_eq!((source.name(2), Labels::told(&*source, &[2])), ("cat/mnist.npz/x_train/2", vec![None]));
    let grey = open_given(vec![("grey.npy".to_owned(), npy("|u1", "(2, 1, 2)", &[1, 2, 3, 4]))]).expect("a source");
    assert_eq!(grey.load(1, None).expect("a picture").pixels, [3, 3, 3, 255, 4, 4, 4, 255]);
}

#[test]
fn what_cannot_be_used_is_told_by_name() {
    let error = |name: &str, bytes: Vec<u8>| open_given(vec![(name.to_owned(), bytes)]).err().expect("an error");
    let whole = zip(&pictures(), zip::CompressionMethod::Deflated);
    let nothing = [("readme.txt", b"text".to_vec())];
    for (name, bytes, want) in [
        ("x.bin", b"some text".to_vec(), "x.bin: not a data set: expected pictures, a folder, a list ending in .txt"),
        ("x.tar", tar(&nothing), "x.tar: cannot be used as a tar archive: holds no picture"),
        ("x.zip", whole[..whole.len() / 2].to_vec(), "x.zip: cannot be used as a zip archive: "),
        ("x.zip", zip(&nothing, zip::CompressionMethod::Stored), "x.zip: cannot be used as a zip archive: holds no"),
        ("y.npy", npy("<i8", "(3, 2, 2)", &[0; 96]), "y.npy: cannot be used as a NumPy array: numbers of type \"<i8\""),
        ("y.npy", npy("|u1", "(3, 2, 2)", &[0; 11]), "3 pictures of 4 bytes each do not fit into its"),
        ("y.npy", npy("|u1", "(12,)", &[0; 12]), "an array of shape [12]; expected [N, H, W]"),
        ("labels-idx1-ubyte", [0, 0, 8, 1, 0, 0, 0, 2, 5, 6].to_vec(), "cannot be used as an IDX file: an array of"),
        ("x.gz", vec![0x1f, 0x8b, 8, 0], "x.gz: cannot be used as a gzip file: "),
        ("x.parquet", b"PAR1....PAR1".to_vec(), "x.parquet: cannot be used as a Parquet file: "),
    ] {
        let error = error(name, bytes).to_string();
        assert!(error.contains(want), "{error}");
    }
    let source = open_given(vec![("f.npy".to_owned(), npy("<f4", "(1, 1, 1)", &7.5f32.to_le_bytes()))]);
    let error = source.expect("a source").load(0, None).expect_err("too bright").to_string();
    assert!(error.contains("f.npy/0: cannot be read: a pixel of 7.5; expected numbers from 0 to 1"), "{error}");
}

#[test]
fn one_file_that_is_of_no_use_is_no_reason_to_refuse_the_others() {
    listen();
    let [(_, a), (_, b), c] = pictures();
    let file = |name: &str, bytes: &[u8]| (name.to_owned(), bytes.to_vec());
    let torn = zip(&pictures(), zip::CompressionMethod::Deflated);
    let torn = file("torn.zip", &torn[..torn.len() / 2]);
    let (page, text) = (file("page.jpg", b"<!DOCTYPE html>"), file("notes.txt", b"some text"));
    let files = vec![
        file("empty.jpg", b""),
        page.clone(),
        file(".DS_Store", b"\0\0\0\x01Bud1"),
        file("photo.JPG", b"\0\0\0\x18ftypheic"),
        file("cat/a.png", &a),
        file("Thumbs.db", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        text.clone(),
        file("more.tar", &tar(std::slice::from_ref(&c))),
        file("labels.csv", b""),
        file("._a.png", b"\0\x05\x16\x07"),
        torn.clone(),
        file("desktop.ini", b"[.ShellClassInfo]"),
        // A picture is one without an extension too.
        file("b", &b),
    ];
    let source = open_given(files).expect("a source");
    let names: Vec<&str> = (0..source.len()).map(|index| source.name(index)).collect();
    assert_eq!(names, ["empty.jpg", "page.jpg", "photo.JPG", "cat/a.png", "b", "more.tar/dog/c.png"]);
    let loaded = load_all(&*source, &[0, 1, 2, 3, 4, 5], Some(8), 2);
    let skipped: Vec<&str> = loaded.skipped.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((loaded.pictures.len(), skipped), (3, vec!["empty.jpg", "page.jpg", "photo.JPG"]));
    let warned = "WARN left out, being neither pictures nor files that hold some: \
                  .DS_Store, Thumbs.db, notes.txt, labels.csv, ._a.png and 1 more (6 in all)";
    assert_eq!((logged(warned), logged("WARN left out: torn.zip: cannot be used as a zip archive: ")), (1, 1));

    // Pictures that may be none stand beside a container that holds some.
    let tarred = file("more.tar", &tar(&[c]));
    assert_eq!(open_given(vec![page.clone(), tarred]).expect("a source").len(), 2);
    let cut = file("cut.png", &a[..20]);
    for (files, want) in [
        (vec![text.clone(), torn.clone()], "notes.txt: not a data set: "),
        (vec![torn, text.clone()], "torn.zip: cannot be used as a zip archive: "),
        (vec![text, page.clone()], "page.jpg: not a picture: "),
        (vec![cut, page], "cut.png: cannot be decoded as PNG: "),
    ] {
        let error = open_given(files).err().expect("nothing of use").to_string();
        assert!(error.starts_with(want), "{error}");
    }
}

#[test]
fn a_torn_tar_gives_what_came_before_the_tear() {
    let [a, b, c] = pictures();
    let whole = tar(&[a.clone(), b.clone(), c]);
    let until = whole.len() - 2048;
    for bytes in [whole[..until].to_vec(), gzip(&whole[..until])] {
        let source = open_given(vec![("torn.tar".to_owned(), bytes)]).expect("a source");
        assert_eq!(source.len(), 2);
        assert!(source.load(1, None).is_ok());
    }
}

#[test]
fn a_census_finds_what_is_broken_and_what_is_there_twice() {
    let [(_, a), (_, b), _] = pictures();
    let torn = a[..a.len() / 2].to_vec();
    let files = [("a.png", &a), ("again.png", &a), ("b.png", &b), ("torn.png", &torn)];
    let files = files.map(|(name, bytes)| (name.to_owned(), bytes.clone()));
    let source = open_given(vec![("all.tar".to_owned(), tar(&files.each_ref().map(|(n, b)| (n.as_str(), b.clone()))))]);
    let source = source.expect("a source");
    let found = census(&*source, &[0, 1, 2, 3], 2, |_| ());
    assert_eq!((found.readable, found.broken.len()), (3, 1));
    assert!(found.broken[0].1.to_string().starts_with("all.tar/torn.png: cannot be decoded as PNG"));
    assert_eq!(found.duplicates, [[0, 1]]);
    assert_eq!(found.formats.into_iter().collect::<Vec<_>>(), [("PNG", 3)]);
    assert_eq!(found.sizes.into_iter().collect::<Vec<_>>(), [([32, 48], 1), ([48, 32], 2)]);
    // Quarters of 220, 30, 30 and 240 red.
    let mean = (220.0 + 30.0 + 30.0 + 240.0) / 4.0 / 255.0;
    assert!((found.pixels.mean[0] - mean).abs() < 1e-9, "{}", found.pixels.mean[0]);
    let square = (220f64.powi(2) + 2.0 * 30f64.powi(2) + 240f64.powi(2)) / 4.0 / 255f64.powi(2);
    assert!((found.pixels.std[0] - (square - mean * mean).sqrt()).abs() < 1e-9);
}

#[test]
fn stacks_are_the_same_where_all_their_pages_are() {
    let stack = stack(&quarters());
    let other = [stack.as_slice(), b"more"].concat();
    let dark = png(ImageBuffer::<Luma<u16>, _>::from_raw(1, 1, vec![1023]).expect("a picture"));
    let files = [("a.tif", &stack), ("b.tif", &other), ("c.tif", &stack), ("d.png", &dark)];
    let source = open_given(files.map(|(name, bytes)| (name.to_owned(), bytes.clone())).into()).expect("a source");
    let found = census(&*source, &[0, 1, 2, 3], 1, |_| ());
    assert_eq!((found.readable, found.stacks, found.duplicates), (4, 3, vec![vec![0, 2]]));
    assert_eq!(found.dark, 1);
}
