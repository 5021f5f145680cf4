//! The command line: exit codes 0 done, 1 failed, 2 wrong usage.

mod args;
mod bench;
mod demo;
mod export;
mod info;
mod progress;
mod reconstruct;
mod selftest;
mod train;

pub use reconstruct::shipped_weights;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command};

/// Parses the arguments and runs the command.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let level = if cli.common.quiet { "error" } else { "warn" };
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(format!("{level},wgpu_hal=off")))
        .format_timestamp(None)
        .format_target(false)
        .init();
    let common = cli.common;
    let result = match cli.command {
        None => demo::run(&common, &args::DemoArgs::default()),
        Some(Command::Demo(args)) => demo::run(&common, &args),
        Some(Command::Train(args)) => train::run(&common, &args),
        Some(Command::Reconstruct(args)) => reconstruct::run(&common, &args),
        Some(Command::Export(args)) => export::run(&common, &args),
        Some(Command::Selftest(args)) => selftest::run(&common, &args),
        Some(Command::Info) => info::run(&common),
        Some(Command::Bench(args)) => bench::run(&common, &args),
        Some(Command::Completions { shell }) => {
            clap_complete::generate(shell, &mut Cli::command(), "unmask", &mut std::io::stdout());
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
