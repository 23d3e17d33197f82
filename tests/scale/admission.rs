//! Leases: how often accounts are asked, whether limits hold, how long a revoked token lives.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use comind::lease::{Allowance, Decision, Lease, Limits, Share};

use crate::random::Random;
use crate::report::Report;

const ISOLATES: u64 = 1000;
const USERS: u64 = 1_000_000;
const SECONDS: u64 = 20;
/// The edge's own defaults.
const LEASE_MS: u64 = 1000;
const LIMITS: Limits = Limits { requests: 600, tokens: 200_000 };
const TOKENS: u64 = 200;

type User = u64;

/// The edge's admission (`worker/src/admission.rs`), without the network between isolate and account.
struct World {
    lease_ms: u64,
    limits: Limits,
    isolates: Vec<BTreeMap<User, Lease<()>>>,
    accounts: BTreeMap<User, Account>,
    /// When what an isolate holds of a user may have to go back.
    due: BinaryHeap<Reverse<(u64, usize, User)>>,
    passed: u64,
}

#[derive(Clone)]
struct Account {
    allowance: Allowance,
    is_revoked: bool,
    calls: u64,
}

impl World {
    fn new(lease_ms: u64, limits: Limits) -> Self {
        Self {
            lease_ms,
            limits,
            isolates: (0..ISOLATES).map(|_| BTreeMap::new()).collect(),
            accounts: BTreeMap::new(),
            due: BinaryHeap::new(),
            passed: 0,
        }
    }

    /// A request arrives. Says whether it passes.
    fn request(&mut self, isolate: usize, user: User, now_ms: u64) -> bool {
        self.give_back(now_ms);
        let needed = Share { requests: 1, tokens: TOKENS as i64 };
        let lease = self.isolates[isolate].entry(user).or_default();
        let decision = match lease.credential("token", now_ms) {
            Some(()) => lease.decide(TOKENS, now_ms),
            None => Decision::Ask,
        };
        let passes = match decision {
            Decision::Pass { is_renewal_due } => {
                if is_renewal_due {
                    self.ask(isolate, user, Share::default(), now_ms);
                }
                true
            }
            Decision::Refuse { .. } => false,
            Decision::Ask => self.ask(isolate, user, needed, now_ms),
        };
        self.passed += u64::from(passes);
        passes
    }

    fn ask(&mut self, isolate: usize, user: User, needed: Share, now_ms: u64) -> bool {
        let lease = self.isolates[isolate].get_mut(&user).unwrap();
        let account = self.accounts.entry(user).or_insert_with(|| Account {
            allowance: Allowance::full(self.limits, now_ms),
            is_revoked: false,
            calls: 0,
        });
        account.calls += 1;
        let question = lease.ask(needed, now_ms);
        if account.is_revoked {
            lease.refuse("token");
            return false;
        }
        let grant = account.allowance.answer(question, self.limits, now_ms);
        lease.remember("token", (), now_ms, self.lease_ms);
        let outcome = lease.take_in(grant, needed, now_ms, self.lease_ms);
        if lease.holds_something() {
            self.due.push(Reverse((now_ms + self.lease_ms, isolate, user)));
        }
        outcome.is_ok()
    }

    fn give_back(&mut self, now_ms: u64) {
        while let Some(&Reverse((due_ms, isolate, user))) = self.due.peek()
            && due_ms <= now_ms
        {
            self.due.pop();
            let lease = self.isolates[isolate].get_mut(&user).unwrap();
            if let Some(rest_ms) = lease.rest_ms(due_ms) {
                self.due.push(Reverse((due_ms + rest_ms, isolate, user)));
                continue;
            }
            let share = lease.give_back(due_ms);
            if !share.is_empty() {
                let account = self.accounts.get_mut(&user).unwrap();
                account.calls += 1;
                account.allowance.put_back(share, self.limits, due_ms);
            }
        }
    }

    fn calls(&self) -> u64 {
        self.accounts.values().map(|account| account.calls).sum()
    }
}

pub(crate) fn run(report: &mut Report) {
    count_calls(report);
    hold_limits(report);
    revoke(report);
}

