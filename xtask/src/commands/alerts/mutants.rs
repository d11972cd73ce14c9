//! `alerts prove --mutants`: would the unit tests notice if a rule were slightly wrong?

use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use monitoring_provisioning::proof::{self, Batch, Next, Score};

use super::promtool;
use crate::failure::AlreadyReported;

pub(super) fn run(names: &[String]) -> Result<u8> {
    let wanted = promtool::chosen(names)?;
    let promtool = promtool::find()?;
    let begun = Instant::now();
    let mut batches: Vec<Batch> = proof::batches()?
        .into_iter()
        .filter(|batch| wanted.contains(&batch.name()))
        .collect();
    judge_all(&promtool, &mut batches)?;
    let score = Score::of(&batches)?;
    for batch in &batches {
        let killed = batch.mutants().iter().filter(|mutant| mutant.is_killed).count();
        outln!(
            "{}: {killed} of {} mutants killed",
            batch.name(),
            batch.mutants().len()
        );
    }
    for (mutant, reason) in &score.equivalent {
        outln!("equivalent: {}: {} ({reason})", mutant.rule, mutant.change);
    }
    for mutant in &score.survivors {
        errln!(
            "error: survived: {}: {}\n    {}",
            mutant.rule,
            mutant.change,
            mutant.expr
        );
    }
    for entry in &score.wrongly_listed {
        errln!("error: listed as equivalent, but killed or no longer made: {entry}");
    }
    outln!(
        "mutation score {:.1} %: {} killed, {} survived, {} equivalent ({:.0} s)",
        score.percent(),
        score.killed.len(),
        score.survivors.len(),
        score.equivalent.len(),
        begun.elapsed().as_secs_f64()
    );
    if score.survivors.is_empty() && score.wrongly_listed.is_empty() {
        Ok(0)
    } else {
        Err(AlreadyReported.into())
    }
}

/// As many promtools at once as there are processors.
fn judge_all(promtool: &Path, batches: &mut [Batch]) -> Result<()> {
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let queue = Mutex::new(batches.iter_mut());
    let next = || queue.lock().ok().and_then(|mut queue| queue.next());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    while let Some(batch) = next() {
                        judge(promtool, batch)?;
                    }
                    Ok(())
                })
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| anyhow!("a worker broke down"))?)
    })
}

fn judge(promtool: &Path, batch: &mut Batch) -> Result<()> {
    let folder = tempfile::tempdir().context("can't create a temporary folder")?;
    loop {
        promtool::write(folder.path(), &batch.files()?)?;
        let answer = promtool::test(promtool, folder.path(), "tests.yml")?;
        let output = format!("{}{}", answer.stdout, answer.stderr);
        if batch
            .judge(answer.success, &output)
            .map_err(|what| anyhow!(what))?
            == Next::Done
        {
            return Ok(());
        }
    }
}
