//! Who is asking, and may they: the `Authorization` header, scopes, what a route needs.

mod scope;

pub use scope::{Scope, Scopes};

use alloc::format;

use crate::error::{Code, Error};
use crate::token::pat::{self, Pat};

/// What the `Authorization` header holds, not yet verified.
#[derive(Clone, Debug)]
pub enum Credential<'a> {
    /// A JWT's text.
    Jwt(&'a str),
    /// A personal access token, well-formed.
    Pat(Pat),
}

/// Reads `Authorization: Bearer <JWT or PAT>` (RFC 6750 §2.1; the scheme in any letter case).
///
/// # Errors
///
/// [`Code::Unauthorized`] when there is none, another scheme, or a mistyped personal access token.
pub fn parse_authorization(header: Option<&str>) -> Result<Credential<'_>, Error> {
    let header = header
        .filter(|header| !header.is_empty())
        .ok_or_else(|| Error::new(Code::Unauthorized, "A token is needed: send `Authorization: Bearer <token>`."))?;
    let (scheme, token) = header.split_once(' ').unwrap_or_default();
    // What HTTP takes for white space, not all that Unicode does.
    let token = token.trim_matches([' ', '\t']);
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(Error::new(Code::Unauthorized, "The header must be `Authorization: Bearer <token>`."));
    }
    if token.starts_with(pat::PREFIX) {
        return Ok(Credential::Pat(Pat::parse(token)?));
    }
    Ok(Credential::Jwt(token))
}

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Need {
    /// Nothing: anyone may call it.
    Public,
    /// A session or any personal access token.
    Any,
    /// A session (JWT); a personal access token will not do.
    Session,
    /// A session, or a personal access token with this scope.
    Scope(Scope),
    /// The operator's service token, and nothing else.
    Service,
}

/// What a verified credential may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rights {
    /// A signed-in user: everything that user may.
    Session,
    /// A personal access token: these scopes.
    Pat(Scopes),
}

impl Rights {
    /// Whether these rights meet the need.
    ///
    /// # Errors
    ///
    /// [`Code::PatNotAllowed`], or [`Code::InsufficientScope`] with the scope that was missing.
    /// [`Code::Unauthorized`] where only the service token will do: that is never a user's.
    pub fn check(self, need: Need) -> Result<(), Error> {
        match (self, need) {
            (_, Need::Service) => Err(Error::new(Code::Unauthorized, "Only the operator's service token may do this.")),
            (_, Need::Public | Need::Any) | (Self::Session, _) => Ok(()),
            (Self::Pat(_), Need::Session) => Err(Error::new(
                Code::PatNotAllowed,
                "A personal access token may not do this. Sign in with POST /v1/auth/login and use that token.",
            )),
            (Self::Pat(scopes), Need::Scope(scope)) if scopes.contains(scope) => Ok(()),
            (Self::Pat(_), Need::Scope(scope)) => Err(Error {
                required_scope: Some(scope.as_str()),
                ..Error::new(
                    Code::InsufficientScope,
                    format!("The token lacks the scope `{}`. See GET /v1/api-tokens/scopes.", scope.as_str()),
                )
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn code(header: Option<&str>) -> Option<Code> {
        parse_authorization(header).err().map(|error| error.code)
    }

    #[test]
    fn the_scheme_is_read_in_any_letter_case() {
        for header in ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c "] {
            assert!(matches!(parse_authorization(Some(header)), Ok(Credential::Jwt("a.b.c"))));
        }
        let header = parse_authorization(Some("Bearer a.b.c\u{a0}"));
        assert!(matches!(header, Ok(Credential::Jwt("a.b.c\u{a0}"))), "not white space: part of a bad token");
    }

    #[test]
    fn everything_else_is_unauthorized() {
        for header in
            [None, Some(""), Some("Bearer"), Some("Bearer "), Some("Basic a"), Some("a.b.c"), Some("Bearer cmnd_x")]
        {
            assert_eq!(code(header), Some(Code::Unauthorized), "{header:?}");
        }
    }

    #[test]
    fn a_personal_access_token_is_told_by_its_prefix() {
        let pat = Pat::make(&pat::make_user_id(&[1; 16]), &[2; 8], &[3; 32]).unwrap();
        let header = std::format!("Bearer {}", pat.clone().into_secret().expose());
        match parse_authorization(Some(&header)).unwrap() {
            Credential::Pat(read) => assert_eq!(read.id(), pat.id()),
            Credential::Jwt(_) => panic!("taken for a JWT"),
        }
    }

    #[test]
    fn a_session_may_all_and_a_pat_what_it_was_given() {
        let some = Rights::Pat(Scopes::from(Scope::ModelsRead));
        assert_eq!(Rights::Session.check(Need::Session), Ok(()));
        assert_eq!(Rights::Session.check(Need::Scope(Scope::ChatWrite)), Ok(()));
        assert_eq!(some.check(Need::Public), Ok(()));
        assert_eq!(some.check(Need::Any), Ok(()));
        assert_eq!(some.check(Need::Service).unwrap_err().code, Code::Unauthorized);
        assert_eq!(Rights::Session.check(Need::Service).unwrap_err().code, Code::Unauthorized);
        assert_eq!(some.check(Need::Scope(Scope::ModelsRead)), Ok(()));
        assert_eq!(some.check(Need::Session).unwrap_err().code, Code::PatNotAllowed);
        let refused = some.check(Need::Scope(Scope::ChatWrite)).unwrap_err();
        assert_eq!((refused.code, refused.required_scope), (Code::InsufficientScope, Some("chat:write")));
        assert!(refused.to_string().contains("chat:write"));
    }
}
