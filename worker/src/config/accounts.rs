//! What the settings say about accounts: who signs in, how, and for how long.

use comind::account::{Email, check_new_password, is_group_name};
use comind::mail::Mailer;
use comind::secret::Secret;
use comind::token::jwt::{Keys, MIN_SECRET_BYTES};

use super::backends::parse_base_url;
use super::{DAY_SECS, Given, Invalid, MINUTE_MS, invalid};

/// How long things of an account live, and how many of them there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lives {
    /// Of an access token, in seconds.
    pub access_token_secs: u64,
    /// Of a refresh token, and of a session since it was last refreshed, in seconds.
    pub refresh_token_secs: u64,
    /// How long a refresh token that was used gives the same new pair again.
    pub refresh_grace_ms: u64,
    /// Of a code, in seconds.
    pub code_secs: u64,
    /// Wrong tries after which the codes of an address are dead.
    pub code_tries: u32,
    /// Sessions of a user.
    pub max_sessions: u32,
    /// Active personal access tokens of a user.
    pub max_api_tokens: u32,
}

/// Who signs users in besides us.
#[derive(Debug)]
pub(crate) struct Sso {
    /// The tenants whose users may come in.
    pub tenants: Vec<String>,
    /// Who an `id_token` must have been made for.
    pub client_id: String,
    /// Where the tenants' documents are, without a slash at the end.
    pub authority: String,
}

/// The first admin's credentials.
#[derive(Debug)]
pub(crate) struct Admin {
    /// The address.
    pub email: Email,
    /// The password.
    pub password: Secret,
}

impl Lives {
    pub(super) fn parse(given: Given<'_>) -> Result<Self, Invalid> {
        Ok(Self {
            access_token_secs: given.number("ACCESS_TOKEN_SECS", 1, DAY_SECS)?,
            refresh_token_secs: given.number("REFRESH_TOKEN_SECS", 1, 365 * DAY_SECS)?,
            refresh_grace_ms: given.number("REFRESH_GRACE_MS", 0, MINUTE_MS)?,
            code_secs: given.number("CODE_LIFETIME_SECS", 1, DAY_SECS)?,
            code_tries: given.small("CODE_TRIES", 1, 100)?,
            max_sessions: given.small("MAX_SESSIONS", 1, 10_000)?,
            max_api_tokens: given.small("MAX_API_TOKENS", 1, 1000)?,
        })
    }
}

pub(super) fn parse_keys(given: Given<'_>) -> Result<Keys, Invalid> {
    let secret = |name: &str| match given.0(name).filter(|value| !value.is_empty()) {
        Some(value) if value.len() < MIN_SECRET_BYTES => {
            invalid(name, format_args!("must be at least {MIN_SECRET_BYTES} bytes long."))
        }
        value => Ok(value.map(Secret::new)),
    };
    let previous = secret("JWT_SECRET_PREVIOUS")?;
    match secret("JWT_SECRET")? {
        Some(current) => Ok(Keys::new(current, previous)),
        None => invalid("JWT_SECRET", "is not set. It signs the sessions: give it at least 32 random bytes."),
    }
}

pub(super) fn parse_admin(given: Given<'_>) -> Result<Option<Admin>, Invalid> {
    let password = given.0("ADMIN_PASSWORD").filter(|value| !value.is_empty());
    match (given.optional("ADMIN_EMAIL"), password) {
        (None, None) => Ok(None),
        (Some(_), None) => invalid("ADMIN_PASSWORD", "is not set, though ADMIN_EMAIL is."),
        (None, Some(_)) => invalid("ADMIN_EMAIL", "is not set, though ADMIN_PASSWORD is."),
        (Some(email), Some(password)) => {
            let Some(email) = Email::parse(&email) else {
                return invalid("ADMIN_EMAIL", "must be an e-mail address.");
            };
            let password = Secret::new(password);
            match check_new_password(&password) {
                Ok(()) => Ok(Some(Admin { email, password })),
                Err(weakness) => invalid("ADMIN_PASSWORD", weakness.as_str()),
            }
        }
    }
}

pub(super) fn parse_service_token(given: Given<'_>) -> Result<Option<Secret>, Invalid> {
    const NAME: &str = "SERVICE_TOKEN";
    match given.optional(NAME) {
        Some(token) if token.len() < MIN_SECRET_BYTES || !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
            invalid(NAME, format_args!("must be at least {MIN_SECRET_BYTES} plain characters long."))
        }
        token => Ok(token.map(Secret::new)),
    }
}

/// The name of an organization: it stands in a list with spaces between.
pub(super) fn parse_name(variable: &str, name: &str) -> Result<String, Invalid> {
    if is_group_name(name) {
        return Ok(name.to_owned());
    }
    invalid(variable, "must be a name of 1 to 64 letters, digits, `.`, `_`, `:` or `-`.")
}

pub(super) fn parse_gate(given: Given<'_>) -> Result<Option<Vec<String>>, Invalid> {
    const NAME: &str = "API_TOKEN_ORGANIZATIONS";
    match given.text(NAME).as_str() {
        "" => Ok(Some(vec![given.text("ORGANIZATION")])),
        "*" => Ok(None),
        list => list.split(',').map(|name| parse_name(NAME, name.trim())).collect::<Result<_, _>>().map(Some),
    }
}

pub(super) fn parse_registration(given: Given<'_>) -> Result<bool, Invalid> {
    const NAME: &str = "REGISTRATION";
    match given.text(NAME).as_str() {
        "closed" => Ok(false),
        "open" if given.optional("MAIL_URL").is_none() => {
            invalid(NAME, "is `open`, but MAIL_URL is not set: nobody would get the code.")
        }
        "open" => Ok(true),
        _ => invalid(NAME, "must be `open` or `closed`."),
    }
}

pub(super) fn parse_mailer(given: Given<'_>) -> Result<Option<Mailer>, Invalid> {
    let Some(url) = given.optional("MAIL_URL") else { return Ok(None) };
    let from = given.text("MAIL_FROM");
    let username = given.optional("MAIL_USERNAME");
    let password = given.optional("MAIL_PASSWORD").map(Secret::new);
    Mailer::parse(&url, &from, username, password)
        .map(Some)
        .map_err(|complaint| Invalid(format!("{} {}", complaint.variable, complaint.sentence)))
}

pub(super) fn parse_sso(given: Given<'_>) -> Result<Option<Sso>, Invalid> {
    let tenants: Vec<String> = given.text("SSO_TENANTS").split(',').map(|tenant| tenant.trim().to_owned()).collect();
    if matches!(tenants.as_slice(), [only] if only.is_empty()) {
        return Ok(None);
    }
    // They become part of a path.
    if !tenants.iter().all(|tenant| is_group_name(tenant) && !tenant.contains(':') && !tenant.starts_with('.')) {
        return invalid("SSO_TENANTS", "must be tenant ids with commas between.");
    }
    let Some(client_id) = given.optional("SSO_CLIENT_ID") else {
        return invalid("SSO_CLIENT_ID", "is not set, though SSO_TENANTS is.");
    };
    let authority = parse_base_url(&given.text("SSO_AUTHORITY"));
    let is_loopback = |url: &str| {
        let host = url.strip_prefix("http://").and_then(|rest| rest.split(['/', ':']).next());
        matches!(host, Some("localhost" | "127.0.0.1"))
    };
    match authority.filter(|url| url.starts_with("https://") || is_loopback(url)) {
        Some(authority) => Ok(Some(Sso { tenants, client_id, authority })),
        None => invalid("SSO_AUTHORITY", "must be an https:// address without query; http:// only on this machine."),
    }
}
