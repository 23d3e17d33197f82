//! ID tokens (`OpenID` Connect Core 1.0 §2) signed with RS256, and nothing else.
//!
//! What a token says is checked before anybody asks for a key, so that a token which cannot be right
//! costs its tenant nothing. Who it speaks of comes out only with the word of whoever checked the
//! signature: [`Unproven::accept`]. The algorithm and the key are never read from the token: a header that
//! says anything but RS256 is refused, and `jwk`, `jku` and `x5u` are not looked at.

use alloc::string::String;
use alloc::vec::Vec;

use super::Rejected;
use super::object::Object;
use crate::account::Email;
use base64ct::{Base64UrlUnpadded, Encoding};

/// A longer token is refused unread. Those of Microsoft Entra ID are under 4 KiB, with groups under 12.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// How far the tenant's clock and ours may be apart, in seconds.
const SKEW_SECS: u64 = 60;
/// The longest `kid`.
const MAX_KID_BYTES: usize = 256;
/// The longest id of a user (`OpenID` Connect Core §2 has it of `sub`).
const MAX_OID_BYTES: usize = 255;
/// A signature is as long as its key: 2048 to 8192 bits.
const SIGNATURE_BYTES: core::ops::RangeInclusive<usize> = 256..=1024;

/// What a token must say.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// `iss`: the tenant's own, see [`Tenant::issuer`](super::jwks::Tenant::issuer).
    pub issuer: &'a str,
    /// `aud`: whom it was made for.
    pub audience: &'a str,
    /// `tid`: the tenant.
    pub tid: &'a str,
    /// `oid`: the user's id in the tenant.
    pub oid: &'a str,
    /// `upn`, or where there is none `preferred_username`: the user's address.
    pub upn: &'a str,
    /// What time it is.
    pub now_unix_secs: u64,
}

/// Who signed in. Tenant and id name the user for ever; the address may change hands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The tenant.
    pub tid: String,
    /// The user's id in the tenant.
    pub oid: String,
    /// The address.
    pub upn: Email,
}

/// A token that says what it must. Whether its tenant says so is not known yet.
#[derive(Clone, Debug)]
pub struct Unproven<'a> {
    kid: String,
    signed: &'a str,
    signature: Vec<u8>,
    identity: Identity,
    is_expired: bool,
}

impl<'a> Unproven<'a> {
    /// Reads a token in the compact form (RFC 7515 §7.1) and checks all it says (`OpenID` Connect Core
    /// §3.1.3.7).
    ///
    /// # Errors
    ///
    /// [`Rejected::Invalid`]. A token past its time is read all the same: see [`accept`](Self::accept).
    pub fn parse(token: &'a str, expected: Expected<'_>) -> Result<Self, Rejected> {
        Self::read(token, expected).ok_or(Rejected::Invalid)
    }

    fn read(token: &'a str, expected: Expected<'_>) -> Option<Self> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let kid = check_header(&decode(header)?)?;
        // A dot in the payload is no base64url: there are three parts and no more.
        let (identity, is_expired) = check_claims(&decode(payload)?, expected)?;
        let signature = decode(signature).filter(|signature| SIGNATURE_BYTES.contains(&signature.len()))?;
        Some(Self { kid, signed, signature, identity, is_expired })
    }

    /// Which of its tenant's keys signed it.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What was signed.
    #[must_use]
    pub const fn signed(&self) -> &str {
        self.signed
    }

    /// The signature: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3).
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Who signed in, once it is known whether [`signature`](Self::signature) is that of the tenant's key
    /// [`kid`](Self::kid).
    ///
    /// # Errors
    ///
    /// [`Rejected::Invalid`] if it is not; [`Rejected::Expired`] if it is, but the token is past its time.
    pub fn accept(self, is_genuine: bool) -> Result<Identity, Rejected> {
        match (is_genuine, self.is_expired) {
            (false, _) => Err(Rejected::Invalid),
            (true, true) => Err(Rejected::Expired),
            (true, false) => Ok(self.identity),
        }
    }
}

/// The `kid` of a header that is right.
fn check_header(header: &[u8]) -> Option<String> {
    let header = Object::read(header)?;
    // `crit` names extensions that must be understood (RFC 7515 §4.1.11). We understand none.
    let is_right = header.says("alg", "RS256")
        && (header.says_at_most("typ", "JWT") || header.says("typ", "jwt"))
        && header.get("crit").is_none();
    header.text("kid").filter(|kid| is_right && (1..=MAX_KID_BYTES).contains(&kid.len()))
}

