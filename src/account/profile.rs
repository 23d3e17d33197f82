//! Who a user is, and the forms in which the API shows it.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::date::to_iso_8601;
use crate::types::to_json;

/// What is known of a user; kept by its account, never with anything secret.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Profile {
    /// `user_…`.
    pub id: String,
    /// The address.
    pub email: String,
    /// A name for people.
    pub username: String,
    /// Whether the address has been confirmed.
    pub is_confirmed: bool,
    /// Whether the operator has suspended the account.
    pub is_suspended: bool,
    /// Unix seconds.
    pub created_at: u64,
    /// What the user may do beyond the ordinary: `admin`, ….
    pub privileges: Vec<String>,
    /// The organizations and groups the user belongs to.
    pub groups: Vec<String>,
    /// Goes up when every session of the user must end.
    pub version: u32,
}

/// Members that a form leaves out are `None`.
#[derive(Default, Serialize)]
struct Shown<'a> {
    id: &'a str,
    email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suspended: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    privileges: Option<&'a [String]>,
    #[serde(rename = "groupMemberships", skip_serializing_if = "Option::is_none")]
    groups: Option<&'a [String]>,
    #[serde(rename = "userVersion", skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
}

impl Profile {
    /// Whether the user has the `admin` privilege.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.has_privilege("admin")
    }

    /// Whether the user has a privilege.
    #[must_use]
    pub fn has_privilege(&self, name: &str) -> bool {
        self.privileges.iter().any(|privilege| privilege == name)
    }

    /// Whether the user belongs to one of these organizations.
    #[must_use]
    pub fn is_member_of_any(&self, organizations: &[String]) -> bool {
        self.groups.iter().any(|group| organizations.contains(group))
    }

    /// As sign-in shows it: `{id, email, privileges, groupMemberships, userVersion}`.
    #[must_use]
    pub fn to_sign_in_json(&self) -> String {
        to_json(&Shown { id: &self.id, email: &self.email, ..self.rights() })
    }

    /// As a refresh shows it: `{id, email, username, confirmed, created_at}`.
    #[must_use]
    pub fn to_refresh_json(&self) -> String {
        to_json(&self.person())
    }

    /// As `GET /v1/auth/me` shows it: both of the others.
    #[must_use]
    pub fn to_own_json(&self) -> String {
        to_json(&self.whole())
    }

    /// As the operator sees it: `suspended` besides.
    #[must_use]
    pub fn to_operator_json(&self) -> String {
        to_json(&Shown { suspended: Some(self.is_suspended), ..self.whole() })
    }

    fn rights(&self) -> Shown<'_> {
        Shown {
            privileges: Some(&self.privileges),
            groups: Some(&self.groups),
            version: Some(self.version),
            ..Shown::default()
        }
    }

    fn person(&self) -> Shown<'_> {
        Shown {
            id: &self.id,
            email: &self.email,
            username: Some(&self.username),
            confirmed: Some(self.is_confirmed),
            created_at: Some(to_iso_8601(self.created_at)),
            ..Shown::default()
        }
    }

    fn whole(&self) -> Shown<'_> {
        let Shown { privileges, groups, version, .. } = self.rights();
        Shown { privileges, groups, version, ..self.person() }
    }
}

/// A name of an organization, group or privilege: 1 to 64 letters, digits, `.`, `_`, `:` or `-`.
#[must_use]
pub fn is_group_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn each_form_has_its_documented_members() {
        let profile = Profile {
            id: "user_1".into(),
            email: "a@b".into(),
            username: "a".into(),
            is_confirmed: true,
            privileges: vec!["admin".into()],
            groups: vec!["main".into()],
            version: 2,
            ..Profile::default()
        };
        assert_eq!(
            profile.to_sign_in_json(),
            r#"{"id":"user_1","email":"a@b","privileges":["admin"],"groupMemberships":["main"],"userVersion":2}"#
        );
        assert_eq!(
            profile.to_refresh_json(),
            r#"{"id":"user_1","email":"a@b","username":"a","confirmed":true,"created_at":"1970-01-01T00:00:00Z"}"#
        );
        assert_eq!(
            profile.to_own_json(),
            r#"{"id":"user_1","email":"a@b","username":"a","confirmed":true,"created_at":"1970-01-01T00:00:00Z","privileges":["admin"],"groupMemberships":["main"],"userVersion":2}"#
        );
        assert!(profile.to_operator_json().contains(r#""suspended":false"#));
        assert!(profile.is_admin() && profile.is_member_of_any(&["main".into()]) && !profile.is_member_of_any(&[]));
    }

    #[test]
    fn names_of_groups_are_plain() {
        assert!(is_group_name("a") && is_group_name("org:main-1.x_y") && is_group_name(&"a".repeat(64)));
        for name in ["", "a b", "a,b", "é", "a/b", &"a".repeat(65)] {
            assert!(!is_group_name(name), "{name:?}");
        }
    }
}
