//! Prefix affinity: how evenly replicas are loaded, and how often a conversation finds its prefix in a cache.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use comind::backend::{BreakerPolicy, Candidate, Outcome, Pool, Pulse, Ticket, hash};

use crate::random::Random;
use crate::report::Report;

const ISOLATES: usize = 1000;
const REPLICAS: usize = 100;
const CONVERSATIONS: u64 = 20_000;
/// Isolates that see one user.
const SPREAD: u64 = 4;
const END_MS: u64 = 90_000;
/// From then on it counts: caches are full.
const WARM_MS: u64 = 45_000;
const ANSWER_MS: u64 = 2_000;
/// What a long prompt takes that is in no cache.
const PREFILL_MS: u64 = 1_000;
const PAUSE_MS: u64 = 20_000;
/// Conversations whose prefix a replica keeps: half as many again as there are for each.
const CACHED: usize = 300;
/// How often an isolate hears from a replica itself how much it has to do.
const PULSE_MS: u64 = 10_000;

#[derive(Clone, Copy, Eq, PartialEq)]
enum Way {
    Affinity,
    LeastBusy,
    Random,
}

#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Event {
    Turn(u64),
    Answered {
        isolate: usize,
        replica: usize,
        ticket: Ticket,
        conversation: u64,
    },
    /// An isolate hears of all replicas.
    Pulse(usize),
    Look,
}

/// A replica's cache of prefixes: those that were not used for longest go first.
#[derive(Default)]
struct Cache {
    used: BTreeMap<u64, u64>,
    order: VecDeque<(u64, u64)>,
    clock: u64,
}

impl Cache {
    fn use_prefix(&mut self, conversation: u64) -> bool {
        self.clock += 1;
        let is_hit = self.used.insert(conversation, self.clock).is_some();
        self.order.push_back((self.clock, conversation));
        while self.used.len() > CACHED {
            let (at, oldest) = self.order.pop_front().unwrap();
            if self.used.get(&oldest) == Some(&at) {
                self.used.remove(&oldest);
            }
        }
        is_hit
    }
}

struct Figures {
    hits: f64,
    busiest: f64,
    peak: f64,
}

pub(crate) fn run(report: &mut Report) {
    report.table(
        &format!("{CONVERSATIONS} conversations over {ISOLATES} isolates and {REPLICAS} replicas, each of which caches {CACHED}"),
        &["routing", "prefix found in the cache", "busiest replica, all requests", "busiest replica at a moment, median"],
    );
    let mut found = BTreeMap::new();
    for (name, way, has_pulse) in [
        ("at random", Way::Random, false),
        ("least under way", Way::LeastBusy, true),
        ("affinity", Way::Affinity, true),
        ("affinity, replicas that say nothing of their load", Way::Affinity, false),
    ] {
        let figures = simulate(way, has_pulse);
        report.row(&[
            name.to_owned(),
            format!("{:.0} %", figures.hits * 100.0),
            format!("{:.2} × mean", figures.busiest),
            format!("{:.2} × mean", figures.peak),
        ]);
        found.insert(name, figures);
    }
    let affinity = &found["affinity"];
    report.check("with affinity no replica gets more than 1.25 times its share", affinity.busiest <= 1.25);
    report.check("with affinity nine of ten turns find their prefix", affinity.hits >= 0.9);
    report.check("that is many times as often as at random", affinity.hits >= 10.0 * found["at random"].hits);
    report.check("at a moment it is hardly less even than at random", affinity.peak <= found["at random"].peak * 1.25);
}

fn simulate(way: Way, has_pulse: bool) -> Figures {
    let mut random = Random::new(4);
    let ids: Vec<String> = (0..REPLICAS).map(|at| format!("gpu-{at}")).collect();
    let candidates: Vec<Candidate<'_>> = ids.iter().map(|id| Candidate { id, weight: 1 }).collect();
    let policy = BreakerPolicy { failures: 5, open_ms: 5000 };
    let mut pools: Vec<Pool<()>> = (0..ISOLATES).map(|_| Pool::new(policy, 100)).collect();
    let mut caches: Vec<Cache> = (0..REPLICAS).map(|_| Cache::default()).collect();
    let mut under_way = [0_u32; REPLICAS];
    let mut served = [0_u32; REPLICAS];
    let (mut turns, mut hits, mut peaks) = (0_u32, 0_u32, Vec::new());
    let mut events = BinaryHeap::new();
    for conversation in 0..CONVERSATIONS {
        events.push(Reverse((random.below(PAUSE_MS), Event::Turn(conversation))));
    }
    events.push(Reverse((WARM_MS, Event::Look)));
    for isolate in (0..ISOLATES).filter(|_| has_pulse) {
        events.push(Reverse((random.below(PULSE_MS), Event::Pulse(isolate))));
    }
    while let Some(Reverse((now_ms, event))) = events.pop() {
        if now_ms >= END_MS {
            break;
        }
        match event {
            Event::Turn(conversation) => {
                let isolate =
                    ((hash(&[&conversation.to_le_bytes()]) + random.below(SPREAD)) % ISOLATES as u64) as usize;
                let key = (way == Way::Affinity).then(|| hash(&[b"conversation", &conversation.to_le_bytes()]));
                let all = match way {
                    Way::Random => {
                        let one = random.below(REPLICAS as u64) as usize;
                        &candidates[one..=one]
                    }
                    _ => &candidates[..],
                };
                let (place, ticket) = pools[isolate].begin(all, key, false, now_ms, u64::MAX, ()).unwrap();
                let replica = ids.iter().position(|id| id == all[place].id).unwrap();
                under_way[replica] += 1;
                let is_hit = caches[replica].use_prefix(conversation);
                if now_ms >= WARM_MS {
                    served[replica] += 1;
                    turns += 1;
                    hits += u32::from(is_hit);
                }
                let lasts_ms = random.wait_ms(ANSWER_MS) + if is_hit { 0 } else { PREFILL_MS };
                let answered = Event::Answered { isolate, replica, ticket, conversation };
                events.push(Reverse((now_ms + lasts_ms, answered)));
            }
            Event::Answered { isolate, replica, ticket, conversation } => {
                pools[isolate].end(ticket, Outcome::Answered, now_ms);
                under_way[replica] -= 1;
                events.push(Reverse((now_ms + random.wait_ms(PAUSE_MS), Event::Turn(conversation))));
            }
            Event::Pulse(isolate) => {
                for (id, load) in ids.iter().zip(under_way) {
                    pools[isolate].note_pulse(id, Pulse { load, progress: now_ms }, now_ms);
                }
                events.push(Reverse((now_ms + PULSE_MS, event)));
            }
            Event::Look => {
                let mean = f64::from(under_way.iter().sum::<u32>()) / REPLICAS as f64;
                peaks.push((f64::from(*under_way.iter().max().unwrap()) / mean * 1000.0) as u64);
                events.push(Reverse((now_ms + 100, Event::Look)));
            }
        }
    }
    peaks.sort_unstable();
    Figures {
        hits: f64::from(hits) / f64::from(turns),
        busiest: f64::from(*served.iter().max().unwrap()) * REPLICAS as f64 / f64::from(turns),
        peak: peaks[peaks.len() / 2] as f64 / 1000.0,
    }
}