/// Who the claims speak of, and whether they are past their time.
fn check_claims(claims: &[u8], expected: Expected<'_>) -> Option<(Identity, bool)> {
    let claims = Object::read(claims)?;
    let Expected { issuer, audience, tid, oid, upn, now_unix_secs: now } = expected;
    let is_right = claims.says("iss", issuer)
        && is_for_us(&claims, audience)
        && claims.says("tid", tid)
        && claims.says("oid", oid)
        && (1..=MAX_OID_BYTES).contains(&oid.len());
    let address = claims.text(if claims.get("upn").is_some() { "upn" } else { "preferred_username" })?;
    let address = Email::parse(&address).filter(|address| is_right && Email::parse(upn).as_ref() == Some(address))?;
    let soon = now.saturating_add(SKEW_SECS);
    let is_begun = claims.number("iat")? <= soon && (claims.get("nbf").is_none() || claims.number("nbf")? <= soon);
    let is_expired = claims.number("exp")?.saturating_add(SKEW_SECS) <= now;
    is_begun.then(|| (Identity { tid: tid.into(), oid: oid.into(), upn: address }, is_expired))
}

/// `aud` is ours; where it is not ours alone, `azp` must be. One that is there must be ours in any case:
/// an access token that another program got for our API differs from an ID token in little else.
fn is_for_us(claims: &Object<'_>, audience: &str) -> bool {
    let audiences = claims.texts("aud");
    let is_named = match &audiences {
        Some(audiences) => audiences.iter().any(|one| one == audience),
        None => claims.says("aud", audience),
    };
    let is_shared = audiences.is_some_and(|audiences| audiences.len() > 1);
    is_named && (claims.says("azp", audience) || claims.get("azp").is_none() && !is_shared)
}

