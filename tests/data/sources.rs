//! The sample photographs and folders, and loading all of them.

use std::fs;
use std::path::Path;

use unmask::data::{
    DataError, FolderSource, Labels, PassedOver, SampleSource, Source, decode, load_all, open, open_all, split,
};

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

#[cfg(unix)]
#[test]
fn a_file_to_which_links_lead_is_taken_once() {
    use std::os::unix::fs::symlink;
    listen();
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let photo = png(quarters());
    for name in ["2024-05/a.png", "2024-05/b/c.png", "d.png"] {
        write(dir.path(), name, &photo);
    }
    write(elsewhere.path(), "e.png", &photo);
    let before = FolderSource::open(dir.path()).unwrap();
    assert_eq!(logged(&format!("WARN {}: left out", dir.path().display())), 0);
    symlink(dir.path().join("2024-05"), dir.path().join("latest")).unwrap();
    symlink("2024-05/a.png", dir.path().join("cover.png")).unwrap();
    let source = FolderSource::open(dir.path()).unwrap();
    assert_eq!((names(&source), split(&source)), (names(&before), split(&before)));
    let warned = format!("WARN {}: left out 3 of 6 files, as they are there once already", dir.path().display());
    assert_eq!(logged(&warned), 1);
    // The first name counts, and what is linked alone has one; so it is where a link leads to the whole folder.
    symlink(elsewhere.path().join("e.png"), dir.path().join("e.png")).unwrap();
    symlink(dir.path().join("d.png"), dir.path().join("1.png")).unwrap();
    let door = elsewhere.path().join("door");
    symlink(dir.path(), &door).unwrap();
    for path in [dir.path(), &door] {
        let source = FolderSource::open(path).unwrap();
        assert_eq!(names(&source), ["1.png", "2024-05/a.png", "2024-05/b/c.png", "e.png"]);
        assert!((0..4).all(|index| source.load(index, Some(1)).is_ok()));
        assert_eq!(source.paths().next(), Some(&*path.join("1.png")));
    }
    let both = [dir.path(), &door].map(|path| path.display().to_string());
    assert_eq!(names(&*open_all(&both).unwrap().0), ["1.png", "2024-05/a.png", "2024-05/b/c.png", "e.png"]);
}

#[test]
fn no_picture_of_sets_that_overlap_is_both_trained_on_and_held_out() {
    listen();
    let dir = tempfile::tempdir().unwrap();
    let photo = png(quarters());
    for index in 0..30 {
        write(dir.path(), &format!("cats/{index}.png"), &photo);
        write(dir.path(), &format!("dogs/{index}.png"), &photo);
    }
    // Copies are files of their own.
    write(dir.path(), "more/0.png", &photo);
    let lines: Vec<String> =
        (20..30).map(|index| format!("cats/{index}.png\tcat\n./dogs/../dogs/{index}.png\tdog\n")).collect();
    write(dir.path(), "list.txt", lines.concat().as_bytes());
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (all, cats, dogs, list) = (at(""), at("cats"), at("./dogs/"), at("list.txt"));

    let alone = open_all(std::slice::from_ref(&all)).unwrap();
    for (specs, count) in [
        (vec![&all, &cats], 61),
        (vec![&cats, &all], 61),
        (vec![&cats, &dogs], 60),
        (vec![&list, &dogs], 40),
        (vec![&cats, &list, &dogs], 60),
    ] {
        let specs: Vec<String> = specs.into_iter().cloned().collect();
        let (source, parts) = open_all(&specs).unwrap();
        assert_eq!(source.len(), count, "{specs:?}");
        let mut places: Vec<_> = (0..count).map(|i| fs::canonicalize(source.place(i).unwrap()).unwrap()).collect();
        places.sort();
        places.dedup();
        assert_eq!(places.len(), count, "{specs:?}");
        let mut indices = [parts.train.as_slice(), &parts.held_out].concat();
        indices.sort_unstable();
        assert!(indices.into_iter().eq(0..count), "{specs:?}");
        if specs[0] == all {
            assert_eq!((names(&*source), &parts), (names(&*alone.0), &alone.1));
        }
    }
    assert!(logged("WARN left out 30 pictures that are in several of the data sets") >= 2);

    // Of the very same set asked for twice all counts twice, on either side.
    let (source, parts) = open_all(&[cats.clone(), cats.clone()]).unwrap();
    assert_eq!((source.len(), parts.train.len(), parts.held_out.len()), (60, 54, 6));
    let name = |i: &usize| source.name(*i).to_owned();
    assert!(parts.held_out[..3].iter().map(name).eq(parts.held_out[3..].iter().map(name)));

    // What a set holds out alone it holds out beside others too, and tells what it shows.
    let (source, parts) = open_all(&[cats, list]).unwrap();
    let list = open(&at("list.txt")).unwrap();
    let held: Vec<&str> =
        split(&*list).held_out.into_iter().map(|i| list.name(i)).filter(|n| n.contains("dogs")).collect();
    let mut found: Vec<&str> = parts.held_out.iter().filter(|i| **i >= 30).map(|i| source.name(*i)).collect();
    found.sort_by_key(|name| held.iter().position(|held| held == name));
    assert_eq!(found, held);
    assert_eq!((source.len(), source.name(30), source.label(30)), (40, "./dogs/../dogs/20.png", Some("dog")));
    assert!(source.load(39, Some(1)).is_ok());
}

