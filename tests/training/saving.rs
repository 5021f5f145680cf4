//! What a run keeps: checkpoints that cannot be written, measurements that do not compare, devices and pictures that go away.

use super::*;

/// A session that waits after `steps` steps of a run in `out`.
fn paused(recipe: Recipe, out: &Path, steps: u64) -> Session {
    let session = Session::start(job(recipe, Some(out))).expect("a thread");
    session.send(Command::Pause);
    for _ in 0..steps {
        session.send(Command::Step);
    }
    until(&session, |event| matches!(event, Event::Step(line) if line.step == steps));
    session
}

#[test]
fn a_save_that_fails_is_told_and_the_run_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let session = paused(nano(), &out, 2);
    let checkpoints = out.join("checkpoints");
    fs::remove_dir_all(&checkpoints).expect("removed");
    fs::write(&checkpoints, "in the way").expect("written");
    session.send(Command::Save);
    until(&session, |event| matches!(event, Event::Warning(text) if text.contains("nothing was saved")));
    fs::remove_file(&checkpoints).expect("removed");
    fs::create_dir(&checkpoints).expect("made");
    session.send(Command::Save);
    let events = until(&session, |event| matches!(event, Event::Saved(_)));
    let Some(Event::Saved(path)) = events.last() else { panic!("nothing saved: {events:?}") };
    assert_eq!(Checkpoint::read(path).expect("whole").step, 2);
    session.send(Command::Stop);
    until(&session, |event| matches!(event, Event::Finished { .. }));
}

#[test]
fn a_checkpoint_that_is_not_finite_is_not_said_to_be() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let mut recipe = nano();
    recipe.train.steps = 1;
    run(job(recipe.clone(), Some(&out))).expect("a run");
    let (file, mut checkpoint) = RunFolder::newest(&out).expect("a run").expect("saved");
    checkpoint.weights.tensors.values_mut().for_each(|tensor| tensor.data[0] = f32::NAN);
    checkpoint.write(&file).expect("written");
    recipe.train.steps = 3;
    let error = run(Job { begin: Begin::Resume, ..job(recipe, Some(&out)) }).expect_err("diverged").to_string();
    assert!(error.contains("is not finite at step") && !error.contains("finite throughout"), "{error}");
    assert!(error.contains(&format!("{}, holds numbers that are not finite", file.display())), "{error}");
}

/// As a demo is ended: what is learnt is safe before the time is spent to measure it.
#[test]
fn what_is_saved_before_it_is_measured_has_its_loss_in_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let session = paused(nano(), &out, 2);
    for command in [Command::Save, Command::Measure, Command::Stop] {
        session.send(command);
    }
    let events = until(&session, |event| matches!(event, Event::Finished { .. }));
    let at = |is: fn(&Event) -> bool| events.iter().position(is).expect("told");
    assert!(at(|event| matches!(event, Event::Saved(_))) < at(|event| matches!(event, Event::HeldOut { .. })));
    drop(session);
    let (_, checkpoint) = RunFolder::newest(&out).expect("a run").expect("saved");
    assert_eq!(checkpoint.step, 2);
    assert!(checkpoint.held_out_loss.is_some());
}