#[inline(never)]
fn decode(part: &str) -> Option<Vec<u8>> {
    Base64UrlUnpadded::decode_vec(part).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    const NOW: u64 = 1_800_000_000;
    const HEADER: &str = r#"{"typ":"JWT","alg":"RS256","kid":"k-1"}"#;
    const CLAIMS: &str = r#"{"iss":"https://login.example.com/t-1/v2.0","aud":"client","tid":"t-1","oid":"o-1","iat":1800000000,"nbf":1800000000,"exp":1800003600,"sub":"s","preferred_username":"Ann@Example.com","ver":"2.0"}"#;
    const EXPECTED: Expected<'static> = Expected {
        issuer: "https://login.example.com/t-1/v2.0",
        audience: "client",
        tid: "t-1",
        oid: "o-1",
        upn: "ann@example.COM",
        now_unix_secs: NOW,
    };

    fn encode(bytes: &[u8]) -> String {
        Base64UrlUnpadded::encode_string(bytes)
    }

    fn token(header: &str, claims: &str) -> String {
        format!("{}.{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()), encode(&[7; 256]))
    }

    fn parse<'a>(token: &'a str, expected: Expected<'_>) -> Result<Unproven<'a>, Rejected> {
        Unproven::parse(token, expected)
    }

    /// The claims with one of them changed.
    fn changed(from: &str, to: &str) -> String {
        let changed = CLAIMS.replace(from, to);
        assert_ne!(changed, CLAIMS, "{from}");
        changed
    }

    #[test]
    fn who_signed_in_comes_out_with_a_signature_and_never_without() {
        let text = token(HEADER, CLAIMS);
        let unproven = parse(&text, EXPECTED).unwrap();
        assert_eq!((unproven.kid(), unproven.signature()), ("k-1", &[7; 256][..]));
        assert_eq!(Some(unproven.signed()), text.rsplit_once('.').map(|(signed, _)| signed));
        let identity = Identity { tid: "t-1".into(), oid: "o-1".into(), upn: Email::parse("ann@example.com").unwrap() };
        assert_eq!(unproven.clone().accept(true), Ok(identity));
        assert_eq!(unproven.accept(false), Err(Rejected::Invalid));
    }

    #[test]
    fn times_have_a_minute_of_play() {
        let text = token(HEADER, CLAIMS);
        let at =
            |now_unix_secs| parse(&text, Expected { now_unix_secs, ..EXPECTED }).map(|read| read.accept(true).err());
        assert_eq!(at(NOW - 61), Err(Rejected::Invalid));
        assert_eq!(at(NOW - 60), Ok(None));
        assert_eq!(at(NOW + 3659), Ok(None));
        assert_eq!(at(NOW + 3660), Ok(Some(Rejected::Expired)));
        let expired = parse(&text, Expected { now_unix_secs: NOW + 9999, ..EXPECTED }).unwrap();
        assert_eq!(expired.accept(false), Err(Rejected::Invalid), "nothing is said of an unsigned token");
        let endless = token(HEADER, &changed("1800003600", "18446744073709551615"));
        assert!(parse(&endless, EXPECTED).is_ok_and(|read| !read.is_expired));
    }

    #[test]
    fn headers_that_are_right_are_taken_and_keys_in_them_not_looked_at() {
        for header in [
            HEADER,
            r#"{"alg":"RS256","kid":"k-1"}"#,
            r#"{"typ":"jwt","alg":"RS256","kid":"k-1","x5t":"a","nonce":"b"}"#,
            r#"{"alg":"RS256","kid":"k-1","jwk":{"kty":"RSA"},"jku":"https://evil.example","x5u":7}"#,
        ] {
            assert_eq!(parse(&token(header, CLAIMS), EXPECTED).unwrap().kid(), "k-1", "{header}");
        }
    }

    #[test]
    fn hostile_headers_are_refused() {
        for header in [
            r#"{"alg":"none","kid":"k-1"}"#,
            r#"{"alg":"HS256","kid":"k-1"}"#,
            r#"{"alg":"rs256","kid":"k-1"}"#,
            r#"{"alg":"RS256 ","kid":"k-1"}"#,
            r#"{"alg":["RS256"],"kid":"k-1"}"#,
            r#"{"alg":null,"kid":"k-1"}"#,
            r#"{"kid":"k-1"}"#,
            r#"{"alg":"RS256"}"#,
            r#"{"alg":"RS256","kid":""}"#,
            r#"{"alg":"RS256","kid":7}"#,
            r#"{"alg":"RS256","kid":null}"#,
            r#"{"alg":"RS256","kid":"k-1","crit":["exp"],"exp":1}"#,
            r#"{"alg":"RS256","kid":"k-1","crit":null}"#,
            r#"{"alg":"RS256","kid":"k-1","typ":"at+jwt"}"#,
            r#"{"alg":"RS256","kid":"k-1","typ":null}"#,
            r#"{"alg":"none","alg":"RS256","kid":"k-1"}"#,
            r#"{"alg":"RS256","kid":"k-1","\u006bid":"k-2"}"#,
            r#"{"alg":"RS256","kid":"k-1","x":1,"x":1}"#,
            r#"{"alg":"RS256","kid":"k-1"} x"#,
            "[]",
            "",
        ] {
            assert_eq!(parse(&token(header, CLAIMS), EXPECTED).err(), Some(Rejected::Invalid), "{header}");
        }
        let long = format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(MAX_KID_BYTES + 1));
        assert!(parse(&token(&long, CLAIMS), EXPECTED).is_err());
    }

    #[test]
    fn claims_that_are_right_in_another_way_are_taken() {
        for (from, to) in [
            (r#""aud":"client""#, r#""aud":["client"]"#),
            (r#""aud":"client""#, r#""aud":["other","client"],"azp":"client""#),
            (r#""aud":"client""#, r#""aud":"client","azp":"client""#),
            (r#""nbf":1800000000,"#, ""),
            (r#""preferred_username":"Ann@Example.com""#, r#""upn":"ann@example.com""#),
            (r#""preferred_username":"#, r#""upn":"ANN@example.com","preferred_username":7,"x":"#),
            (r#""ver":"2.0""#, r#""groups":["a","b"],"\ud83d\ude00":null"#),
        ] {
            assert!(parse(&token(HEADER, &changed(from, to)), EXPECTED).is_ok(), "{to}");
        }
    }

    #[test]
    fn wrong_claims_are_refused_whoever_signed_them() {
        for (from, to) in [
            (r#"/t-1/v2.0""#, r#"/t-2/v2.0""#),
            (r#"/t-1/v2.0""#, r#"/t-1/v2.0/""#),
            (r#"/t-1/v2.0""#, r#"/T-1/v2.0""#),
            (r#""iss":"https://login.example.com/t-1/v2.0","#, ""),
            (r#""aud":"client""#, r#""aud":"other""#),
            (r#""aud":"client""#, r#""aud":"Client""#),
            (r#""aud":"client""#, r#""aud":[]"#),
            (r#""aud":"client""#, r#""aud":null"#),
            (r#""aud":"client""#, r#""aud":[["client"]]"#),
            (r#""aud":"client""#, r#""aud":{"client":1}"#),
            (r#""aud":"client","#, ""),
            (r#""aud":"client""#, r#""aud":["client","other"]"#),
            (r#""aud":"client""#, r#""aud":["client","other"],"azp":"other""#),
            (r#""aud":"client""#, r#""aud":["client","client"]"#),
            (r#""aud":"client""#, r#""aud":["other"],"azp":"client""#),
            (r#""aud":"client""#, r#""aud":"client","azp":"other""#),
            (r#""aud":"client""#, r#""aud":"client","azp":null"#),
            (r#""tid":"t-1""#, r#""tid":"t-2""#),
            (r#""tid":"t-1","#, ""),
            (r#""oid":"o-1""#, r#""oid":"O-1""#),
            (r#""oid":"o-1""#, r#""oid":1"#),
            (r#""oid":"o-1","#, ""),
            (r#""iat":1800000000"#, r#""iat":1800000061"#),
            (r#""iat":1800000000,"#, ""),
            (r#""nbf":1800000000"#, r#""nbf":1800000061"#),
            (r#""nbf":1800000000"#, r#""nbf":null"#),
            (r#""nbf":1800000000"#, r#""nbf":"0""#),
            (r#""exp":1800003600"#, r#""exp":"1800003600""#),
            (r#""exp":1800003600"#, r#""exp":1800003600.0"#),
            (r#""exp":1800003600"#, r#""exp":18e8"#),
            (r#""exp":1800003600"#, r#""exp":-1"#),
            (r#""exp":1800003600"#, r#""exp":18446744073709551616"#),
            (r#""exp":1800003600"#, r#""exp":null"#),
            (r#""exp":1800003600"#, r#""exp":[1800003600]"#),
            (r#""exp":1800003600"#, r#""exp":1,"exp":1800003600"#),
            (r#""exp":1800003600"#, r#""exp":1800003600,"\u0065xp":1800003600"#),
            (r#""exp":1800003600,"#, ""),
            ("Ann@Example.com", "bob@example.com"),
            ("Ann@Example.com", ""),
            (r#""preferred_username":"Ann@Example.com""#, r#""email":"ann@example.com""#),
            (r#""preferred_username":"#, r#""upn":"bob@example.com","preferred_username":"#),
            (r#""preferred_username":"#, r#""upn":null,"preferred_username":"#),
            (r#""ver":"2.0""#, r#""ver":"2.0","ver":"2.0""#),
        ] {
            assert_eq!(parse(&token(HEADER, &changed(from, to)), EXPECTED).err(), Some(Rejected::Invalid), "{to}");
        }
    }

    #[test]
    fn what_the_caller_claims_besides_must_be_what_the_token_says() {
        let text = token(HEADER, CLAIMS);
        for other in [
            Expected { tid: "t-2", ..EXPECTED },
            Expected { oid: "o-2", ..EXPECTED },
            Expected { upn: "bob@example.com", ..EXPECTED },
            Expected { upn: "", ..EXPECTED },
        ] {
            assert_eq!(parse(&text, other).err(), Some(Rejected::Invalid));
        }
        for (oid, is_right) in [(String::new(), false), ("o".repeat(255), true), ("o".repeat(256), false)] {
            let text = token(HEADER, &changed("o-1", &oid));
            assert_eq!(parse(&text, Expected { oid: &oid, ..EXPECTED }).is_ok(), is_right, "{oid}");
        }
    }

    #[test]
    fn what_is_not_three_parts_of_base64url_is_refused() {
        let good = token(HEADER, CLAIMS);
        let (signed, signature) = good.rsplit_once('.').unwrap();
        for text in [
            "",
            "..",
            "...",
            "a.b.c",
            "é.é.é",
            signed,
            &format!("{signed}."),
            &format!("{good}.{signature}"),
            &format!(".{good}"),
            &format!("{good}="),
            &format!("{good}\n"),
            &format!(" {good}"),
            &good.replace('.', ".."),
            &format!("{signed}.{}", encode(&[7; 255])),
            &format!("{signed}.{}", encode(&[7; 1025])),
            &format!("{good}{}", "A".repeat(MAX_TOKEN_BYTES)),
        ] {
            assert_eq!(parse(text, EXPECTED).err(), Some(Rejected::Invalid));
        }
        let room = MAX_TOKEN_BYTES * 3 / 4;
        assert!(parse(&token(HEADER, &changed("2.0\"}", &format!("{}\"}}", "x".repeat(room)))), EXPECTED).is_err());
        let many: String = (0..300).map(|at| format!(r#","m{at}":1"#)).collect();
        assert!(parse(&token(HEADER, &changed(r#","ver":"2.0""#, &many)), EXPECTED).is_err(), "300 members");
    }
}