#[test]
fn single_pictures_are_one_set() {
    let dir = tempfile::tempdir().unwrap();
    let photo = png(quarters());
    for name in ["b.png", "a.JPG", "cat/a.png", "dog/a.png", "no-ending", "set/c.png"] {
        write(dir.path(), name, &photo);
    }
    write(dir.path(), "broken.png", b"some text");
    let at = |name: &str| dir.path().join(name).display().to_string();
    let opened = |names: &[&str]| open_all(&names.iter().map(|name| at(name)).collect::<Vec<_>>());
    let (source, parts) = opened(&["b.png", "a.JPG", "broken.png", "./b.png", "no-ending"]).unwrap();
    assert_eq!(names(&*source), ["b.png", "a.JPG", "broken.png", "no-ending"]);
    assert_eq!((parts.train.len(), parts.held_out.len()), (3, 1));
    assert_eq!(source.load(1, None), decode("a.JPG", &photo, None));
    // What folders tell is kept, and a set beside them is one of its own.
    let (source, parts) = opened(&["cat/a.png", "set", "dog/a.png"]).unwrap();
    assert_eq!(names(&*source), ["cat/a.png", "dog/a.png", "c.png"]);
    assert_eq!((source.folders(1), parts.held_out.len()), ("dog", 1));
    assert_eq!(names(&*open(&at("cat/a.png")).unwrap()), ["a.png"]);
    let error = |names: &[&str]| opened(names).err().unwrap().to_string();
    assert!(error(&["broken.png"]).starts_with("broken.png: not a picture: "), "{}", error(&["broken.png"]));
    write(dir.path(), "too.png", b"");
    assert!(error(&["broken.png", "too.png"]).contains("none of its 2 picture files can be decoded"));
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
fn some_files_from_everywhere_tell_whether_a_folder_is_of_use() {
    let dir = tempfile::tempdir().unwrap();
    for index in 0..130 {
        write(dir.path(), &format!("{index:03}.png"), b"some text");
    }
    let error = FolderSource::open(dir.path()).err().unwrap().to_string();
    assert!(
        error.contains("none of the 64 that were tried of its 130 picture files can be decoded")
            && error.contains("000.png"),
        "{error}"
    );
    // The whole first half is broken; of what follows every second one is tried.
    for index in 90..130 {
        write(dir.path(), &format!("{index:03}.png"), &png(quarters()));
    }
    assert_eq!(FolderSource::open(dir.path()).unwrap().len(), 130);
}

#[test]
fn folders_that_are_hidden_or_a_systems_are_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let photo = png(quarters());
    for name in [".git/a.png", "cat/@eaDir/a.jpg/SYNOPHOTO_THUMB.jpg", "__MACOSX/cat/a.png", "cat/.thumbs/a.png"] {
        write(dir.path(), &format!(".hidden/{name}"), &photo);
    }
    for name in ["cat/a.png", "cat/.b.png", "cat/._c.png"] {
        write(dir.path(), &format!(".hidden/{name}"), &photo);
    }
    // The folder that was asked for may be hidden itself.
    assert_eq!(names(&FolderSource::open(dir.path().join(".hidden")).unwrap()), ["cat/.b.png", "cat/a.png"]);
    assert!(matches!(FolderSource::open(dir.path()), Err(DataError::NoPictures { .. })));
}

#[test]
fn containers_beside_pictures_are_told_of() {
    listen();
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.png", &png(quarters()));
    write(dir.path(), "notes.txt", b"no container");
    let warned = format!("WARN {}: ", dir.path().display());
    assert_eq!(names(&*open(dir.path().to_str().unwrap()).unwrap()), ["a.png"]);
    assert_eq!(logged(&warned), 0);
    write(dir.path(), "in/1.tar", b"");
    write(dir.path(), "2.zip", b"");
    assert_eq!(names(&*open(dir.path().to_str().unwrap()).unwrap()), ["a.png"]);
    assert_eq!(logged(&format!("{warned}2.zip, in/1.tar not used: a folder that holds pictures")), 1);
}

#[test]
fn the_outermost_folder_is_the_class() {
    let dir = tempfile::tempdir().unwrap();
    let photo = png(quarters());
    for name in ["train/cat/p1/1.png", "train/cat/p2/2.png", "train/dog/p3/3.png", "train/dog/4.png"] {
        write(dir.path(), name, &photo);
    }
    let classes = |place: &str| {
        let source = open(dir.path().join(place).to_str().unwrap()).unwrap();
        let labels = Labels::of_source(&*source).unwrap();
        labels.of.into_iter().map(|class| labels.classes[class].clone()).collect::<Vec<_>>()
    };
    // Names are sorted: 4.png comes before p3.
    assert_eq!(classes("train"), ["cat", "cat", "dog", "dog"]);
    assert_eq!(classes(""), ["cat", "cat", "dog", "dog"], "a folder that holds all of them is no class");
    assert_eq!(classes("train/cat"), ["p1", "p2"]);
    write(dir.path(), "val/dog/5.png", &photo);
    assert_eq!(classes(""), ["train", "train", "train", "train", "val"]);
    let source = open("sample").unwrap();
    assert!(Labels::of_source(&*source).unwrap().classes.contains(&"animal".to_owned()));
}

#[test]
fn files_of_other_kinds_are_told_of_where_they_are_most() {
    listen();
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.png", &png(quarters()));
    write(dir.path(), "cat/a.json", b"{}");
    let at = dir.path().to_str().unwrap().to_owned();
    let warned = format!("WARN {at}: 2 other files passed over (.heic 2), more than the 1 picture files");
    open(&at).unwrap();
    assert_eq!(logged(&format!("WARN {at}: ")), 0);
    write(dir.path(), "b.HEIC", b"");
    write(dir.path(), "c.heic", b"");
    write(dir.path(), ".hidden/c.heic", b"");
    write(dir.path(), ".DS_Store", b"");
    open(&at).unwrap();
    assert_eq!(logged(&warned), 1);
    assert_eq!(PassedOver::of(&[at.clone(), format!("{at}/a.png")]).count(), 3);
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
