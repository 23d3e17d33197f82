//! The fuzzed entries for a moment, on any compiler: each file of their corpora, and what comes of it by chance.
//! The same chance every time; `make fuzz` is for finding what this does not.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a test"
)]

mod entries;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

const RUNS: u32 = 4000;

/// Marsaglia's xorshift64*: chance that can be repeated.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit.max(1)
    }
}

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus");
    let (mut passed, mut failed) = (0, 0);
    for (name, entry) in entries::ENTRIES {
        let mut files: Vec<_> = fs::read_dir(folder.join(name)).expect("a corpus").filter_map(Result::ok).collect();
        files.sort_by_key(fs::DirEntry::path);
        let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file.path()).expect("a file")).collect();
        assert!(!seeds.is_empty(), "{name} has no corpus");
        let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
        let mut run = |data: &[u8]| match catch_unwind(|| entry(data)) {
            Ok(()) => passed += 1,
            Err(_) => {
                failed += 1;
                println!("{name} fails on {:?}", data.escape_ascii().to_string());
            }
        };
        seeds.iter().for_each(|seed| run(seed));
        for _ in 0..RUNS {
            run(&change(&seeds, &mut chance));
        }
        println!("{name}: {} files, {RUNS} changed", seeds.len());
    }
    println!("{passed} passed, {failed} failed");
    std::process::exit(i32::from(failed > 0));
}

/// A seed with a few bytes changed, put in, taken out, or replaced by a part of another.
fn change(seeds: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut data = seeds[chance.below(seeds.len())].clone();
    for _ in 0..=chance.below(4) {
        let at = chance.below(data.len() + 1);
        match chance.below(4) {
            0 if at < data.len() => data[at] ^= 1 << chance.below(8),
            1 if at < data.len() => drop(data.drain(at..(at + 1 + chance.below(8)).min(data.len()))),
            2 => {
                let other = &seeds[chance.below(seeds.len())];
                let from = chance.below(other.len() + 1);
                let part = &other[from..(from + chance.below(32)).min(other.len())];
                data.splice(at..at, part.iter().copied());
            }
            _ => data.insert(at, chance.below(256) as u8),
        }
    }
    data
}
