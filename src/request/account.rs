//! The bodies of requests about accounts.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::members::Members;
use crate::account::{Email, OneTimeCode, check_new_password, is_group_name};
use crate::error::{Code, Error};
use crate::secret::Secret;

/// A longer password than any account can have is not worth hashing, in bytes.
const MAX_PASSWORD_BYTES: usize = 1024;
/// The longest name of a user, in characters.
const MAX_USERNAME_CHARS: usize = 100;
/// The longest name of a token, in characters.
const MAX_TOKEN_NAME_CHARS: usize = 100;
const DEFAULT_TOKEN_DAYS: u32 = 90;
const MAX_TOKEN_DAYS: u32 = 365;
/// Privileges or groups of one user.
const MAX_NAMES: usize = 100;

/// `{"email":"…","password":"…"}`: sign in.
#[derive(Clone, Debug)]
pub struct LoginRequest {
    /// The address.
    pub email: Email,
    /// The password.
    pub password: Secret,
}

impl LoginRequest {
    /// Reads the body of `POST /v1/auth/login`.
    ///
    /// # Errors
    ///
    /// [`Code::BadRequest`] that names the field.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let members = Members::read(body)?;
        Ok(Self { email: members.email("email")?, password: present_password(&members, "password")? })
    }
}

/// `{"refresh_token":"…"}`: the next pair of tokens.
#[derive(Clone, Debug)]
pub struct RefreshRequest {
    /// The token.
    pub refresh_token: Secret,
}

impl RefreshRequest {
    /// Reads the body of `POST /v1/auth/refresh`.
    ///
    /// # Errors
    ///
    /// [`Code::BadRequest`] that names the field.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        Ok(Self { refresh_token: Members::read(body)?.secret("refresh_token")? })
    }
}

/// `{"access_token":"…","refresh_token":"…"}`, either or both: end their sessions.
#[derive(Clone, Debug)]
pub struct LogoutRequest {
    /// The tokens that were given.
    pub tokens: Vec<Secret>,
}

impl LogoutRequest {
    /// Reads the body of `POST /v1/auth/logout`; an empty one names no token.
    ///
    /// # Errors
    ///
    /// [`Code::BadRequest`] that names the field.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        if body.is_empty() {
            return Ok(Self { tokens: Vec::new() });
        }
        let members = Members::read(body)?;
        let tokens = [members.optional_text("access_token")?, members.optional_text("refresh_token")?];
        Ok(Self { tokens: tokens.into_iter().flatten().map(Secret::new).collect() })
    }
}

/// `{"email":"…","password":"…","username":"…"}`: ask for an account.
#[derive(Clone, Debug)]
pub struct RegisterRequest {
    /// The address.
    pub email: Email,
    /// The password, fit to be somebody's.
    pub password: Secret,
    /// A name for people.
    pub username: Option<String>,
}

impl RegisterRequest {
    /// Reads the body of `POST /v1/auth/register`.
    ///
    /// # Errors
    ///
    /// [`Code::BadRequest`] that names the field.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let members = Members::read(body)?;
        Ok(Self {
            email: members.email("email")?,
            password: new_password(&members, "password")?,
            username: username(&members)?,
        })
    }
}

/// `{"email":"…","code":"123456"}`: confirm an address.
#[derive(Clone, Debug)]
pub struct ConfirmRequest {
    /// The address.
    pub email: Email,
    /// The code that was mailed.
    pub code: OneTimeCode,
}

impl ConfirmRequest {
    /// Reads the body of `POST /v1/auth/confirm`.
    ///
    /// # Errors
    ///
    /// [`Code::BadRequest`] that names the field, [`Code::InvalidCode`] for what is not six digits.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let members = Members::read(body)?;
        Ok(Self { email: members.email("email")?, code: code(&members)? })
    }
}

/// `{"currentPassword":"…","newPassword":"…"}`: change one's own password.
#[derive(Clone, Debug)]
pub struct ChangePasswordRequest {
    /// The password so far.
    pub current: Secret,
    /// The one to be.
    pub new: Secret,
}

impl ChangePasswordRequest {
    /// Reads the body of `POST /v1/auth/change-password`.
    ///
    /// # Errors
    ///
    /// [`Code::BadRequest`] that names the field.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let members = Members::read(body)?;
        Ok(Self {
            current: present_password(&members, "currentPassword")?,
            new: new_password(&members, "newPassword")?,
        })
    }
}

