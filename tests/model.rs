//! Random acts on technical users, on two instances and over time, beside a model that predicts
//! each answer. Where the two differ, the run prints the shortest list of acts that it finds, and
//! its seed. `RACCORD_MODEL_SEED` repeats a run, `RACCORD_MODEL_RUNS` is the number of lives.

mod acts;
mod life;
mod state;

use std::{env, time::Instant};

use proptest::{
    collection::vec,
    test_runner::{Config, RngSeed, TestRunner},
};

use life::Life;

/// Acts of one life.
const ACTS: std::ops::Range<usize> = 60..120;

fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn whatever_is_done_in_whatever_order_the_model_predicts() {
    let seed = number("RACCORD_MODEL_SEED").unwrap_or_else(rand::random);
    let cases = number("RACCORD_MODEL_RUNS").unwrap_or(3);
    println!("RACCORD_MODEL_SEED={seed}");
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_time: 60_000,
        ..Config::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let start = Instant::now();
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&vec(acts::any_act(), ACTS), |acts| {
        runtime.block_on(async {
            let mut life = Life::begin().await;
            for act in acts {
                life.live(act).await;
            }
            life.conclude().await;
        });
        Ok(())
    });
    println!("{cases} lives in {:?}", start.elapsed());
    outcome.unwrap_or_else(|error| panic!("RACCORD_MODEL_SEED={seed}: {error}"));
}
