//! The sample photographs and folders, and loading all of them.

use std::fs;
use std::path::Path;

use unmask::data::{DataError, FolderSource, SampleSource, Source, decode, load_all, open, split};

use super::{listen, logged, png, quarters};

#[test]
fn all_sample_photographs_decode() {
    let source = open("sample").unwrap();
    assert_eq!(source.len(), 231);
    let indices: Vec<usize> = (0..source.len()).collect();
    let names: Vec<&str> = indices.iter().map(|&i| source.name(i)).collect();
    assert!(names.is_sorted());
    assert!(names.contains(&"animal/cat_erasers.jpg"));

    let loaded = load_all(&*source, &indices, None, 2);
    assert_eq!(loaded.skipped, []);
    assert!(loaded.pictures.iter().map(|(index, _)| *index).eq(indices));
    for (index, picture) in &loaded.pictures {
        assert_eq!(picture.name, source.name(*index));
        let bytes = picture.width as usize * picture.height as usize * 4;
        assert_eq!(picture.pixels.len(), bytes);
        assert!(picture.pixels.iter().skip(3).step_by(4).all(|&x| x == 255));
    }
}

#[test]
fn the_sample_and_its_folder_are_split_alike() {
    let parts = split(&SampleSource);
    assert_eq!((parts.train.len(), parts.held_out.len()), (207, 24));
    let folder = FolderSource::open(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/photos")).unwrap();
    assert_eq!(folder.len(), SampleSource.len());
    assert!((0..folder.len()).all(|i| folder.name(i) == SampleSource.name(i)));
    assert_eq!(split(&folder), parts);
}

fn write(dir: &Path, name: &str, bytes: &[u8]) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn names(source: &dyn Source) -> Vec<&str> {
    (0..source.len()).map(|index| source.name(index)).collect()
}

#[test]
fn a_folder_is_listed_by_relative_path() {
    let dir = tempfile::tempdir().unwrap();
    let photo = png(quarters());
    for name in ["z.PNG", "b/two.jpeg", "b/c/deep.TiF", "a-first.webp", "b.gif"] {
        write(dir.path(), name, &photo);
    }
    write(dir.path(), "b/notes.txt", b"not a picture");
    write(dir.path(), "jpg", &photo);
    fs::create_dir(dir.path().join("folder.jpg")).unwrap();

    let source = open(dir.path().to_str().unwrap()).unwrap();
    assert_eq!(names(&*source), ["a-first.webp", "b.gif", "b/c/deep.TiF", "b/two.jpeg", "z.PNG"]);
    let picture = source.load(2, None).unwrap();
    assert_eq!(picture.name, "b/c/deep.TiF");
    assert_eq!(Ok(picture), decode("b/c/deep.TiF", &photo, None));
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_in_circles() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let photo = png(quarters());
    write(dir.path(), "in/a.png", &photo);
    write(elsewhere.path(), "b.png", &photo);
    symlink(elsewhere.path(), dir.path().join("linked")).unwrap();
    symlink(dir.path(), dir.path().join("in/circle")).unwrap();
    symlink(dir.path().join("missing"), dir.path().join("broken.png")).unwrap();
    let source = FolderSource::open(dir.path()).unwrap();
    assert_eq!(names(&source), ["in/a.png", "linked/b.png"]);
}

#[test]
fn folders_without_pictures_say_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().display().to_string();
    let error = |path: &str| open(path).err().unwrap().to_string();

    assert_eq!(error(&format!("{at}/missing")), format!("{at}/missing: no such folder or file, expected pictures"));
    write(dir.path(), "notes.txt", b"some text");
    assert_eq!(
        error(&format!("{at}/notes.txt")),
        format!(
            "{at}/notes.txt: none of its 1 picture files can be decoded, expected at least one; the first: \
             some text: cannot be read: No such file or directory (os error 2)"
        )
    );
    assert_eq!(
        error(&at),
        format!(
            "{at}: no picture in this folder or below, expected files ending in \
             jpg, jpeg, png, webp, bmp, gif, tif, tiff"
        )
    );
    write(dir.path(), "bad/one.jpg", b"some text");
    write(dir.path(), "two.png", b"");
    assert_eq!(
        error(&at),
        format!(
            "{at}: none of its 2 picture files can be decoded, expected at least one; the first: \
             bad/one.jpg: not a picture: expected JPEG, PNG, WebP, BMP, GIF or TIFF, \
             found the bytes 73 6f 6d 65 20 74 65 78"
        )
    );
    write(dir.path(), "z.png", &png(quarters()));
    assert_eq!(open(&at).unwrap().len(), 3);
}

#[test]
fn undecodable_files_are_logged_counted_and_skipped() {
    listen();
    let dir = tempfile::tempdir().unwrap();
    let photo = png(quarters());
    for (number, name) in ["a.png", "b.png", "c.png", "d.png"].iter().enumerate() {
        let length = if number == 1 { photo.len() / 2 } else { photo.len() };
        write(dir.path(), name, &photo[..length]);
    }
    let source = FolderSource::open(dir.path()).unwrap();
    fs::remove_file(dir.path().join("c.png")).unwrap();
    for threads in [0, 1, 4] {
        let loaded = load_all(&source, &[3, 1, 2, 0], Some(8), threads);
        let indices: Vec<usize> = loaded.pictures.iter().map(|(index, _)| *index).collect();
        assert_eq!(indices, [3, 0]);
        assert!(loaded.pictures.iter().all(|(_, p)| p.height == 8));
        let skipped: Vec<&str> = loaded.skipped.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(skipped, ["b.png", "c.png"]);
        assert!(matches!(loaded.skipped[0].1, DataError::Decode { .. }));
        assert!(matches!(loaded.skipped[1].1, DataError::Read { .. }));
    }
    assert_eq!(logged("WARN skipped: b.png: cannot be decoded as PNG: "), 3);
    assert_eq!(logged("WARN skipped: c.png: cannot be read: "), 3);
}
