//! Features of pictures, and how well classes can be told from them.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::{Random, gpu};
use unmask::data::Picture;
use unmask::gpu::Uploads as _;
use unmask::graph::{Externals, Plan, TensorType};
use unmask::mae::{self, MaeConfig};
use unmask::nn::{Builder, ParamStore, State};
use unmask::probe::{EmbedOptions, Embedder, Features, LinearOptions, Pool, Samples, Start, linear, nearest};
use unmask::train::{Hidden, Opened, Precision, Reconstructor};

/// A picture of colours that change over it.
fn picture(width: u32, height: u32, shade: u8) -> Picture {
    let pixel = |i: u32| [(i % width * 3) as u8, (i / width * 2) as u8, shade, 255];
    Picture { name: format!("{shade}"), width, height, pixels: (0..width * height).flat_map(pixel).collect() }
}

fn close(got: &[f32], want: &[f32], tolerance: f32) -> bool {
    got.len() == want.len() && got.iter().zip(want).all(|(got, want)| (got - want).abs() <= tolerance)
}

/// Features of `pictures` by the shipped encoder.
fn embedded(pictures: &[Picture], pool: Pool, precision: Precision) -> Vec<f32> {
    let model = Opened::shipped().expect("weights");
    pollster::block_on(async {
        let options = EmbedOptions { pool, precision };
        let embedder =
            Embedder::new(gpu(), &model.config, Start::Weights(&model.weights), options).await.expect("a plan");
        embedder.embed(pictures.to_vec()).await.expect("features")
    })
}

/// What the shipped encoder makes of `image [1, 3, S, S]`, `[1 + L, D]`.
fn latent(image: &[f32]) -> Vec<f32> {
    let model = Opened::shipped().expect("weights");
    let config = MaeConfig { mask_ratio: 0.0, ..model.config.clone() };
    let (side, patches, gpu) = (config.image_size, config.patches(), gpu());
    pollster::block_on(async {
        let mut b = Builder::new();
        let x = b.graph.external("image", TensorType::f32(&[1, 3, side, side]));
        let noise = b.graph.external("noise", TensorType::f32(&[1, patches]));
        let masks = mae::given_masks(&mut b.graph, &config, noise).expect("masks");
        let latent = mae::encoder(&mut b, &config, x, masks).expect("an encoder").latent;
        let store = ParamStore::new(&gpu, b.params(), false).await.expect("memory");
        store.load(&gpu, State::Weights, &model.weights).expect("weights");
        let mut inputs: Externals = store.externals();
        let plan = Plan::build(&gpu, &b.graph, &[latent], &mut inputs).await.expect("a plan");
        // Another order of patches is no matter to what stands for all of them.
        let falling: Vec<f32> = (0..patches).map(|patch| (patches - patch) as f32).collect();
        gpu.upload(inputs.get("noise").expect("bound"), &falling);
        gpu.upload(inputs.get("image").expect("bound"), image);
        plan.run(&gpu);
        gpu.read_one("latent", plan.slice(latent).expect("a root")).await.expect("read")
    })
}