/// Reads the body of `POST /v1/auth/password-reset-request`: `{"email":"…"}`.
///
/// # Errors
///
/// [`Code::BadRequest`] that names the field.
pub fn parse_reset_request(body: &[u8]) -> Result<Email, Error> {
    Members::read(body)?.email("email")
}

/// `{"email":"…","code":"123456","newPassword":"…"}`: set a new password with a code.
#[derive(Clone, Debug)]
pub struct ResetPasswordRequest {
    /// The address.
    pub email: Email,
    /// The code that was mailed.
    pub code: OneTimeCode,
    /// The password to be.
    pub new: Secret,
}

impl ResetPasswordRequest {
    /// Reads the body of `POST /v1/auth/password-reset`.
    ///
    /// # Errors
    ///
    /// [`Code::BadRequest`] that names the field, [`Code::InvalidCode`] for what is not six digits.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let members = Members::read(body)?;
        Ok(Self { email: members.email("email")?, code: code(&members)?, new: new_password(&members, "newPassword")? })
    }
}

/// Which user an operator means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum UserName {
    /// By id.
    Id(String),
    /// By address.
    Email(Email),
}

/// `{"email":"…" or "user_id":"…","newPassword":"…"}`: set a user's password.
#[derive(Clone, Debug)]
pub struct SetPasswordRequest {
    /// Whose.
    pub user: UserName,
    /// The password to be.
    pub new: Secret,
}

impl SetPasswordRequest {
    /// Reads the body of `POST /v1/auth/admin/set-password`.
    ///
    /// # Errors
    ///
    /// [`Code::BadRequest`] that names the field.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let members = Members::read(body)?;
        let user = match members.optional_text("user_id")? {
            Some(id) => UserName::Id(id),
            None => UserName::Email(members.email("email")?),
        };
        Ok(Self { user, new: new_password(&members, "newPassword")? })
    }
}

/// `{"email":"…","password":"…","username":"…","privileges":["admin"],"groupMemberships":["main"]}`: make a user.
#[derive(Clone, Debug)]
pub struct CreateUserRequest {
    /// The address.
    pub email: Email,
    /// Without one the user sets it by a reset.
    pub password: Option<Secret>,
    /// A name for people.
    pub username: Option<String>,
    /// None unless given.
    pub privileges: Vec<String>,
    /// The seeded organization unless given.
    pub groups: Option<Vec<String>>,
}

impl CreateUserRequest {
    /// Reads the body of `POST /v1/auth/admin/users`.
    ///
    /// # Errors
    ///
    /// [`Code::BadRequest`] that names the field.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let members = Members::read(body)?;
        let password = match members.optional_text("password")? {
            Some(_) => Some(new_password(&members, "password")?),
            None => None,
        };
        Ok(Self {
            email: members.email("email")?,
            password,
            username: username(&members)?,
            privileges: names(&members, "privileges")?.unwrap_or_default(),
            groups: names(&members, "groupMemberships")?,
        })
    }
}

/// `{"suspended":true,"username":"…","privileges":[…],"groupMemberships":[…]}`: what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct UpdateUserRequest {
    /// Whether the account is suspended.
    pub is_suspended: Option<bool>,
    /// A name for people.
    pub username: Option<String>,
    /// All of them.
    pub privileges: Option<Vec<String>>,
    /// All of them.
    pub groups: Option<Vec<String>>,
}

impl UpdateUserRequest {
    /// Reads the body of `PATCH /v1/auth/admin/users/{id}`.
    ///
    /// # Errors
    ///
    /// [`Code::BadRequest`] that names the field.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let members = Members::read(body)?;
        Ok(Self {
            is_suspended: members.optional("suspended", "true or false")?,
            username: username(&members)?,
            privileges: names(&members, "privileges")?,
            groups: names(&members, "groupMemberships")?,
        })
    }
}

/// `{"name":"…","scopes":["chat:write"],"expires_in_days":90}`: make a personal access token.
#[derive(Clone, Debug)]
pub struct CreateApiTokenRequest {
    /// 1–100 characters, trimmed; unique among the user's active tokens.
    pub name: String,
    /// At least one.
    pub scopes: Vec<String>,
    /// 1–365; 90 when absent.
    pub expires_in_days: u32,
}

