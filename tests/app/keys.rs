//! Every key in the list of keys.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use unmask::app::{App, Tab};
use unmask::platform::{Content, Incoming};

use super::egui::{self, Key};
use super::{open, visible, wait};

fn press(harness: &mut Harness<'static, App>, key: Key) {
    harness.key_press(key);
    harness.run_steps(2);
}

fn hidden(app: &App) -> Vec<bool> {
    app.explore().result().expect("a result").measured.hidden.clone()
}

#[test]
fn digits_open_panels_and_the_question_mark_the_list_of_keys() {
    let mut harness = open();
    for (key, tab) in
        [(Key::Num2, Tab::Train), (Key::Num3, Tab::Inspect), (Key::Num4, Tab::Guide), (Key::Num1, Tab::Explore)]
    {
        press(&mut harness, key);
        assert_eq!(harness.state().settings().tab, tab, "{key:?}");
    }
    let list = "Explore, Train, Inspect, How it works";
    assert!(harness.query_by_label(list).is_none());
    for open in [true, false] {
        // On most keyboards Shift is down with it.
        harness.key_press_modifiers(egui::Modifiers::SHIFT, Key::Questionmark);
        // The list fades.
        harness.run_steps(60);
        assert_eq!(harness.query_by_label(list).is_some(), open);
    }
}

#[test]
fn keys_hide_other_patches_and_show_other_pictures() {
    let mut harness = open();
    let (seed, before) = (harness.state().settings().explore.seed, hidden(harness.state()));
    press(&mut harness, Key::R);
    assert_eq!(harness.state().settings().explore.seed, seed + 1);
    wait(&mut harness, "other patches", |app| hidden(app) != before);
    assert_eq!(visible(harness.state()), 16);

    press(&mut harness, Key::ArrowUp);
    wait(&mut harness, "80 % hidden", |app| visible(app) == 12);
    press(&mut harness, Key::ArrowDown);
    press(&mut harness, Key::ArrowDown);
    wait(&mut harness, "70 % hidden", |app| visible(app) == 19);

    let first = harness.state().explore().picture().to_owned();
    press(&mut harness, Key::ArrowRight);
    let second = harness.state().explore().picture().to_owned();
    press(&mut harness, Key::ArrowRight);
    let third = harness.state().explore().picture().to_owned();
    assert!(first != second && second != third && third != first, "{first} {second} {third}");
    for picture in [&second, &first] {
        press(&mut harness, Key::ArrowLeft);
        assert_eq!(harness.state().explore().picture(), picture);
    }

    // Less and less is hidden, until it is stopped.
    press(&mut harness, Key::A);
    harness.get_by_label("Stop");
    wait(&mut harness, "less hidden than at first", |app| app.settings().explore.ratio < 0.9);
    press(&mut harness, Key::A);
    let ratio = harness.state().settings().explore.ratio;
    harness.get_by_label("Reveal");
    harness.run_steps(20);
    assert_eq!(harness.state().settings().explore.ratio, ratio);
}

#[test]
fn pictures_are_chosen_by_a_key_and_pasted() {
    let mut harness = open();
    let titles: Rc<RefCell<Vec<String>>> = Rc::default();
    let asked = titles.clone();
    harness.state_mut().choose_by(Box::new(move |title| {
        asked.borrow_mut().push(title.to_owned());
        let mut png = Vec::new();
        let picture = image::RgbImage::from_fn(90, 70, |x, y| image::Rgb([x as u8 * 2, y as u8 * 3, 90]));
        picture.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).expect("a png");
        vec![Incoming { name: "chosen.png".to_owned(), content: Ok(Content::Bytes(png)) }]
    }));
    press(&mut harness, Key::O);
    assert_eq!(*titles.borrow(), ["Pictures or weights"]);
    wait(&mut harness, "the picture that was chosen", |app| app.explore().picture() == "chosen.png");

    // What the window makes of Ctrl V.
    let image = egui::ColorImage::filled([50, 40], egui::Color32::GOLD);
    harness.event(egui::Event::PasteImage(Arc::new(image)));
    wait(&mut harness, "the clipboard's picture", |app| app.explore().picture() == "the clipboard");
}

#[test]
fn patches_are_hidden_and_shown_without_a_pointer() {
    let mut harness = open();
    let picture = "Visible patches";
    harness.get_by_role_and_label(egui::accesskit::Role::Image, picture).focus();
    harness.run_steps(2);
    let (before, shown) = (hidden(harness.state()), harness.state().explore().picture().to_owned());
    for key in [Key::ArrowDown, Key::ArrowDown, Key::ArrowRight, Key::ArrowLeft, Key::ArrowLeft, Key::ArrowRight] {
        press(&mut harness, key);
    }
    // Row 2, column 1: what went beyond the edge did not count.
    let patch = 2 * 8 + 1;
    let value = harness.get_by_role_and_label(egui::accesskit::Role::Image, picture).value();
    assert_eq!(value.as_deref(), Some("row 3, column 2"));
    for want in [!before[patch], before[patch]] {
        press(&mut harness, Key::Space);
        wait(&mut harness, "the patch", |app| hidden(app)[patch] == want);
        assert_eq!(
            hidden(harness.state()).iter().zip(&before).filter(|(a, b)| a != b).count(),
            usize::from(want != before[patch])
        );
    }
    assert!(harness.state().explore().is_painted());
    // The arrows meant the picture alone.
    assert_eq!(harness.state().explore().picture(), shown);

    press(&mut harness, Key::Escape);
    press(&mut harness, Key::Num3);
    wait(&mut harness, "a look", |app| app.inspect().looked().is_some());
    harness.get_by_role_and_label(egui::accesskit::Role::Image, "Attention").focus();
    harness.run_steps(2);
    let token = harness.state().inspect().looked().expect("a look").look.token;
    press(&mut harness, Key::ArrowDown);
    wait(&mut harness, "the patch below", |app| {
        app.inspect().looked().is_some_and(|looked| looked.look.token == token + 8)
    });
}
