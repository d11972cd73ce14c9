//! `cargo xtask bench` runs this.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let options = benches::cli::Options::parse();
    match benches::cli::run(&options) {
        Ok(met) => ExitCode::from(u8::from(!met && options.strict)),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
