//! JSON Web Tokens (RFC 7519) signed with HMAC-SHA-256, and nothing else.
//!
//! The algorithm is not read from the token: a header that says anything but HS256 is refused, so
//! there is no `none`, no confusion with public keys, and no `jwk`, `jku` or `x5u` to follow.

use alloc::format;
use alloc::string::String;

use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::object::Object;
use super::pat::is_user_id;
use super::{Rejected, to_hex};
use crate::secret::Secret;
use crate::types::to_json;

/// Who issues our tokens: the `iss` claim.
pub const ISSUER: &str = "co-mind-edge";
/// The shortest signing secret that is taken, in bytes (RFC 7518 §3.2: as long as the hash).
pub const MIN_SECRET_BYTES: usize = 32;
/// A longer token is refused unread. Ours are under 500 bytes.
const MAX_TOKEN_BYTES: usize = 4096;

/// What a token is good for. Neither is taken for the other.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// To call the API.
    Access,
    /// To get the next pair of tokens.
    Refresh,
}

/// What a token says.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Claims {
    /// [`ISSUER`].
    pub iss: String,
    /// The user's id.
    pub sub: String,
    /// Unix seconds when it was made.
    pub iat: u64,
    /// Unix seconds from which on it is dead.
    pub exp: u64,
    /// The token's own id.
    pub jti: String,
    /// The session: the family of refresh tokens that it belongs to.
    pub sid: String,
    /// Which pair of the session it belongs to: 0 for that of the sign-in, one more with each refresh.
    #[serde(rename = "gen")]
    pub generation: u32,
    /// The user's version when it was made. What ends a session is the account's word; this is for those
    /// who look into a token.
    pub ver: u32,
    /// What it is good for.
    #[serde(rename = "use")]
    pub used_as: Use,
}

/// A signing key and the name it goes by in a token's `kid`.
#[derive(Clone, Debug)]
struct Key {
    id: String,
    secret: Secret,
}

impl Key {
    /// The id is a digest of the secret, so that rotation needs no names to be thought up.
    fn new(secret: Secret) -> Self {
        let digest = Sha256::new().chain_update(b"co-mind-edge kid\0").chain_update(secret.expose()).finalize();
        let id = Base64UrlUnpadded::encode_string(digest.get(..6).unwrap_or_default());
        Self { id, secret }
    }

    fn mac(&self, message: &str) -> Option<Hmac<Sha256>> {
        // An HMAC key may have any length, so this cannot fail.
        Some(Hmac::<Sha256>::new_from_slice(self.secret.expose().as_bytes()).ok()?.chain_update(message))
    }
}

/// The secrets in force: one signs, both verify, so that a rotation signs nobody out.
#[derive(Clone, Debug)]
pub struct Keys {
    current: Key,
    previous: Option<Key>,
}

/// The key that a header names, `Some(None)` where it names none; `None` for a header that is not ours.
/// Whatever another member means, a key or an extension, it is not for us.
fn read_header(json: &[u8]) -> Option<Option<String>> {
    let header = Object::read(json)?;
    let is_jwt = header.get("typ").is_none() || header.text("typ")?.eq_ignore_ascii_case("JWT");
    if !(is_jwt && header.says("alg", "HS256") && header.has_only(&["alg", "typ", "kid"])) {
        return None;
    }
    if header.get("kid").is_none() { Some(None) } else { header.text("kid").map(Some) }
}

fn read_claims(json: &[u8]) -> Option<Claims> {
    let claims = Object::read(json)?;
    // What narrows a token (RFC 7519 §4.1.3, §4.1.5). None of ours has it: one that does was made for others.
    if claims.get("aud").is_some() || claims.get("nbf").is_some() {
        return None;
    }
    let small = |name| u32::try_from(claims.number(name)?).ok();
    Some(Claims {
        iss: claims.text("iss")?,
        sub: claims.text("sub")?,
        iat: claims.number("iat")?,
        exp: claims.number("exp")?,
        jti: claims.text("jti")?,
        sid: claims.text("sid")?,
        // Tokens had none before there were refreshes.
        generation: if claims.get("gen").is_none() { 0 } else { small("gen")? },
        ver: small("ver")?,
        used_as: match claims.text("use")?.as_str() {
            "access" => Use::Access,
            "refresh" => Use::Refresh,
            _ => return None,
        },
    })
}

impl Keys {
    /// The secret that signs and, during a rotation, the one before it.
    #[must_use]
    pub fn new(current: Secret, previous: Option<Secret>) -> Self {
        Self { current: Key::new(current), previous: previous.map(Key::new) }
    }

    /// Signs: `{"alg":"HS256","typ":"JWT","kid":"…"}` and the claims.
    #[must_use]
    pub fn sign(&self, claims: &Claims) -> Secret {
        let header = format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{}"}}"#, self.current.id);
        let mut token = Base64UrlUnpadded::encode_string(header.as_bytes());
        token.push('.');
        token.push_str(&Base64UrlUnpadded::encode_string(to_json(claims).as_bytes()));
        if let Some(mac) = self.current.mac(&token) {
            token.push('.');
            token.push_str(&Base64UrlUnpadded::encode_string(&mac.finalize().into_bytes()));
        }
        Secret::new(token)
    }