#[test]
fn features_are_the_encoders_output() {
    // So many that there are two batches, of several sizes.
    let pictures: Vec<Picture> = (0..35).map(|i| picture(70 + 3 * i, 64 + i % 5, 7 * i as u8)).collect();
    let model = Opened::shipped().expect("weights");
    let width = model.config.width;
    let whole = embedded(&pictures, Pool::Class, Precision::F32);
    let means = embedded(&pictures, Pool::Mean, Precision::F32);
    let halves = embedded(&pictures, Pool::Mean, Precision::Mixed);
    assert_eq!([whole.len(), means.len(), halves.len()], [35 * width; 3]);
    for index in [0, 31, 32, 34] {
        let image = pollster::block_on(async {
            let mut model = Reconstructor::new(gpu(), &model).await.expect("a model");
            let hidden = Hidden::Ratio { strategy: None, ratio: 0.5, seed: 0 };
            model.reconstruct(pictures[index].clone(), &hidden).await.expect("rebuilt").image
        });
        let want = latent(&image);
        let row = |features: &[f32]| features[index * width..][..width].to_vec();
        assert!(close(&row(&whole), &want[..width], 1e-4), "picture {index}");
        let patches = want[width..].chunks(width);
        let count = patches.len() as f32;
        let mean = patches.fold(vec![0.0; width], |sum, row| sum.iter().zip(row).map(|(a, b)| a + b / count).collect());
        assert!(close(&row(&means), &mean, 1e-4), "the mean of picture {index}");
        assert!(close(&row(&halves), &mean, 3e-2), "the mean of picture {index} in 16 bits");
    }
    let alone = embedded(&pictures[34..], Pool::Class, Precision::F32);
    assert_eq!(alone, whole[34 * width..], "whatever else is in the batch");
}

/// `count` samples around one centre for each of `classes`, `spread` wide.
fn clusters(random: &mut Random, count: usize, classes: usize, width: usize, spread: f32) -> Samples {
    let of: Vec<usize> = (0..count).map(|index| index % classes).collect();
    let centre = |class: usize, column: usize| if column % classes == class { 1.0 } else { 0.0 };
    let noise = random.vec(count * width);
    let value = |(i, noise): (usize, &f32)| centre(of[i / width], i % width) + spread * noise;
    Samples { features: Features { width, values: noise.iter().enumerate().map(value).collect() }, classes: of }
}

#[test]
fn classes_that_lie_apart_are_told_and_others_are_not() {
    let mut random = Random(5);
    let options = LinearOptions { epochs: 20, seed: 1 };
    let (train, test) = (clusters(&mut random, 301, 7, 21, 0.3), clusters(&mut random, 83, 7, 21, 0.3));
    let told = |train: &Samples, test: &Samples| {
        let mut steps = (0, 0);
        let gpu = gpu();
        let probe = linear(&gpu, train, test, 7, options, |done, all| steps = (done, all));
        let probe = pollster::block_on(probe).expect("a probe");
        assert!(steps.0 == steps.1 && steps.0 > 0, "{steps:?}");
        (probe, pollster::block_on(nearest(&gpu, train, test, 7, 20)).expect("neighbours"))
    };
    let (probe, neighbours) = told(&train, &test);
    assert!(probe.accuracy.top1 == 1.0 && neighbours.top1 == 1.0, "{probe:?} {neighbours:?}");
    assert_eq!((probe, neighbours), told(&train, &test), "the same again");
    assert_eq!(probe.accuracy.pictures, 83);

    // Nothing but noise: a seventh is right by chance, and five of seven.
    let (train, test) = (clusters(&mut random, 700, 7, 21, 1e6), clusters(&mut random, 700, 7, 21, 1e6));
    let (probe, neighbours) = told(&train, &test);
    for accuracy in [probe.accuracy, neighbours] {
        assert!((accuracy.top1 - 1.0 / 7.0).abs() < 0.06 && (accuracy.top5 - 5.0 / 7.0).abs() < 0.08, "{accuracy:?}");
    }
}

