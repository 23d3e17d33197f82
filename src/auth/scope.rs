//! The scopes of a personal access token.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use crate::error::{Code, Error};

macro_rules! scopes {
    ($($(#[doc = $doc:literal])+ $name:ident = $spelling:literal, $admin:literal;)+) => {
        /// What a personal access token may be given. Source: the platform's list of scopes.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[repr(u8)]
        pub enum Scope {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Scope {
            /// Every scope, in the order in which lists show them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The spelling on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $spelling,)+ }
            }

            /// Whether only an admin may give it to a token.
            #[must_use]
            pub const fn is_for_admins(self) -> bool {
                match self { $(Self::$name => $admin,)+ }
            }

            /// The scope of a wire spelling.
            #[must_use]
            pub fn from_spelling(spelling: &str) -> Option<Self> {
                match spelling { $($spelling => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

scopes! {
    /// Read knowledge bases.
    KnowledgeBasesRead = "knowledgebases:read", false;
    /// Write knowledge bases.
    KnowledgeBasesWrite = "knowledgebases:write", false;
    /// Read chat sessions.
    ChatRead = "chat:read", false;
    /// Chat: completions, embeddings, sessions.
    ChatWrite = "chat:write", false;
    /// Read models, backends and capabilities.
    ModelsRead = "models:read", false;
    /// Read files.
    FilesRead = "files:read", false;
    /// Write files.
    FilesWrite = "files:write", false;
    /// Read agents.
    AgentsRead = "agents:read", true;
    /// Write agents.
    AgentsWrite = "agents:write", true;
    /// Read speech jobs.
    EchoRead = "echo:read", true;
    /// Speech.
    EchoWrite = "echo:write", true;
    /// Read research.
    ResearcherRead = "researcher:read", true;
    /// Research.
    ResearcherWrite = "researcher:write", true;
    /// Read document analyses.
    DocAnalyzerRead = "docanalyzer:read", true;
    /// Analyse documents.
    DocAnalyzerWrite = "docanalyzer:write", true;
    /// Read sanitizer policies.
    SanitizerRead = "sanitizer:read", true;
    /// Write sanitizer policies.
    SanitizerWrite = "sanitizer:write", true;
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Scopes(u32);

impl From<Scope> for Scopes {
    fn from(scope: Scope) -> Self {
        Self(1 << scope as u8)
    }
}

impl Scopes {
    /// Whether the scope is in the set.
    #[must_use]
    pub fn contains(self, scope: Scope) -> bool {
        self.0 & Self::from(scope).0 != 0
    }

    /// Those that are in the other set too.
    #[must_use]
    pub const fn within(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The spellings, in the order of [`Scope::ALL`].
    #[must_use]
    pub fn spellings(self) -> Vec<Cow<'static, str>> {
        Scope::ALL.iter().filter(|&&scope| self.contains(scope)).map(|scope| Cow::Borrowed(scope.as_str())).collect()
    }

    /// What a user may give to a token.
    #[must_use]
    pub fn available_to(is_admin: bool) -> Self {
        let available = Scope::ALL.iter().filter(|scope| is_admin || !scope.is_for_admins());
        available.fold(Self::default(), |set, &scope| Self(set.0 | Self::from(scope).0))
    }

    /// Reads the scopes that a user asks for a new token.
    ///
    /// # Errors
    ///
    /// [`Code::BadRequest`] for none or an unknown one, [`Code::AdminScopesRequired`] for one that
    /// only an admin may give.
    pub fn parse_requested<S: AsRef<str>>(spellings: &[S], is_admin: bool) -> Result<Self, Error> {
        if spellings.is_empty() {
            return Err(Error::bad_param("scopes", "At least one scope is needed. See GET /v1/api-tokens/scopes."));
        }
        let mut set = Self::default();
        for spelling in spellings {
            let scope = Scope::from_spelling(spelling.as_ref())
                .ok_or_else(|| Error::bad_param("scopes", "There is no such scope. See GET /v1/api-tokens/scopes."))?;
            if scope.is_for_admins() && !is_admin {
                return Err(Error {
                    param: Some("scopes".into()),
                    ..Error::new(Code::AdminScopesRequired, format!("Only an admin may give `{}`.", scope.as_str()))
                });
            }
            set = Self(set.0 | Self::from(scope).0);
        }
        Ok(set)
    }

    /// Reads stored spellings back; one that is no longer known grants nothing.
    #[must_use]
    pub fn from_stored(spellings: &str) -> Self {
        let known = spellings.split(' ').filter_map(Scope::from_spelling);
        known.fold(Self::default(), |set, scope| Self(set.0 | Self::from(scope).0))
    }

    /// The form to store: spellings with spaces between.
    #[must_use]
    pub fn to_stored(self) -> alloc::string::String {
        self.spellings().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_reads_back_and_has_a_bit_of_its_own() {
        let mut all = Scopes::default();
        for &scope in Scope::ALL {
            assert_eq!(Scope::from_spelling(scope.as_str()), Some(scope));
            assert!(!all.contains(scope));
            all = Scopes(all.0 | Scopes::from(scope).0);
        }
        assert_eq!(Scopes::from_stored(&all.to_stored()), all);
        assert_eq!(Scopes::available_to(true), all);
    }

    #[test]
    fn an_ordinary_user_is_offered_the_documented_seven() {
        let offered = Scopes::available_to(false).spellings();
        let expected = [
            "knowledgebases:read",
            "knowledgebases:write",
            "chat:read",
            "chat:write",
            "models:read",
            "files:read",
            "files:write",
        ];
        assert_eq!(offered, expected);
    }

    #[test]
    fn requests_for_scopes_are_checked() {
        let code =
            |spellings: &[&str], is_admin| Scopes::parse_requested(spellings, is_admin).err().map(|error| error.code);
        assert_eq!(code(&["chat:write"], false), None);
        assert_eq!(code(&[], false), Some(Code::BadRequest));
        assert_eq!(code(&["chat:*"], true), Some(Code::BadRequest));
        assert_eq!(code(&["agents:read"], false), Some(Code::AdminScopesRequired));
        assert_eq!(code(&["agents:read"], true), None);
    }

    #[test]
    fn who_is_no_longer_an_admin_keeps_the_ordinary_scopes() {
        let both = Scopes::from_stored("chat:write agents:read");
        assert_eq!(both.within(Scopes::available_to(false)), Scopes::from(Scope::ChatWrite));
        assert_eq!(both.within(Scopes::available_to(true)), both);
    }

    #[test]
    fn a_stored_scope_that_is_gone_grants_nothing() {
        assert_eq!(Scopes::from_stored("chat:write retired:scope"), Scopes::from(Scope::ChatWrite));
        assert_eq!(Scopes::from_stored(""), Scopes::default());
    }
}