    /// Verifies signature, issuer, use and time, in that order.
    ///
    /// Does not check that the session is alive: the account does.
    ///
    /// # Errors
    ///
    /// [`Rejected::Expired`] when all is right but `exp` ≤ `now_unix_secs`, else [`Rejected::Invalid`].
    pub fn verify(&self, token: &str, used_as: Use, now_unix_secs: u64) -> Result<Claims, Rejected> {
        let claims = self.read(token)?;
        if claims.used_as != used_as {
            return Err(Rejected::Invalid);
        }
        if claims.exp <= now_unix_secs {
            return Err(Rejected::Expired);
        }
        Ok(claims)
    }

    /// Verifies signature and issuer: whose token it is, whatever its age and use. To end a session that
    /// is enough; to be let in it is not, see [`verify`](Self::verify).
    ///
    /// # Errors
    ///
    /// [`Rejected::Invalid`].
    pub fn read(&self, token: &str) -> Result<Claims, Rejected> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Rejected::Invalid);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Rejected::Invalid)?;
        let (header, payload) = signed.split_once('.').ok_or(Rejected::Invalid)?;
        let kid = read_header(&decode(header)?).ok_or(Rejected::Invalid)?;
        let signature = decode(signature)?;
        let candidates = [Some(&self.current), self.previous.as_ref()];
        let is_genuine = candidates
            .into_iter()
            .flatten()
            .filter(|key| kid.as_ref().is_none_or(|kid| *kid == key.id))
            .any(|key| key.mac(signed).is_some_and(|mac| mac.verify_slice(&signature).is_ok()));
        if !is_genuine {
            return Err(Rejected::Invalid);
        }
        let claims = read_claims(&decode(payload)?).ok_or(Rejected::Invalid)?;
        if claims.iss != ISSUER || !is_user_id(&claims.sub) {
            return Err(Rejected::Invalid);
        }
        Ok(claims)
    }

    /// What to store of a one-time code: a keyed digest in hexadecimal, since six digits are soon guessed
    /// by whoever has a plain one. `purpose` and `subject` keep one code from being taken for another.
    #[must_use]
    pub fn seal(&self, purpose: &str, subject: &str, code: &str) -> String {
        let message = format!("co-mind-edge code\0{purpose}\0{subject}\0{code}");
        self.current.mac(&message).map_or_else(String::new, |mac| to_hex(&mac.finalize().into_bytes()))
    }
}

