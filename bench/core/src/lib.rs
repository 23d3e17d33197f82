//! The work that is timed: each job done by the core and by other crates, on the same bytes, natively and in wasm.
//!
//! A job gives a number that depends on everything it read; in wasm it must be the one that it was natively.

mod body;
mod sse;
mod token;

pub use body::BODIES;
pub use sse::EVENTS;
pub use token::{NOW_SECS, SECRET, TOKENS};

/// A way to do a job: from the bytes, and for streams the size of a piece, to the number.
pub struct Contender {
    /// Its name, with the crate's.
    pub name: &'static str,
    /// Does it once.
    pub run: fn(&[u8], usize) -> u64,
}

/// What a module in wasm is asked: to prepare a job, then to do it so many times.
#[cfg(target_family = "wasm")]
mod exports {
    use std::sync::Mutex;

    static BYTES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

    fn of_job(job: u32) -> &'static [super::Contender] {
        [super::EVENTS, super::BODIES, super::TOKENS][job as usize]
    }

    /// How many there are of a job.
    #[unsafe(no_mangle)]
    pub extern "C" fn contenders(job: u32) -> usize {
        of_job(job).len()
    }

    /// Room for so many bytes.
    #[unsafe(no_mangle)]
    pub extern "C" fn input(length: usize) -> *mut u8 {
        let mut bytes = BYTES.lock().unwrap();
        bytes.clear();
        bytes.resize(length, 0);
        bytes.as_mut_ptr()
    }

    #[unsafe(no_mangle)]
    pub extern "C" fn run(job: u32, contender: u32, piece: usize, times: u32) -> f64 {
        let bytes = BYTES.lock().unwrap();
        let run = of_job(job)[contender as usize].run;
        (0..times).map(|_| run(&bytes, piece)).sum::<u64>() as f64
    }
}
