//! Credentials: from the text of a token to what it claims.

use std::hint::black_box;

use comind::secret::Secret;
use comind::token::jwt::{Keys, Use};

use crate::Contender;

/// Not a secret: the token that `main.rs` makes with it opens nothing.
pub const SECRET: &str = "a secret of 48 bytes, as long as those that are made";
/// When the token is looked at, seconds since 1970.
pub const NOW_SECS: u64 = 1_800_000_000;

/// All give the sum of issue and expiry.
pub const TOKENS: &[Contender] = &[
    Contender { name: "comind, JWT", run: ours },
    // Its key types bring a source of randomness that wasm has not.
    #[cfg(not(target_family = "wasm"))]
    Contender { name: "jsonwebtoken 10, JWT", run: jsonwebtoken },
];

fn ours(token: &[u8], _: usize) -> u64 {
    thread_local! {
        static KEYS: Keys = Keys::new(Secret::new(SECRET), None);
    }
    let token = std::str::from_utf8(black_box(token)).unwrap();
    let claims = KEYS.with(|keys| keys.verify(token, Use::Access, NOW_SECS)).unwrap();
    claims.iat + claims.exp
}

#[cfg(not(target_family = "wasm"))]
fn jsonwebtoken(token: &[u8], _: usize) -> u64 {
    use std::cell::OnceCell;

    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
    use serde::Deserialize;
    thread_local! {
        static CHECKS: OnceCell<(DecodingKey, Validation)> = const { OnceCell::new() };
    }

    #[derive(Deserialize)]
    struct Claims {
        iat: u64,
        exp: u64,
    }
    CHECKS.with(|checks| {
        let (key, validation) = checks.get_or_init(|| {
            let mut validation = Validation::new(Algorithm::HS256);
            validation.set_issuer(&[comind::token::jwt::ISSUER]);
            // It asks the clock of the machine, which a bench has no use for.
            validation.validate_exp = false;
            (DecodingKey::from_secret(SECRET.as_bytes()), validation)
        });
        let claims = decode::<Claims>(black_box(token), key, validation).unwrap().claims;
        claims.iat + claims.exp
    })
}