#[test]
fn losses_at_another_mask_ratio_begin_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let session = paused(nano(), &out, 2);
    let measure = || {
        session.send(Command::Measure);
        let events = until(&session, |event| matches!(event, Event::HeldOut { .. }));
        let Some(Event::HeldOut { step: 2, loss }) = events.last() else { panic!("not measured: {events:?}") };
        *loss
    };
    let first = measure();
    let mut ratio = 0.9;
    session.send(Command::SetMaskRatio(ratio));
    // The same step is measured again, as it is another question now.
    let mut loss = measure();
    let better = loss.min(first);
    if loss < first {
        // So that the larger loss comes last.
        ratio = 0.75;
        session.send(Command::SetMaskRatio(ratio));
        loss = measure();
    }
    assert!(loss > better, "{loss} at {ratio}, before {better}");
    session.send(Command::Stop);
    until(&session, |event| matches!(event, Event::Finished { .. }));
    drop(session);

    let (mut run_folder, recipe, checkpoint) = RunFolder::resume(&out).expect("a run");
    assert_eq!(checkpoint.expect("saved").held_out_loss, Some(loss));
    assert_eq!(RunFolder::recipe(&out).expect("a recipe"), recipe);
    let best = Checkpoint::read(&RunFolder::best(&out).expect("saved")).expect("whole");
    assert_eq!((best.held_out_loss, best.recipe.model.mask_ratio), (Some(loss), ratio));
    let measured = read_metrics(&out).last().and_then(|line| line.measured);
    run_folder.compare_at(recipe.model.mask_ratio, measured).expect("read");
    assert!(run_folder.is_best(3, (better + loss) / 2.0) && !run_folder.is_best(3, loss * 1.01));
    drop(run_folder);

    let session = Session::start(Job { begin: Begin::Resume, ..job(recipe, Some(&out)) }).expect("a thread");
    session.send(Command::Pause);
    let resumed = until(&session, |event| matches!(event, Event::Paused(_)));
    assert!(!resumed.iter().any(|event| matches!(event, Event::HeldOut { .. })), "it is known: {resumed:?}");
    session.send(Command::Stop);
    until(&session, |event| matches!(event, Event::Finished { .. }));
}

#[test]
fn what_was_learnt_before_the_pictures_went_away_is_saved() {
    let folder = tempfile::tempdir().expect("a folder");
    let (pictures, out) = (folder.path().join("pictures"), folder.path().join("run"));
    fs::create_dir(&pictures).expect("a folder");
    for i in 0..40u8 {
        let picture = image::RgbImage::from_fn(40, 50, |x, y| image::Rgb([x as u8 * 5, y as u8 * 5, i * 6]));
        picture.save(pictures.join(format!("{i}.png"))).expect("saved");
    }
    let mut recipe = nano();
    recipe.train.data = vec![pictures.display().to_string()];
    recipe.train.pixel_budget = 0;
    recipe.train.steps = 1_000_000;
    recipe.train.checkpoint_every = 0;
    let session = Session::start(job(recipe, Some(&out))).expect("a thread");
    until(&session, |event| matches!(event, Event::Step(line) if line.step >= 3));
    fs::remove_dir_all(&pictures).expect("removed");
    let events: Vec<Event> = std::iter::from_fn(|| session.wait()).collect();
    let Some(Event::Failed(error)) = events.last() else { panic!("{events:?}") };
    assert!(error.to_string().contains("cannot be read"), "{error}");
    let told = |event: &Event| matches!(event, Event::Warning(text) if text.contains("the newest checkpoint"));
    assert!(events.iter().any(told), "{events:?}");

    let steps = read_metrics(&out).iter().filter_map(|line| line.loss.map(|_| line.step)).max();
    let (_, _, checkpoint) = RunFolder::resume(&out).expect("a run");
    let checkpoint = checkpoint.expect("a checkpoint");
    assert_eq!(Some(checkpoint.step), steps);
    assert!(checkpoint.step >= 3 && checkpoint.samples >= checkpoint.step * 8, "{} samples", checkpoint.samples);
}

#[test]
fn a_run_that_cannot_be_saved_waits_for_whoever_watches() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let mut recipe = nano();
    (recipe.train.steps, recipe.train.checkpoint_every, recipe.train.preview_every) = (6, 3, 2);
    let session = Session::open(common::gpu(), Arc::new(|| ())).expect("a thread");
    assert!(session.send(Command::Train(Box::new(job(recipe, Some(&out))))) && session.send(Command::Pause));
    let is_paused = |event: &Event| matches!(event, Event::Paused(true));
    until(&session, is_paused);
    // Where folders were, files are: nothing can be written there.
    for name in ["checkpoints", "previews"] {
        fs::remove_dir_all(out.join(name)).expect("removed");
        fs::write(out.join(name), "").expect("written");
    }
    let told = |events: &[Event], text: &str| {
        let count = |event: &&Event| matches!(event, Event::Warning(told) if told.contains(text));
        events.iter().filter(count).count()
    };
    let waits = |event: &Event| matches!(event, Event::Unsaved);
    session.send(Command::Resume);
    let events = until(&session, waits);
    assert_eq!(told(&events, "training is paused"), 1, "{events:?}");
    assert_eq!(told(&events, "the run goes on"), 1, "previews are no reason to wait: {events:?}");
    assert_eq!(steps_of(&events).last().map(|line| line.step), Some(3));
    // As it is at its end, and where it is stopped.
    session.send(Command::Resume);
    let events = until(&session, waits);
    assert_eq!((told(&events, "nothing was saved"), told(&events, "training is paused")), (2, 1), "{events:?}");
    session.send(Command::Resume);
    assert_eq!(told(&until(&session, waits), "training is paused"), 1);
    for name in ["checkpoints", "previews"] {
        fs::remove_file(out.join(name)).expect("removed");
        fs::create_dir(out.join(name)).expect("made");
    }
    session.send(Command::Resume);
    let events = until(&session, |event| matches!(event, Event::Finished { .. }));
    assert!(matches!(events.last(), Some(Event::Finished { step: 6, .. })), "{events:?}");
    let (_, _, checkpoint) = RunFolder::resume(&out).expect("a run");
    assert_eq!(checkpoint.map(|checkpoint| checkpoint.step), Some(6));
    assert_eq!(read_metrics(&out).iter().filter(|line| line.loss.is_some()).count(), 6);
}

