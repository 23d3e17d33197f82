//! The core's checks of credentials as a wasm module with plain exports, for `run.mjs` to time.
//!
//! `open(now)` makes a secret, a session's token, a personal access token and what an isolate remembers of
//! both. `input(length)` gives where to put a token; the checks read it there, as the edge reads the
//! header of a request, and answer 1 if it is good.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use comind::auth::{Credential, parse_authorization};
use comind::lease::{Decision, Grant, Lease, Share};
use comind::limit::Standing;
use comind::secret::Secret;
use comind::token::jwt::{Claims, ISSUER, Keys, Use};
use comind::token::pat::{Pat, make_user_id};

/// Users of whom an isolate remembers something.
const USERS: u32 = 1000;
const LEASE_MS: u64 = 10_000;
const LIMIT: u64 = 1 << 40;

static BENCH: Mutex<Bench> = Mutex::new(Bench::new());

struct Bench {
    keys: Option<Keys>,
    leases: BTreeMap<String, Lease<Record>>,
    stored_hash: String,
    input: Vec<u8>,
    output: String,
}

/// What is remembered of a credential.
struct Record {
    /// Of a personal access token: its hash.
    hash: Option<Secret>,
}

impl Bench {
    const fn new() -> Self {
        Self {
            keys: None,
            leases: BTreeMap::new(),
            stored_hash: String::new(),
            input: Vec::new(),
            output: String::new(),
        }
    }

    /// Answers what `run.mjs` needs: the secret and both tokens, a line each.
    fn open(&mut self, now_secs: u64) -> Option<()> {
        let secret = "a secret of 48 bytes, as long as those that are made";
        let keys = Keys::new(Secret::new(secret), Some(Secret::new("the secret before it, which is still good")));
        let user_id = make_user_id(&[7; 16]);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: user_id.clone(),
            iat: now_secs,
            exp: now_secs + 3600,
            jti: "AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
            sid: "BBBBBBBBBBBBBBBBBBBBBB".to_owned(),
            generation: 0,
            ver: 1,
            used_as: Use::Access,
        };
        let pat = Pat::make(&user_id, &[1; 8], &[2; 32]).ok()?;
        self.stored_hash = pat.hash();
        for number in 0..USERS {
            let [a, b, c, d] = number.to_be_bytes();
            let other = make_user_id(&[a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            self.leases.insert(other, Lease::default());
        }
        let mut lease = Lease::default();
        let now_ms = now_secs * 1000;
        lease.remember(&claims.sid, Record { hash: None }, now_ms, LEASE_MS);
        lease.remember(pat.id(), Record { hash: Some(Secret::new(pat.hash())) }, now_ms, LEASE_MS);
        let standing = Some(Standing { limit: LIMIT, remaining: LIMIT, reset_ms: 0 });
        let share = Share { requests: LIMIT, tokens: i64::MAX };
        let grant = Grant { share, requests: standing, tokens: standing, wait_ms: None };
        lease.take_in(grant, Share::default(), now_ms, LEASE_MS).ok()?;
        self.leases.insert(user_id, lease);
        let jwt = keys.sign(&claims);
        self.output = format!("{secret}\n{}\n{}", jwt.expose(), pat.into_secret().expose());
        self.keys = Some(keys);
        Some(())
    }

    fn text(&self) -> Option<&str> {
        core::str::from_utf8(&self.input).ok()
    }

    fn verify_jwt(&self, now_secs: u64) -> Option<Claims> {
        self.keys.as_ref()?.verify(self.text()?, Use::Access, now_secs).ok()
    }

    fn check_pat(&self) -> Option<Pat> {
        let pat = Pat::parse(self.text()?).ok()?;
        Secret::new(self.stored_hash.as_str()).is_equal_to(&pat.hash()).then_some(pat)
    }

    /// A request of a caller whom the isolate knows: header, credential, lease, allowance.
    fn admit(&mut self, now_ms: u64) -> Option<()> {
        let header = core::str::from_utf8(&self.input).ok()?;
        let (user_id, id, hash) = match parse_authorization(Some(header)).ok()? {
            Credential::Jwt(token) => {
                let claims = self.keys.as_ref()?.verify(token, Use::Access, now_ms / 1000).ok()?;
                (claims.sub, claims.sid, None)
            }
            Credential::Pat(pat) => (pat.user_id(), pat.id().to_owned(), Some(pat.hash())),
        };
        let lease = self.leases.get_mut(&user_id)?;
        let is_known = match (&lease.credential(&id, now_ms)?.hash, hash) {
            (Some(known), Some(shown)) => known.is_equal_to(&shown),
            (known, shown) => known.is_none() && shown.is_none(),
        };
        (is_known && matches!(lease.decide(10, now_ms), Decision::Pass { .. })).then_some(())
    }
}

fn bench() -> MutexGuard<'static, Bench> {
    BENCH.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds or milliseconds as JavaScript has them.
fn whole(number: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time of ours")]
    let number = number as u64;
    number
}

/// Makes ready; returns 1 when all is well.
#[unsafe(no_mangle)]
pub extern "C" fn open(now_secs: f64) -> i32 {
    i32::from(bench().open(whole(now_secs)).is_some())
}

/// Where the next `length` bytes go.
#[unsafe(no_mangle)]
pub extern "C" fn input(length: usize) -> *mut u8 {
    let mut bench = bench();
    bench.input.resize(length, 0);
    bench.input.as_mut_ptr()
}

/// Verifies a session's token.
#[unsafe(no_mangle)]
pub extern "C" fn verify_jwt(now_secs: f64) -> i32 {
    i32::from(bench().verify_jwt(whole(now_secs)).is_some())
}

/// Reads a personal access token and compares its hash with the one that is stored.
#[unsafe(no_mangle)]
pub extern "C" fn check_pat() -> i32 {
    i32::from(bench().check_pat().is_some())
}

/// Admits a request by its `Authorization` header, without asking the account.
#[unsafe(no_mangle)]
pub extern "C" fn admit(now_ms: f64) -> i32 {
    i32::from(bench().admit(whole(now_ms)).is_some())
}

/// Where the three lines of `open` are.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const u8 {
    bench().output.as_ptr()
}

/// How long they are, in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn output_length() -> usize {
    bench().output.len()
}
