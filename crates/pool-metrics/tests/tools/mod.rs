//! Real programs of Prometheus: each that is found in `$MONITORING_BIN_DIR`, `$MONITORING_NEWEST_BIN_DIR` and on `PATH` has a
//! trial. Where there is none the trial is reported as ignored, and the reason is printed.

use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Trial};

fn all(program: &str) -> Vec<PathBuf> {
    let named = ["MONITORING_BIN_DIR", "MONITORING_NEWEST_BIN_DIR"]
        .into_iter()
        .filter_map(std::env::var_os);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file());
    let mut found: Vec<_> = named
        .map(|folder| PathBuf::from(folder).join(program))
        .filter(|file| file.is_file())
        .chain(on_path)
        .collect();
    found.dedup();
    found
}

/// Runs this one test with every such program, and ends the process.
pub(crate) fn run(program: &str, name: &str, test: fn(&Path)) -> ! {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = all(program)
        .into_iter()
        .map(|file| {
            Trial::test(format!("{name} ({})", file.display()), move || {
                test(&file);
                Ok(())
            })
        })
        .collect();
    if trials.is_empty() {
        println!(
            "NOT RUN {name}: no {program} in $MONITORING_BIN_DIR, $MONITORING_NEWEST_BIN_DIR or on PATH"
        );
        trials.push(Trial::test(name, || Ok(())).with_ignored_flag(true));
    }
    libtest_mimic::run(&arguments, trials).exit()
}
