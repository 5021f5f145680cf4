//! The `unmask` program; see `unmask --help`.

fn main() -> std::process::ExitCode {
    unmask::cli::main()
}
