//! A brown-out: how much more work failing replicas get from those who try again.

use comind::backend::{BreakerPolicy, Candidate, Outcome, Pool};
use comind::error::Code;
use comind::retry::{Decision, Policy};

use crate::random::Random;
use crate::report::Report;

const ISOLATES: u64 = 200;
const REPLICAS: usize = 100;
const REQUESTS: u64 = 100_000;
/// The edge's own defaults.
const ATTEMPTS: u32 = 3;
const RETRY_BURST: u32 = 100;
const BREAKER: BreakerPolicy = BreakerPolicy { failures: 5, open_ms: 5000 };
/// What the edge sends once more when a connection was lost, and no more than that: it may have been accepted.
const LOSSES: u32 = 2;
const REQUESTS_A_SECOND: u64 = 2000;

struct Case {
    name: &'static str,
    /// The share of connections that break, by the replica's number; of one that is gone all do.
    breaks: fn(usize) -> f64,
}

const GONE: f64 = 1.0;

const CASES: &[Case] = &[
    Case { name: "all is well", breaks: |_| 0.0 },
    Case { name: "3 of 10 replicas are gone", breaks: |replica| if replica % 10 < 3 { GONE } else { 0.0 } },
    Case { name: "half of all connections break, everywhere", breaks: |_| 0.5 },
    Case { name: "every replica is gone", breaks: |_| GONE },
];

pub(crate) fn run(report: &mut Report) {
    report.table(
        &format!("Brown-outs: {REQUESTS_A_SECOND} requests/s over {ISOLATES} isolates, {REPLICAS} replicas; callers try up to 3 times"),
        &["brown-out", "sent to replicas for each request", "answered", "if edge and caller tried 3 times each", "answered"],
    );
    for case in CASES {
        let (sent, answered) = simulate(case);
        let (naive_sent, naive_answered) = simulate_naive(case);
        report.row(&[
            case.name.to_owned(),
            format!("{sent:.2}"),
            format!("{:.1} %", answered * 100.0),
            format!("{naive_sent:.2}"),
            format!("{:.1} %", naive_answered * 100.0),
        ]);
        report.check("no brown-out doubles the load", sent <= 2.0);
        report.check("what is well is not sent twice", case.name != "all is well" || (sent - 1.0).abs() < 1e-9);
        // The few are those that met three in a row before that was known.
        report.check(
            "replicas that are gone cost hardly anybody an answer",
            case.name != CASES[1].name || answered > 0.995,
        );
    }
}

/// The edge's way (`worker/src/job.rs`), and the client's behind it.
fn simulate(case: &Case) -> (f64, f64) {
    let mut random = Random::new(5);
    let ids: Vec<String> = (0..REPLICAS).map(|at| format!("gpu-{at}")).collect();
    let mut pools: Vec<Pool<()>> = (0..ISOLATES).map(|_| Pool::new(BREAKER, RETRY_BURST)).collect();
    let (mut sent, mut answered) = (0_u64, 0_u64);
    for request in 0..REQUESTS {
        let mut now_ms = 1_000_000 + request * 1000 / REQUESTS_A_SECOND;
        let mut tries = 0;
        loop {
            let pool = &mut pools[random.below(ISOLATES) as usize];
            let (attempts, is_answered) = ask(pool, &ids, case, &mut random, now_ms);
            sent += u64::from(attempts);
            if is_answered {
                answered += 1;
                break;
            }
            // The edge says how often it tried, and the client counts that.
            tries += attempts.max(1);
            let decision = Policy::default().decide(tries, Code::UpstreamError, None, 0, random.bits() as u32);
            let Decision::Retry { wait_ms } = decision else { break };
            now_ms += wait_ms;
        }
    }
    (sent as f64 / REQUESTS as f64, answered as f64 / REQUESTS as f64)
}

/// One request at the edge: how often it was sent, and whether it was answered.
fn ask(pool: &mut Pool<()>, ids: &[String], case: &Case, random: &mut Random, now_ms: u64) -> (u32, bool) {
    let mut tried: Vec<usize> = Vec::new();
    let mut losses = 0;
    loop {
        let left: Vec<usize> = (0..ids.len()).filter(|at| !tried.contains(at)).collect();
        let candidates: Vec<Candidate<'_>> = left.iter().map(|&at| Candidate { id: &ids[at], weight: 1 }).collect();
        let begun = pool.begin(&candidates, None, !tried.is_empty(), now_ms, u64::MAX, ());
        let Ok((place, ticket)) = begun else { return (tried.len() as u32, false) };
        let replica = left[place];
        tried.push(replica);
        if random.share() >= (case.breaks)(replica) {
            pool.end(ticket, Outcome::Answered, now_ms);
            return (tried.len() as u32, true);
        }
        // The edge asks one that broke off whether it lives.
        let is_gone = (case.breaks)(replica) == GONE;
        pool.end(ticket, if is_gone { Outcome::Dead } else { Outcome::Broken }, now_ms);
        losses += u32::from(!is_gone);
        let attempts = tried.len() as u32;
        if losses >= LOSSES || attempts >= ATTEMPTS {
            return (attempts, false);
        }
    }
}

/// Three tries of the caller's, for each of which a gateway tries three times, at random.
fn simulate_naive(case: &Case) -> (f64, f64) {
    let mut random = Random::new(6);
    let (mut sent, mut answered) = (0_u64, 0_u64);
    for _ in 0..REQUESTS {
        for _ in 0..9 {
            sent += 1;
            if random.share() >= (case.breaks)(random.below(REPLICAS as u64) as usize) {
                answered += 1;
                break;
            }
        }
    }
    (sent as f64 / REQUESTS as f64, answered as f64 / REQUESTS as f64)
}