fn decode(part: &str) -> Result<alloc::vec::Vec<u8>, Rejected> {
    Base64UrlUnpadded::decode_vec(part).map_err(|_| Rejected::Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn keys(current: &str, previous: Option<&str>) -> Keys {
        Keys::new(Secret::new(current), previous.map(Secret::new))
    }

    fn claims(used_as: Use) -> Claims {
        Claims {
            iss: ISSUER.into(),
            sub: "user_AAAAAAAAAAAAAAAAAAAAAA".into(),
            iat: NOW,
            exp: NOW + 10,
            jti: "j".into(),
            sid: "s".into(),
            generation: 0,
            ver: 1,
            used_as,
        }
    }

    fn forge(keys: &Keys, header: &str, payload: &str) -> String {
        let signed = format!(
            "{}.{}",
            Base64UrlUnpadded::encode_string(header.as_bytes()),
            Base64UrlUnpadded::encode_string(payload.as_bytes())
        );
        let mac = keys.current.mac(&signed).unwrap().finalize().into_bytes();
        format!("{signed}.{}", Base64UrlUnpadded::encode_string(&mac))
    }

    #[test]
    fn a_token_lives_until_the_second_it_expires() {
        let keys = keys("0123456789abcdef0123456789abcdef", None);
        let token = keys.sign(&claims(Use::Access));
        assert_eq!(keys.verify(token.expose(), Use::Access, NOW + 9).unwrap(), claims(Use::Access));
        assert_eq!(keys.verify(token.expose(), Use::Access, NOW + 10), Err(Rejected::Expired));
    }

    #[test]
    fn neither_use_is_taken_for_the_other() {
        let keys = keys("k", None);
        let refresh = keys.sign(&claims(Use::Refresh));
        assert_eq!(keys.verify(refresh.expose(), Use::Access, NOW), Err(Rejected::Invalid));
        assert!(keys.verify(refresh.expose(), Use::Refresh, NOW).is_ok());
    }

    #[test]
    fn a_token_is_read_whatever_its_age_and_use_but_never_unsigned() {
        let ours = keys("k", None);
        for used_as in [Use::Access, Use::Refresh] {
            assert_eq!(ours.read(ours.sign(&claims(used_as)).expose()), Ok(claims(used_as)));
        }
        assert_eq!(ours.read(keys("other", None).sign(&claims(Use::Access)).expose()), Err(Rejected::Invalid));
    }

    #[test]
    fn a_token_from_before_generations_is_of_the_first() {
        let keys = keys("k", None);
        let old = to_json(&claims(Use::Refresh)).replace(r#""gen":0,"#, "");
        let token = forge(&keys, r#"{"alg":"HS256","typ":"JWT"}"#, &old);
        assert_eq!(keys.verify(&token, Use::Refresh, NOW), Ok(claims(Use::Refresh)));
    }

    #[test]
    fn a_sealed_code_depends_on_everything() {
        let sealed = keys("k", None).seal("reset", "a", "123456");
        assert_eq!(sealed.len(), 64);
        for other in [
            keys("k", None).seal("confirm", "a", "123456"),
            keys("k", None).seal("reset", "b", "123456"),
            keys("k", None).seal("reset", "a", "123457"),
            keys("j", None).seal("reset", "a", "123456"),
        ] {
            assert_ne!(other, sealed);
        }
    }

    #[test]
    fn a_rotated_key_still_verifies_and_a_forgotten_one_does_not() {
        let old = keys("old", None).sign(&claims(Use::Access));
        assert!(keys("new", Some("old")).verify(old.expose(), Use::Access, NOW).is_ok());
        assert_eq!(keys("new", None).verify(old.expose(), Use::Access, NOW), Err(Rejected::Invalid));
        assert_eq!(keys("new", Some("older")).verify(old.expose(), Use::Access, NOW), Err(Rejected::Invalid));
    }

    #[test]
    fn every_edited_byte_is_noticed() {
        let keys = keys("k", None);
        let token = keys.sign(&claims(Use::Access));
        let bytes = token.expose().as_bytes();
        for at in 0..bytes.len() {
            let mut edited = bytes.to_vec();
            edited[at] = if edited[at] == b'A' { b'B' } else { b'A' };
            let edited = String::from_utf8(edited).unwrap();
            assert_eq!(keys.verify(&edited, Use::Access, NOW), Err(Rejected::Invalid), "byte {at}");
        }
    }

    #[test]
    fn hostile_headers_and_claims_are_refused_though_signed() {
        let keys = keys("k", None);
        let good = to_json(&claims(Use::Access));
        let header = r#"{"alg":"HS256","typ":"JWT"}"#;
        assert!(keys.verify(&forge(&keys, header, &good), Use::Access, NOW).is_ok());
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"hs256"}"#,
            r#"{"alg":"RS256","typ":"JWT"}"#,
            r#"{"alg":"HS256","typ":"at+jwt"}"#,
            r#"{"alg":"HS256","kid":"other"}"#,
            r#"{"alg":"HS256","kid":null}"#,
            r#"{"alg":"HS256","crit":["exp"],"exp":1}"#,
            r#"{"alg":"HS256","crit":null}"#,
            r#"{"alg":"HS256","b64":false}"#,
            r#"{"alg":"HS256","alg":"HS256"}"#,
            r#"{"typ":"JWT"}"#,
            r#"["HS256"]"#,
            "[]",
            "",
        ] {
            assert_eq!(keys.verify(&forge(&keys, header, &good), Use::Access, NOW), Err(Rejected::Invalid), "{header}");
        }
        for (from, to) in [
            (r#""exp":1800000010"#, r#""exp":"1800000010""#),
            (r#""exp":1800000010"#, r#""exp":1800000010.5"#),
            (r#""exp":1800000010"#, r#""exp":-1"#),
            (r#""exp":1800000010,"#, ""),
            (r#""exp":1800000010"#, r#""exp":1,"exp":1800000010"#),
            (r#""iss":"co-mind-edge""#, r#""iss":"somebody""#),
            (r#""use":"access""#, r#""use":"admin""#),
            (r#""use":"access""#, r#""use":{"access":null}"#),
            (r#""use":"access""#, r#""use":"access","aud":"co-mind-edge""#),
            (r#""use":"access""#, r#""use":"access","nbf":1"#),
            (r#""sub":"user_AAAAAAAAAAAAAAAAAAAAAA""#, r#""sub":"nobody-00""#),
        ] {
            let payload = good.replace(from, to);
            assert_ne!(payload, good);
            assert_eq!(keys.verify(&forge(&keys, header, &payload), Use::Access, NOW), Err(Rejected::Invalid), "{to}");
        }
        let values: std::vec::Vec<&str> =
            good.trim_matches(['{', '}']).split(',').filter_map(|member| Some(member.split_once(':')?.1)).collect();
        let values = format!("[{}]", values.join(","));
        assert_eq!(keys.verify(&forge(&keys, header, &values), Use::Access, NOW), Err(Rejected::Invalid));
    }

    #[test]
    fn what_is_not_a_token_is_refused() {
        let keys = keys("k", None);
        let long = "a".repeat(MAX_TOKEN_BYTES + 1);
        for text in ["", ".", "..", "a.b.c", "....", "é.é.é", &long] {
            assert_eq!(keys.verify(text, Use::Access, NOW), Err(Rejected::Invalid));
        }
    }
}