#[test]
fn more_neighbours_than_are_compared_at_one_time() {
    // More than one piece of the bank, and of those that are asked about; neither divides.
    let (mut random, width, k) = (Random(6), 8, 20);
    let (bank, asked) = (clusters(&mut random, 16_999, 5, width, 2.0), clusters(&mut random, 301, 5, width, 2.0));
    let got = pollster::block_on(nearest(&gpu(), &bank, &asked, 5, k)).expect("neighbours");
    let unit = |row: &[f32]| -> Vec<f64> {
        let length = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        row.iter().map(|x| f64::from(*x) / length).collect()
    };
    let bank_rows: Vec<Vec<f64>> = (0..bank.classes.len()).map(|index| unit(bank.features.row(index))).collect();
    let right = (0..asked.classes.len()).filter(|index| {
        let own = unit(asked.features.row(*index));
        let cosine = |row: &Vec<f64>| row.iter().zip(&own).map(|(a, b)| a * b).sum::<f64>();
        let mut all: Vec<(f64, usize)> = bank_rows.iter().map(cosine).zip(bank.classes.iter().copied()).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut votes = [0.0; 5];
        all[..k].iter().for_each(|(cosine, class)| votes[*class] += (cosine / 0.07).exp());
        votes.iter().all(|vote| *vote <= votes[asked.classes[*index]])
    });
    let want = right.count() as f64 / 301.0;
    // Neighbours that are all but equally near may change places.
    assert!((got.top1 - want).abs() < 0.01 && got.top1 > 0.3, "{} instead of {want}", got.top1);
}

fn unmask(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unmask"));
    // Not the user's own.
    command.env("UNMASK_CACHE", env!("CARGO_TARGET_TMPDIR"));
    command.args(arguments).output().expect("the program runs")
}

fn failure(arguments: &[&str]) -> String {
    let output = unmask(arguments);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}

/// Pictures of reds, greens and blues, in a folder for each.
fn colours(folder: &Path, count: u8) {
    for (channel, name) in ["red", "green", "blue"].into_iter().enumerate() {
        fs::create_dir_all(folder.join(name)).expect("a folder");
        for index in 0..count {
            let mut colour = [index * 2, index * 3, index];
            colour[channel] = 200 + index;
            let pixels = image::RgbImage::from_pixel(64, 64, image::Rgb(colour));
            pixels.save(folder.join(name).join(format!("{index}.png"))).expect("written");
        }
    }
}

#[test]
fn the_program_tells_colours_apart_and_says_what_is_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    colours(&folder.path().join("set/train"), 14);
    colours(&folder.path().join("set/test"), 3);
    fs::write(folder.path().join("set/train/red/broken.png"), "no picture").expect("written");
    // Several sets behind one option, as a shell makes of `*`.
    let [red, green, blue] = ["red", "green", "blue"].map(|name| path(&format!("set/train/{name}")));
    let [test, other] = ["set/test/red", "set/test/blue"].map(&path);
    let arguments = ["probe", "--json", "--epochs", "1", "--data", &red, &green, &blue, "--test", &test, &other];
    let said = failure(&arguments);
    assert!(said.contains("it has no class label"), "{said}");
    // What is tested is not trained on, though it lies below what is; the folder of the rest tells nothing apart.
    let arguments = ["probe", "--json", "--epochs", "30", "--data", &path("set"), "--test", &path("set/test")];
    let output = unmask(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!((&told["assumed"], &told["averages_left_out"]), (&serde_json::json!([]), &false.into()));
    assert_eq!(told["classes"], serde_json::json!(["blue", "green", "red"]));
    assert_eq!((&told["train"], &told["test"], &told["width"]), (&42.into(), &9.into(), &128.into()));
    assert_eq!(told["encoder"]["neighbours"]["top1"], 1.0, "{told}");
    assert_eq!(told["encoder"]["linear"]["accuracy"]["top1"], 1.0, "{told}");
    assert!(told["untrained"]["linear"]["lr"].as_f64() > Some(0.0), "{told}");
    assert!((told["commonest"].as_f64().expect("a share") - 1.0 / 3.0).abs() < 1e-9);

    // The same by a file of labels, of a set that says nothing itself.
    fs::create_dir(folder.path().join("flat")).expect("a folder");
    let mut labels = String::new();
    for (index, name) in ["red", "green", "blue"].into_iter().cycle().take(30).enumerate() {
        let from = folder.path().join("set/train").join(name).join(format!("{}.png", index / 3));
        fs::copy(from, folder.path().join(format!("flat/{index:02}.png"))).expect("copied");
        labels += &format!("{name}\n");
    }
    fs::write(folder.path().join("labels.txt"), &labels).expect("written");
    let (flat, file) = (path("flat"), path("labels.txt"));
    let arguments = ["probe", "--no-untrained", "--epochs", "30", "--data", &flat, "--labels", &file];
    let output = unmask(&arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("27 to train on, 3 to test, 3 classes") && !said.contains("untrained"), "{said}");
    assert!(said.contains("\nclasses     blue, green, red\n"), "{said}");

    let said = failure(&["probe", "--data", &flat, "--test", &flat]);
    assert!(said.contains("it is both to be trained on and to be held out or tested"), "{said}");
    let said = failure(&["probe", "--data", &flat, "--test", &format!("{flat}/.")]);
    assert!(said.contains("0 pictures to train on and 30 to test; expected some of both"), "{said}");
    let said = failure(&["probe", "--data", &flat]);
    assert!(said.contains("00.png") && said.contains("it has no class label"), "{said}");
    fs::write(folder.path().join("labels.txt"), &labels[4..]).expect("written");
    let said = failure(&["probe", "--data", &flat, "--labels", &file]);
    assert!(said.contains("29 labels") && said.contains("30 pictures"), "{said}");
    let said = failure(&["probe", "--data", &path("set/train/red"), "--test", &flat]);
    assert!(said.contains("no class label"), "{said}");
    fs::rename(folder.path().join("set/test/red"), folder.path().join("set/test/rouge")).expect("renamed");
    let said = failure(&["probe", "--data", &path("set/train"), "--test", &path("set/test")]);
    assert!(said.contains("class rouge"), "{said}");
}

