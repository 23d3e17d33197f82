//! Whether a backend lives, works, or hangs.

/// What a server says of its own work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pulse {
    /// Requests it has under way, those that wait included.
    pub load: u32,
    /// Grows whenever it gets anywhere: tokens read and written.
    pub progress: u64,
}

impl Pulse {
    /// Reads vLLM's `/metrics`, in Prometheus' text format; `None` when it has none of what is looked for.
    ///
    /// ```
    /// # use comind::backend::Pulse;
    /// let text = "vllm:num_requests_running{engine=\"0\"} 2.0\nvllm:num_requests_waiting{engine=\"0\"} 1.0\n\
    ///             vllm:generation_tokens_total{engine=\"0\"} 1234.0\n";
    /// assert_eq!(Pulse::read(text.as_bytes()), Some(Pulse { load: 3, progress: 1234 }));
    /// ```
    #[must_use]
    pub fn read(metrics: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(metrics).ok()?;
        let mut load = None;
        let mut progress = 0_u64;
        for line in text.lines() {
            let Some(sample) = line.strip_prefix("vllm:") else { continue };
            let name = sample.split(['{', ' ']).next().unwrap_or_default();
            let value = || sample.rsplit(' ').next().and_then(whole);
            match name {
                "num_requests_running" | "num_requests_waiting" => {
                    let value = u32::try_from(value()?).unwrap_or(u32::MAX);
                    load = Some(value.saturating_add(load.unwrap_or(0)));
                }
                "prompt_tokens_total" | "generation_tokens_total" | "iteration_tokens_total_count" => {
                    progress = progress.saturating_add(value()?);
                }
                _ => {}
            }
        }
        load.map(|load| Self { load, progress })
    }
}

fn whole(number: &str) -> Option<u64> {
    const LIMIT: f64 = 1e18;
    let number: f64 = number.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    (0.0..LIMIT).contains(&number).then_some(number as u64)
}

/// What to do about a backend that has long been silent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Check {
    /// Ask it; then [`note`](Vitals::note) what came.
    Ask,
    /// Somebody has just asked, or is at it.
    IsAlive(bool),
}

/// How a backend answered when it was asked whether it lives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sign {
    /// With what it has to say of its work, where that is known.
    Alive(Option<Pulse>),
    /// Not within the time.
    Late,
    /// It refused or broke the connection.
    Gone,
}

/// What one isolate knows of one backend's life.
#[derive(Clone, Copy, Debug)]
pub struct Vitals {
    asked_ms: u64,
    is_alive: bool,
    strikes: u32,
    progress: u64,
    /// Since when the progress is what it is.
    since_ms: u64,
}

/// So many answers in a row must be late: a server under load may miss one.
const STRIKES: u32 = 2;

impl Default for Vitals {
    fn default() -> Self {
        Self { asked_ms: 0, is_alive: true, strikes: 0, progress: 0, since_ms: 0 }
    }
}

impl Vitals {
    /// Whether to ask the backend: at most once in `every_ms`, all requests together.
    pub const fn check(&mut self, now_ms: u64, every_ms: u64) -> Check {
        // Whoever has a doubt asks again at once.
        let is_due = now_ms.saturating_sub(self.asked_ms) >= every_ms;
        if !is_due {
            return Check::IsAlive(self.is_alive);
        }
        self.asked_ms = now_ms;
        Check::Ask
    }

