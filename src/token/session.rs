//! The two tokens of a session: one to call the API, one to buy the next pair.

use alloc::format;
use alloc::string::String;

use super::jwt::{Claims, ISSUER, Keys, Use};
use crate::secret::Secret;

/// What a pair of tokens is made from. The same facts give the same pair, letter by letter: so a lost
/// answer can be given again without anything having been kept but these.
#[derive(Clone, Copy, Debug)]
pub struct PairOf<'a> {
    /// Whose session it is.
    pub user_id: &'a str,
    /// The session's id.
    pub session_id: &'a str,
    /// 0 for the pair of the sign-in, one more with each refresh.
    pub generation: u32,
    /// The user's version.
    pub version: u32,
    /// Unix seconds.
    pub issued_at: u64,
    /// Life of the access token, in seconds.
    pub access_secs: u64,
    /// Life of the refresh token, in seconds.
    pub refresh_secs: u64,
}

impl PairOf<'_> {
    /// The answer of every route that gives tokens, as JSON text: the one place where they leave.
    ///
    /// `{"access_token":"…","refresh_token":"…","token_type":"bearer","expires_in":3600,"user":{…}}`;
    /// `user_json` is the form of the user that the route shows.
    #[must_use]
    pub fn sign(self, keys: &Keys, user_json: &str) -> String {
        let access = self.token(keys, Use::Access, self.access_secs);
        let refresh = self.token(keys, Use::Refresh, self.refresh_secs);
        format!(
            r#"{{"access_token":"{}","refresh_token":"{}","token_type":"bearer","expires_in":{},"user":{user_json}}}"#,
            access.expose(),
            refresh.expose(),
            self.access_secs,
        )
    }

    fn token(self, keys: &Keys, used_as: Use, lifetime_secs: u64) -> Secret {
        let kind = if used_as == Use::Access { "a" } else { "r" };
        keys.sign(&Claims {
            iss: ISSUER.into(),
            sub: self.user_id.into(),
            iat: self.issued_at,
            exp: self.issued_at.saturating_add(lifetime_secs),
            jti: format!("{}.{}{kind}", self.session_id, self.generation),
            sid: self.session_id.into(),
            generation: self.generation,
            ver: self.version,
            used_as,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::LoginResponse;

    const PAIR: PairOf<'_> = PairOf {
        user_id: "user_AAAAAAAAAAAAAAAAAAAAAA",
        session_id: "s",
        generation: 1,
        version: 3,
        issued_at: 1000,
        access_secs: 60,
        refresh_secs: 600,
    };

    #[test]
    fn a_pair_reads_back_and_is_the_same_each_time() {
        let keys = Keys::new(Secret::new("k"), None);
        let user = r#"{"id":"user_1","email":"a@b","privileges":[],"groupMemberships":[],"userVersion":3}"#;
        let text = PAIR.sign(&keys, user);
        assert_eq!(text, PAIR.sign(&keys, user));
        assert_ne!(text, PairOf { generation: 2, ..PAIR }.sign(&keys, user));
        let answer: LoginResponse = serde_json::from_str(&text).unwrap();
        assert_eq!((answer.expires_in, answer.user.user_version), (60, 3));
        let access = keys.verify(answer.access_token.expose(), Use::Access, 1059).unwrap();
        let refresh = keys.verify(answer.refresh_token.expose(), Use::Refresh, 1599).unwrap();
        assert_eq!((access.exp, refresh.exp, refresh.generation), (1060, 1600, 1));
        assert_ne!(access.jti, refresh.jti);
    }
}