#[test]
fn the_program_writes_features_as_an_array() {
    let folder = tempfile::tempdir().expect("a folder");
    colours(&folder.path().join("set"), 2);
    fs::write(folder.path().join("set/red/1.png"), "no picture").expect("written");
    let (set, out) = (folder.path().join("set").display().to_string(), folder.path().join("f.npy"));
    let output = unmask(&["embed", &set, "--out", &out.display().to_string(), "--json"]);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!((&told["pictures"], &told["width"], &told["skipped"]), (&5.into(), &128.into(), &1.into()));
    let bytes = fs::read(&out).expect("read");
    let header = String::from_utf8_lossy(&bytes[10..128]).into_owned();
    assert!(header.contains("'<f4'") && header.contains("(5, 128)"), "{header}");
    assert_eq!(bytes.len(), 128 + 5 * 128 * 4);
    let names = fs::read_to_string(folder.path().join("f.tsv")).expect("read");
    assert_eq!(names, "blue/0.png\tblue\nblue/1.png\tblue\ngreen/0.png\tgreen\ngreen/1.png\tgreen\nred/0.png\tred\n");
    let said = failure(&["embed", &set, "--out", "features.csv"]);
    let list = folder.path().join("list.tsv");
    fs::write(&list, "").expect("written");
    let list = list.display().to_string();
    let over = failure(&["embed", &list, "--out", &folder.path().join("list.npy").display().to_string()]);
    assert!(over.contains("is to be read, and names of pictures would be written there"), "{over}");
    assert!(said.contains("features.csv") && said.contains(".npy"), "{said}");
    // A table beside which no features lie is somebody's; that of features is written anew with them.
    fs::write(folder.path().join("mine.tsv"), "a.png\tcat\n").expect("written");
    let said = failure(&["embed", &set, "--out", &folder.path().join("mine.npy").display().to_string()]);
    assert!(said.contains("mine.tsv exists, and names of pictures would be written there"), "{said}");
    assert_eq!(fs::read_to_string(folder.path().join("mine.tsv")).expect("read"), "a.png\tcat\n");
    assert!(unmask(&["embed", &set, "--out", &out.display().to_string()]).status.success());
    let said = failure(&["embed", &set, "--out", &folder.path().join("no/f.npy").display().to_string()]);
    assert!(said.contains("no/f.npy cannot be written"), "{said}");
}