impl CreateApiTokenRequest {
    /// Reads the body of `POST /v1/api-tokens`.
    ///
    /// # Errors
    ///
    /// [`Code::BadRequest`] that names the field.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let members = Members::read(body)?;
        let name = members.text("name")?;
        let name = name.trim();
        if !(1..=MAX_TOKEN_NAME_CHARS).contains(&name.chars().count()) {
            return Err(Error::bad_param("name", "`name` must have 1 to 100 characters."));
        }
        let scopes = members.required("scopes", "an array of strings")?;
        let expected = "a whole number between 1 and 365";
        let days = members.optional("expires_in_days", expected)?.unwrap_or(DEFAULT_TOKEN_DAYS);
        if !(1..=MAX_TOKEN_DAYS).contains(&days) {
            return Err(Error::bad_param("expires_in_days", format!("`expires_in_days` must be {expected}.")));
        }
        Ok(Self { name: name.into(), scopes, expires_in_days: days })
    }
}

/// `{"oid":"…","tid":"…","upn":"…","id_token":"…"}`: sign in with what a tenant says of somebody.
#[derive(Clone, Debug)]
pub struct SsoRequest {
    /// The user's id in the tenant.
    pub oid: String,
    /// The tenant.
    pub tid: String,
    /// The user's address in the tenant.
    pub upn: String,
    /// What proves the rest. Without it nothing is, which is not a matter of form.
    pub id_token: Option<Secret>,
}

impl SsoRequest {
    /// Reads the body of `POST /v1/auth/sso`.
    ///
    /// # Errors
    ///
    /// [`Code::BadRequest`] that names the field.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let members = Members::read(body)?;
        Ok(Self {
            oid: members.text("oid")?,
            tid: members.text("tid")?,
            upn: members.text("upn")?,
            id_token: members.optional_text("id_token")?.map(Secret::new),
        })
    }
}

/// A password to compare with somebody's.
fn present_password(members: &Members<'_>, name: &'static str) -> Result<Secret, Error> {
    let password = members.secret(name)?;
    if (1..=MAX_PASSWORD_BYTES).contains(&password.expose().len()) {
        return Ok(password);
    }
    Err(Error::bad_param(name, format!("`{name}` must have 1 to {MAX_PASSWORD_BYTES} bytes.")))
}

/// A password to become somebody's.
fn new_password(members: &Members<'_>, name: &'static str) -> Result<Secret, Error> {
    let password = members.secret(name)?;
    match check_new_password(&password) {
        Ok(()) => Ok(password),
        Err(weakness) => Err(Error::bad_param(name, format!("`{name}` {}", weakness.as_str()))),
    }
}

fn code(members: &Members<'_>) -> Result<OneTimeCode, Error> {
    OneTimeCode::parse(&members.text("code")?).ok_or_else(invalid_code)
}

/// The one answer to a code that is wrong, used up, too old, or of an address that never asked for one.
#[must_use]
pub fn invalid_code() -> Error {
    Error {
        param: Some("code".into()),
        ..Error::new(Code::InvalidCode, "The code is wrong, used up or too old. Ask for a new one.")
    }
}

fn username(members: &Members<'_>) -> Result<Option<String>, Error> {
    let Some(name) = members.optional_text("username")? else { return Ok(None) };
    let name = name.trim();
    if (1..=MAX_USERNAME_CHARS).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        return Ok(Some(name.into()));
    }
    Err(Error::bad_param("username", "`username` must have 1 to 100 characters."))
}

