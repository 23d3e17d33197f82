//! Password hashes: argon2id, m = 19 MiB, t = 2, p = 1 (OWASP's first choice), as PHC strings.

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use comind::secret::Secret;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

fn argon2() -> Option<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Hashes a password with 16 random bytes of salt. `None` only when memory runs out.
pub(crate) fn hash(password: &Secret, salt: &[u8; 16]) -> Option<String> {
    let hash: PasswordHash = argon2()?.hash_password_with_salt(password.expose().as_bytes(), salt).ok()?;
    Some(hash.to_string())
}

/// Whether the password is the one that was hashed; compared in constant time.
pub(crate) fn is_right(password: &Secret, stored: &str) -> bool {
    let Ok(stored) = PasswordHash::new(stored) else { return false };
    argon2().is_some_and(|argon2| argon2.verify_password(password.expose().as_bytes(), &stored).is_ok())
}

/// Does the work of [`is_right`] for an account that does not exist, so that time tells nothing.
pub(crate) fn pretend(password: &Secret) {
    let _ = hash(password, b"no such account!");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_itself_is_right() {
        let stored = hash(&Secret::new("correct horse"), &[7; 16]).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(is_right(&Secret::new("correct horse"), &stored));
        assert!(!is_right(&Secret::new("correct horsf"), &stored));
        assert!(!is_right(&Secret::new("correct horse"), "nonsense"));
    }
}