/// A crowd that asks once a minute each, and one program that asks as often as it may, for a minute.
fn count_calls(report: &mut Report) {
    report.table(
        &format!("Questions to accounts: {USERS} users with a request a minute each, and one with ten a second"),
        &[
            "lease",
            "isolates that see a user",
            "requests/s",
            "questions/s",
            "for each request",
            "busiest account, a second",
        ],
    );
    for (lease_ms, spread) in [(0, 1), (LEASE_MS, 1), (LEASE_MS, 4), (LEASE_MS, ISOLATES)] {
        let mut random = Random::new(1);
        let mut world = World::new(lease_ms, LIMITS);
        let mut requests = 0;
        for second in 0..SECONDS {
            // All in the order of time: the crowd evenly, the program every 100 ms.
            let crowd = USERS / 60;
            for at in 0..crowd {
                let now_ms = 1_000_000 + second * 1000 + at * 1000 / crowd;
                let user = random.below(USERS);
                let isolate = (user + random.below(spread)) % ISOLATES;
                world.request(isolate as usize, user, now_ms);
                requests += 1;
                if at % (crowd / 10) == 0 {
                    world.request(random.below(spread) as usize, USERS, now_ms);
                    requests += 1;
                }
            }
        }
        let busiest = world.accounts.values().map(|account| account.calls).max().unwrap();
        report.row(&[
            format!("{lease_ms} ms"),
            spread.to_string(),
            (requests / SECONDS).to_string(),
            (world.calls() / SECONDS).to_string(),
            format!("{:.2}", world.calls() as f64 / requests as f64),
            format!("{:.1}", busiest as f64 / SECONDS as f64),
        ]);
        let program = &world.accounts[&USERS];
        report.check(
            "an account is asked no more than 4 times a second by each isolate that its user keeps busy",
            lease_ms == 0 || spread > 1 || program.calls <= 4 * SECONDS,
        );
        report.check("nobody is asked twice for one request", world.calls() <= 2 * requests);
    }
}

/// One user's programs on all isolates at once, asking five times what the limit is.
fn hold_limits(report: &mut Report) {
    report.table(
        "One user, five times over a limit of 600 requests a minute, for three minutes",
        &["lease", "isolates", "asked", "passed", "the limit allows", "overshoot"],
    );
    for (lease_ms, isolates) in [(0, 1), (LEASE_MS, 1), (LEASE_MS, 10), (LEASE_MS, ISOLATES)] {
        let minutes = 3;
        let mut random = Random::new(2);
        let mut world = World::new(lease_ms, Limits { tokens: 0, ..LIMITS });
        let step_ms = 60_000 / (5 * LIMITS.requests);
        let mut asked = 0;
        for now_ms in (1_000_000..1_000_000 + minutes * 60_000).step_by(step_ms as usize) {
            world.request(random.below(isolates) as usize, 7, now_ms);
            asked += 1;
        }
        // A full bucket, and what runs in.
        let allowed = LIMITS.requests * (minutes + 1);
        let overshoot = world.passed.saturating_sub(allowed);
        report.row(&[
            format!("{lease_ms} ms"),
            isolates.to_string(),
            asked.to_string(),
            world.passed.to_string(),
            allowed.to_string(),
            overshoot.to_string(),
        ]);
        report.check("no lease lets more pass than the limit", overshoot == 0);
        report.check("a lease does not keep what is allowed from passing", world.passed * 100 >= allowed * 95);
    }
}

/// A token is used everywhere, then revoked: who lets it in after that, and for how long?
fn revoke(report: &mut Report) {
    report.table(
        "A token that is used on every isolate ten times a second is revoked elsewhere",
        &["lease", "dead on half of the isolates after", "on all after"],
    );
    for lease_ms in [0, LEASE_MS, 10_000] {
        let mut random = Random::new(3);
        let mut world = World::new(lease_ms, Limits { requests: 0, tokens: 0 });
        let revoked_ms = 1_040_000;
        let mut last_ms = vec![0_u64; ISOLATES as usize];
        // Every isolate has its own rhythm.
        let arrivals = (0..ISOLATES as usize).map(|isolate| Reverse((1_000_000 + random.below(20_000), isolate)));
        let mut arrivals: BinaryHeap<_> = arrivals.collect();
        while let Some(Reverse((now_ms, isolate))) = arrivals.pop() {
            if now_ms > revoked_ms + 12_000 {
                break;
            }
            if let Some(account) = world.accounts.get_mut(&7) {
                account.is_revoked = now_ms >= revoked_ms;
            }
            if world.request(isolate, 7, now_ms) && now_ms >= revoked_ms {
                last_ms[isolate] = now_ms - revoked_ms;
            }
            arrivals.push(Reverse((now_ms + random.wait_ms(100), isolate)));
        }
        last_ms.sort_unstable();
        let (half, all) = (last_ms[last_ms.len() / 2], last_ms[last_ms.len() - 1]);
        report.row(&[format!("{lease_ms} ms"), format!("{half} ms"), format!("{all} ms")]);
        report.check("a revoked token is dead everywhere when a lease is over", all <= lease_ms);
    }
}
