//! The command line: exit codes 0 done, 1 failed, 2 arguments that cannot be parsed, 130 by a second Ctrl-C.

mod advice;
mod args;
mod bench;
mod bench_args;
mod bench_chart;
mod bench_scale;
mod bench_slices;
mod bench_turns;
mod chart;
mod compile_bar;
mod convert;
mod data;
mod demo;
mod demo_folder;
mod embed;
mod export;
mod find_lr;
mod info;
mod interrupt;
mod model_args;
mod pixels;
mod place;
mod probe;
mod probe_args;
mod progress;
mod recipe;
mod reconstruct;
mod resume;
mod runs;
mod selftest;
mod train;
mod train_screen;
mod weights;
mod window;

use std::process::ExitCode;

use clap::builder::UnknownArgumentValueParser;
use clap::{Arg, CommandFactory as _, FromArgMatches as _};

use crate::platform;
use args::{Cli, Command};
use progress::ReaderLeft;
pub use window::Window;

/// What can be asked, as help and completions have it: of the options that find-lr shares with training only those that it
/// takes. Who gives a rate by the name that it has elsewhere is told of the one here.
fn interface() -> clap::Command {
    let idle = |arg: Arg| match find_lr::IDLE.iter().any(|(name, _)| arg.get_id() == name) {
        true => arg.hide(true),
        false => arg,
    };
    let told = UnknownArgumentValueParser::suggest_arg("--blr");
    let told = told.and_suggest("the learning rate is --blr times effective batch / 256");
    let rate = Arg::new("lr").long("lr").hide(true).value_parser(told);
    Cli::command()
        .mut_subcommand("train", |command| command.arg(rate))
        .mut_subcommand("find-lr", |command| command.mut_args(idle))
}

/// Parses the arguments and runs the command; without one opens `window`.
///
/// To be called first of all, while there is one thread.
pub fn main(window: Option<Window>) -> ExitCode {
    platform::quiet_drivers();
    platform::allow_files();
    // Shells of Windows leave `*` and `?` to programs.
    let matches = interface().get_matches_from(wild::args_os());
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let level = if cli.common.quiet { "error" } else { "warn" };
    progress::log_to_stderr(&format!("{level},wgpu_hal=off"));
    let common = cli.common;
    let result = match cli.command {
        None => window::run(&common, window),
        Some(Command::Demo(args)) => demo::run(&common, &args),
        Some(Command::Train(args)) => train::run(&common, &args),
        Some(Command::FindLr(args)) => find_lr::run(&common, &args),
        Some(Command::Reconstruct(args)) => reconstruct::run(&common, &args),
        Some(Command::Embed(args)) => embed::run(&common, &args),
        Some(Command::Probe(args)) => probe::run(&common, &args),
        Some(Command::Convert(args)) => convert::run(&common, &args),
        Some(Command::Data(args)) => data::run(&common, &args),
        Some(Command::Recipe { name }) => recipe::run(&common, name.as_deref()),
        Some(Command::Runs(args)) => runs::run(&common, &args),
        Some(Command::Export(args)) => export::run(&common, &args),
        Some(Command::Selftest(args)) => selftest::run(&common, &args),
        Some(Command::Info) => info::run(&common),
        Some(Command::Bench(args)) => bench::run(&common, &args),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut interface(), "unmask", &mut script);
            progress::print(format_args!("{}", String::from_utf8_lossy(&script)))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<ReaderLeft>() => ExitCode::SUCCESS,
        Err(error) => {
            let advice = advice::on(&error).map_or(String::new(), |advice| format!("; {advice}"));
            progress::complain(format_args!("error: {}{advice}", progress::told(&error)));
            ExitCode::FAILURE
        }
    }
}