fn names(members: &Members<'_>, name: &'static str) -> Result<Option<Vec<String>>, Error> {
    let Some(mut list) = members.optional_texts(name)? else { return Ok(None) };
    list.sort();
    list.dedup();
    if list.len() > MAX_NAMES || !list.iter().all(|name| is_group_name(name)) {
        let message = format!("`{name}` must be at most 100 names of 1 to 64 letters, digits, `.`, `_`, `:` or `-`.");
        return Err(Error::bad_param(name, message));
    }
    Ok(Some(list))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault<T>(read: Result<T, Error>) -> String {
        read.err().and_then(|error| error.param).map_or_else(|| "none".into(), Into::into)
    }

    #[test]
    fn the_field_at_fault_is_named() {
        for (body, param) in [
            ("{}", "email"),
            (r#"{"email":7,"password":"p"}"#, "email"),
            (r#"{"email":"nobody","password":"p"}"#, "email"),
            (r#"{"email":"a@b"}"#, "password"),
            (r#"{"email":"a@b","password":""}"#, "password"),
            (r#"{"email":"a@b","password":["p"]}"#, "password"),
            (r#"{"email":"a@b","password":"p","password":"q"}"#, "password"),
            (r#"{"email":"a@b","password":"p","p\u0061ssword":"q"}"#, "password"),
        ] {
            assert_eq!(fault(LoginRequest::parse(body.as_bytes())), param, "{body}");
        }
        for (body, param) in [
            (r#"{"scopes":[]}"#, "name"),
            (r#"{"name":" ","scopes":[]}"#, "name"),
            (r#"{"name":"n"}"#, "scopes"),
            (r#"{"name":"n","scopes":"chat:write"}"#, "scopes"),
            (r#"{"name":"n","scopes":[],"expires_in_days":"1"}"#, "expires_in_days"),
            (r#"{"name":"n","scopes":[],"expires_in_days":-1}"#, "expires_in_days"),
            (r#"{"name":"n","scopes":[],"expires_in_days":0}"#, "expires_in_days"),
            (r#"{"name":"n","scopes":[],"expires_in_days":366}"#, "expires_in_days"),
        ] {
            assert_eq!(fault(CreateApiTokenRequest::parse(body.as_bytes())), param, "{body}");
        }
        for (body, param) in [
            (r#"{"email":"a@b","password":"elevenchars"}"#, "password"),
            (r#"{"email":"a@b","password":"password1234"}"#, "password"),
            (r#"{"email":"a@b","password":"twelve chars","username":""}"#, "username"),
        ] {
            assert_eq!(fault(RegisterRequest::parse(body.as_bytes())), param, "{body}");
        }
        let body = br#"{"email":"a@b","code":"12345x","newPassword":"twelve chars"}"#;
        assert_eq!(ResetPasswordRequest::parse(body).unwrap_err(), invalid_code());
        assert_eq!(fault(CreateUserRequest::parse(br#"{"email":"a@b","privileges":["a b"]}"#)), "privileges");
        assert_eq!(fault(UpdateUserRequest::parse(br#"{"suspended":"yes"}"#)), "suspended");
        assert_eq!(fault(SetPasswordRequest::parse(br#"{"newPassword":"twelve chars"}"#)), "email");
    }

    #[test]
    fn what_is_right_is_read() {
        let login = LoginRequest::parse(br#"{"email":" A@b","password":"p","remember":true}"#).unwrap();
        assert!(login.email.as_str() == "a@b" && login.password.is_equal_to("p"));
        let body = br#"{"name":" n ","scopes":["chat:write"],"expires_in_days":null}"#;
        let wanted = CreateApiTokenRequest::parse(body).unwrap();
        assert_eq!((wanted.name.as_str(), wanted.expires_in_days), ("n", 90));
        assert!(LogoutRequest::parse(b"").unwrap().tokens.is_empty());
        assert_eq!(LogoutRequest::parse(br#"{"access_token":"a","refresh_token":null}"#).unwrap().tokens.len(), 1);
        let update = UpdateUserRequest::parse(br#"{"privileges":["b","a","a"]}"#).unwrap();
        assert_eq!(update.privileges, Some(alloc::vec!["a".into(), "b".into()]));
        assert_eq!(update.groups, None);
    }

    #[test]
    fn a_sign_in_without_proof_is_well_formed_all_the_same() {
        let request = SsoRequest::parse(br#"{"oid":"o","tid":"t","upn":"u","id_token":null}"#).unwrap();
        assert_eq!((request.oid.as_str(), request.tid.as_str(), request.upn.as_str()), ("o", "t", "u"));
        assert!(request.id_token.is_none());
        for (body, param) in [
            ("{}", "oid"),
            (r#"{"oid":"o","upn":"u","id_token":"x"}"#, "tid"),
            (r#"{"oid":"o","tid":"t","upn":["u"],"id_token":"x"}"#, "upn"),
            (r#"{"oid":"o","tid":"t","upn":"u","id_token":{}}"#, "id_token"),
            (r#"{"oid":"o","tid":"t","upn":"u","id_token":"x","id_token":"y"}"#, "id_token"),
        ] {
            assert_eq!(fault(SsoRequest::parse(body.as_bytes())), param, "{body}");
        }
    }

    #[test]
    fn a_name_of_a_token_has_100_characters_and_not_one_more() {
        let body = |chars| format!(r#"{{"name":"{}","scopes":["chat:write"]}}"#, "é".repeat(chars));
        assert!(CreateApiTokenRequest::parse(body(100).as_bytes()).is_ok());
        assert!(CreateApiTokenRequest::parse(body(101).as_bytes()).is_err());
    }
}