    /// Takes the answer in: whether the backend is alive.
    ///
    /// It is not when it breaks the connection, is late twice in a row, or hangs: has requests under way,
    /// has got nowhere with any of them for `hung_ms`. It is all the same when something came from it for
    /// any request (`heard_ms`) since it was asked. One that has too much to do gets somewhere.
    pub const fn note(&mut self, sign: Sign, heard_ms: u64, now_ms: u64, hung_ms: u64) -> bool {
        // Under load a question may get no answer while answers to others go on coming.
        let is_speaking = heard_ms >= self.asked_ms && heard_ms > 0;
        self.is_alive = match sign {
            Sign::Late | Sign::Gone if is_speaking => true,
            Sign::Gone => false,
            Sign::Late => {
                self.strikes += 1;
                let is_forgiven = self.strikes < STRIKES;
                if is_forgiven {
                    // The next one who wonders is to ask again.
                    self.asked_ms = 0;
                }
                is_forgiven
            }
            Sign::Alive(None) => true,
            Sign::Alive(Some(pulse)) => {
                if pulse.progress != self.progress || pulse.load == 0 || self.since_ms == 0 {
                    self.progress = pulse.progress;
                    self.since_ms = now_ms;
                }
                let is_stuck = now_ms.saturating_sub(self.since_ms) >= hung_ms;
                !is_stuck || now_ms.saturating_sub(heard_ms) < hung_ms
            }
        };
        if !matches!(sign, Sign::Late) || is_speaking || !self.is_alive {
            self.strikes = 0;
        }
        self.is_alive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUNG_MS: u64 = 60_000;

    fn working(progress: u64) -> Sign {
        Sign::Alive(Some(Pulse { load: 4, progress }))
    }

    #[test]
    fn a_page_without_the_numbers_says_nothing() {
        for page in ["", "<html>", "vllm:num_requests_running x", "vllm:num_requests_running{a=\"b\"} -1", "go_gc 1"] {
            assert_eq!(Pulse::read(page.as_bytes()), None, "{page}");
        }
        let engines = "# HELP\nvllm:num_requests_running{engine=\"0\"} 1\nvllm:num_requests_running{engine=\"1\"} 2.0\nvllm:prompt_tokens_total{} 1.5e3\nvllm:prompt_tokens_total_created{} 9";
        assert_eq!(Pulse::read(engines.as_bytes()), Some(Pulse { load: 3, progress: 1500 }));
    }

    #[test]
    fn all_requests_together_ask_once() {
        let mut vitals = Vitals::default();
        assert_eq!(
            [10_000, 10_001, 10_999, 11_000].map(|now_ms| vitals.check(now_ms, 1000)),
            [Check::Ask, Check::IsAlive(true), Check::IsAlive(true), Check::Ask]
        );
    }

    #[test]
    fn one_late_answer_is_forgiven_and_a_broken_connection_is_not() {
        let mut vitals = Vitals::default();
        vitals.check(10_000, 1000);
        assert!(vitals.note(Sign::Late, 0, 10_100, HUNG_MS));
        assert_eq!(vitals.check(10_101, 1000), Check::Ask, "at once");
        assert!(vitals.note(Sign::Alive(None), 0, 10_200, HUNG_MS));
        assert!(vitals.note(Sign::Late, 0, 10_300, HUNG_MS), "not in a row");
        assert_eq!(vitals.check(10_350, 1000), Check::Ask);
        assert!(!vitals.note(Sign::Late, 0, 10_400, HUNG_MS));
        assert_eq!(vitals.check(10_401, 1000), Check::IsAlive(false), "known to all who wait");
        assert!(vitals.note(Sign::Alive(None), 0, 10_500, HUNG_MS));
        assert!(!vitals.note(Sign::Gone, 0, 10_600, HUNG_MS));
    }

    #[test]
    fn whoever_speaks_lives_though_it_does_not_answer() {
        let mut vitals = Vitals::default();
        for now_ms in [10_000, 20_000, 30_000] {
            assert_eq!(vitals.check(now_ms, 1000), Check::Ask);
            assert!(vitals.note(Sign::Late, now_ms + 500, now_ms + 3000, HUNG_MS));
        }
        assert_eq!(vitals.check(40_000, 1000), Check::Ask);
        assert!(vitals.note(Sign::Gone, 40_100, 40_200, HUNG_MS));
        assert_eq!(vitals.check(50_000, 1000), Check::Ask);
        assert!(vitals.note(Sign::Late, 40_100, 53_000, HUNG_MS), "the first in a row");
        assert_eq!(vitals.check(53_001, 1000), Check::Ask);
        assert!(!vitals.note(Sign::Late, 40_100, 56_000, HUNG_MS));
    }

    #[test]
    fn a_hung_engine_is_told_from_a_saturated_one() {
        let mut vitals = Vitals::default();
        assert!(vitals.note(working(7), 0, 100_000, HUNG_MS));
        assert!(vitals.note(working(7), 0, 159_999, HUNG_MS));
        assert!(!vitals.note(working(7), 0, 160_000, HUNG_MS), "nothing moves");
        assert!(vitals.note(working(7), 159_000, 160_000, HUNG_MS), "something came from it");
        assert!(vitals.note(working(8), 0, 170_000, HUNG_MS), "it gets somewhere");
        assert!(vitals.note(working(8), 0, 229_999, HUNG_MS));
        let idle = Sign::Alive(Some(Pulse { load: 0, progress: 8 }));
        assert!(vitals.note(idle, 0, 400_000, HUNG_MS), "with nothing to do nothing moves");
        assert!(vitals.note(working(8), 0, 400_001, HUNG_MS), "it has only just got something to do");
    }
}