#[test]
fn stopping_gives_nothing_up_that_was_not_told_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let mut recipe = nano();
    (recipe.train.steps, recipe.train.checkpoint_every) = (1000, 0);
    let session = Session::open(common::gpu(), Arc::new(|| ())).expect("a thread");
    session.send(Command::Train(Box::new(job(recipe, Some(&out)))));
    until(&session, |event| matches!(event, Event::Step(_)));
    let checkpoints = out.join("checkpoints");
    fs::remove_dir_all(&checkpoints).expect("removed");
    fs::write(&checkpoints, "").expect("written");
    let waits = |event: &Event| matches!(event, Event::Unsaved);
    session.send(Command::Stop);
    until(&session, waits);
    // Resumed it still stops, once it can be saved.
    session.send(Command::Resume);
    until(&session, waits);
    fs::remove_file(&checkpoints).expect("removed");
    fs::create_dir(&checkpoints).expect("made");
    session.send(Command::Resume);
    let events = until(&session, |event| matches!(event, Event::Finished { .. }));
    let Some(Event::Finished { step, .. }) = events.last() else { panic!("{events:?}") };
    assert!(*step < 1000);
    let (_, _, checkpoint) = RunFolder::resume(&out).expect("a run");
    assert_eq!(checkpoint.map(|checkpoint| checkpoint.step), Some(*step));
}

#[test]
fn a_lost_device_costs_nothing_since_the_last_snapshot() {
    let (straight, _) = run(job(nano(), None)).expect("a run");
    let open = || pollster::block_on(Gpu::open(&GpuOptions::default())).expect("an adapter");
    let gpu = open();
    let session = Session::open(gpu.clone(), Arc::new(|| ())).expect("a thread");
    session.send(Command::Train(Box::new(job(nano(), None))));
    until(&session, |event| matches!(event, Event::Step(line) if line.step >= 5));
    session.send(Command::Snapshot);
    let events = until(&session, |event| matches!(event, Event::Snapshot(_)));
    let Some(Event::Snapshot(snapshot)) = events.last() else { panic!("no snapshot") };
    gpu.lose();
    let events = until(&session, |event| matches!(event, Event::Lost(_)));
    assert!(matches!(events.last(), Some(Event::Lost(_))), "the loss is told");
    assert!(session.wait().is_none(), "the session is over");

    // Through the bytes of a file, as a page keeps them.
    let bytes = snapshot.to_bytes().expect("bytes");
    let snapshot = Arc::new(Checkpoint::from_bytes("snapshot", &bytes).expect("a checkpoint"));
    let again = pollster::block_on(gpu.reopen()).expect("another device");
    let session = Session::open(again, Arc::new(|| ())).expect("a thread");
    let step = snapshot.step as usize;
    session.send(Command::Train(Box::new(Job { begin: Begin::Snapshot(snapshot), ..job(nano(), None) })));
    let rest = steps_of(&until(&session, |event| matches!(event, Event::Finished { .. })));
    assert_eq!(losses(&straight)[step..], losses(&rest)[..]);
}
