//! `weir`: arguments in, exit code out.

fn main() -> std::process::ExitCode {
    weir::cli::main()
}
