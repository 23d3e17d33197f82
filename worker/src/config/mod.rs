//! The settings: the one place that knows their names, defaults and ranges.

mod accounts;
mod backends;
mod telemetry;

use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;

use comind::limit::FailurePolicy;
use comind::mail::Mailer;
use comind::secret::Secret;
use comind::token::jwt::Keys;
use js_sys::{JsString, Reflect};
use wasm_bindgen::prelude::*;

pub(crate) use accounts::{Admin, Lives, Sso};
use accounts::{
    parse_admin, parse_gate, parse_keys, parse_mailer, parse_name, parse_registration, parse_service_token, parse_sso,
};
pub(crate) use backends::Backend;
use backends::parse_backends;
pub(crate) use telemetry::{Collector, RequestLog};
use telemetry::{parse_collector, parse_request_log};

/// One setting, as the README's table shows it.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The environment variable, and the binding of the same name.
    pub name: &'static str,
    /// What holds when it is not set; `None` for one that must be, or that is off.
    pub default: Option<&'static str>,
}

macro_rules! settings {
    ($($name:ident $(= $default:literal)?,)+) => {
        /// Every setting. The README's table and the start scripts are held against this list.
        pub const SETTINGS: &[Setting] = &[
            $(Setting { name: stringify!($name), default: settings!(@default $($default)?) },)+
        ];
    };
    (@default $default:literal) => { Some($default) };
    (@default) => { None };
}

settings! {
    BACKENDS,
    JWT_SECRET,
    JWT_SECRET_PREVIOUS,
    ADMIN_EMAIL,
    ADMIN_PASSWORD,
    SERVICE_TOKEN,
    ALLOWED_ORIGINS = "",
    ORGANIZATION = "main",
    API_TOKEN_ORGANIZATIONS = "",
    REGISTRATION = "closed",
    MAIL_URL,
    MAIL_FROM,
    MAIL_USERNAME,
    MAIL_PASSWORD,
    SSO_TENANTS = "",
    SSO_CLIENT_ID,
    SSO_AUTHORITY = "https://login.microsoftonline.com",
    ACCESS_TOKEN_SECS = "3600",
    REFRESH_TOKEN_SECS = "2592000",
    REFRESH_GRACE_MS = "10000",
    CODE_LIFETIME_SECS = "900",
    CODE_TRIES = "5",
    MAX_SESSIONS = "100",
    MAX_API_TOKENS = "25",
    RATE_LIMIT_RPM = "600",
    RATE_LIMIT_TPM = "200000",
    ADMISSION_LEASE_MS = "1000",
    PUBLIC_RATE_LIMIT_RPM = "60",
    PASSWORD_RATE_LIMIT_RPM = "300",
    MAIL_LIMIT_PER_HOUR = "5",
    HEARTBEAT_MS = "15000",
    CONNECT_TIMEOUT_MS = "5000",
    FIRST_BYTE_TIMEOUT_MS = "300000",
    STALL_TIMEOUT_MS = "120000",
    PROGRESS_TIMEOUT_MS = "300000",
    TOTAL_TIMEOUT_MS = "3600000",
    HUNG_TIMEOUT_MS = "60000",
    BACKEND_ATTEMPTS = "3",
    RETRY_BURST = "100",
    BREAKER_FAILURES = "5",
    BREAKER_OPEN_MS = "5000",
    HEADER_LIMIT_BYTES = "32768",
    BODY_LIMIT_BYTES = "16777216",
    NESTING_LIMIT = "128",
    ANSWER_LIMIT_BYTES = "16777216",
    EVENT_LIMIT_BYTES = "1048576",
    CATALOG_TTL_MS = "10000",
    PROBE_TIMEOUT_MS = "3000",
    CLIENT_IP_HEADER = "",
    LOGIN_FREE_FAILURES = "5",
    LOGIN_MAX_DELAY_SECS = "900",
    AUDIT_RETENTION_DAYS = "90",
    AUDIT_LIMIT_EVENTS = "1000000",
    REQUEST_LOG = "all",
    OTEL_EXPORTER_OTLP_ENDPOINT,
    OTEL_EXPORTER_OTLP_HEADERS,
    OTEL_TRACES_SAMPLER_ARG = "1",
}

/// What the edge was told, checked.
#[derive(Debug)]
pub(crate) struct Config {
    /// The inference servers, in order.
    pub backends: Vec<Backend>,
    /// What signs and verifies sessions.
    pub jwt_keys: Keys,
    /// How long tokens, sessions and codes live, and how many a user may have.
    pub lives: Lives,
    /// The first admin.
    pub admin: Option<Admin>,
    /// What the operator's own programs show.
    pub service_token: Option<Secret>,
    /// The organization that users belong to unless another one is named.
    pub organization: String,
    /// The organizations whose plan includes personal access tokens; `None`: everybody may have them.
    pub api_token_organizations: Option<Vec<String>>,
    /// Whether anybody may register.
    pub is_registration_open: bool,
    /// What sends codes.
    pub mailer: Option<Mailer>,
    /// Whose `id_token`s are taken.
    pub sso: Option<Sso>,
    /// The pages that may call the API from a browser.
    pub allowed_origins: Vec<String>,
    /// Requests a minute and user; 0 is without limit.
    pub rate_limit_rpm: u64,
    /// Tokens a minute and user; 0 is without limit.
    pub rate_limit_tpm: u64,
    /// How long an isolate may go on with what an account said last; 0 asks it for each request.
    pub admission_lease_ms: u64,
    /// Requests a minute and client on routes that need nothing; 0 is without limit.
    pub public_rate_limit_rpm: u64,
    /// Passwords a minute and isolate that are hashed.
    pub password_rate_limit_rpm: u64,
    /// Mails an hour and address.
    pub mail_limit_per_hour: u64,
    /// How long a stream may be silent before a comment is sent.
    pub heartbeat_ms: u32,
    /// How long a backend may take until the first byte of its answer.
    pub first_byte_timeout_ms: u32,
    /// How long a backend may be silent before it is asked whether it lives.
    pub connect_timeout_ms: u32,
    /// How long a backend may pause within an answer.
    pub stall_timeout_ms: u32,
    /// How long a stream may go without an event, whatever comments come.
    pub progress_timeout_ms: u32,
    /// How long an answer may take in all, other backends included.
    pub total_timeout_ms: u32,
    /// How long a backend that has work may get nowhere before it is taken for dead.
    pub hung_timeout_ms: u64,
    /// How many backends a request may be sent to.
    pub backend_attempts: u32,
    /// How many requests may be sent to another backend at once; each five requests earn one more.
    pub retry_burst: u32,
    /// So many failures in a row, and a backend is left in peace; 0: never.
    pub breaker_failures: u32,
    /// For so long, the first time.
    pub breaker_open_ms: u64,
    /// The largest headers of a request, names and values together.
    pub header_limit_bytes: u32,
    /// How deep a request body may be nested.
    pub nesting_limit: u32,
    /// The largest request body.
    pub body_limit_bytes: u32,
    /// The largest plain answer of a backend.
    pub answer_limit_bytes: u32,
    /// The largest event that is held until it is whole.
    pub event_limit_bytes: u32,
    /// How long the catalogue of models is taken for fresh.
    pub catalog_ttl_ms: u64,
    /// How long a backend may take to say what it has.
    pub probe_timeout_ms: u32,
    /// The header, in lower case, in which a trusted proxy gives the caller's address.
    pub client_ip_header: Option<String>,
    /// How failed sign-ins slow down.
    pub login_failures: FailurePolicy,
    /// How long what happened is remembered.
    pub audit_retention_days: u64,
    /// How many events are.
    pub audit_limit_events: u64,
    /// Of which requests a line goes to the log.
    pub request_log: RequestLog,
    /// Who collects spans.
    pub collector: Option<Collector>,
}

/// A setting that cannot be worked with. The sentence names the variable and never its value.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Invalid(String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn invalid<T>(name: &str, complaint: impl fmt::Display) -> Result<T, Invalid> {
    Err(Invalid(format!("{name} {complaint}")))
}

const DAY_SECS: u64 = 86_400;
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const GIB: u64 = 1 << 30;

impl Config {
    /// Checks the settings. `lookup` gives the value of a variable, `None` when it is not set.
    ///
    /// # Errors
    ///
    /// [`Invalid`] for the first setting that is missing, malformed or out of range.
    pub(crate) fn parse(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Invalid> {
        let given = Given(&lookup);
        Ok(Self {
            backends: parse_backends(given)?,
            jwt_keys: parse_keys(given)?,
            lives: Lives::parse(given)?,
            admin: parse_admin(given)?,
            service_token: parse_service_token(given)?,
            organization: parse_name("ORGANIZATION", &given.text("ORGANIZATION"))?,
            api_token_organizations: parse_gate(given)?,
            is_registration_open: parse_registration(given)?,
            mailer: parse_mailer(given)?,
            sso: parse_sso(given)?,
            allowed_origins: parse_origins(&given.text("ALLOWED_ORIGINS"))?,
            rate_limit_rpm: given.number("RATE_LIMIT_RPM", 0, GIB)?,
            rate_limit_tpm: given.number("RATE_LIMIT_TPM", 0, 1_000 * GIB)?,
            admission_lease_ms: given.number("ADMISSION_LEASE_MS", 0, MINUTE_MS)?,
            public_rate_limit_rpm: given.number("PUBLIC_RATE_LIMIT_RPM", 0, GIB)?,
            password_rate_limit_rpm: given.number("PASSWORD_RATE_LIMIT_RPM", 1, GIB)?,
            mail_limit_per_hour: given.number("MAIL_LIMIT_PER_HOUR", 1, 1000)?,
            heartbeat_ms: given.small("HEARTBEAT_MS", 10, HOUR_MS)?,
            first_byte_timeout_ms: given.small("FIRST_BYTE_TIMEOUT_MS", 10, 24 * HOUR_MS)?,
            connect_timeout_ms: given.small("CONNECT_TIMEOUT_MS", 10, HOUR_MS)?,
            stall_timeout_ms: given.small("STALL_TIMEOUT_MS", 10, 24 * HOUR_MS)?,
            progress_timeout_ms: given.small("PROGRESS_TIMEOUT_MS", 10, 24 * HOUR_MS)?,
            total_timeout_ms: given.small("TOTAL_TIMEOUT_MS", 10, 24 * HOUR_MS)?,
            hung_timeout_ms: given.number("HUNG_TIMEOUT_MS", 10, 24 * HOUR_MS)?,
            backend_attempts: given.small("BACKEND_ATTEMPTS", 1, 100)?,
            retry_burst: given.small("RETRY_BURST", 0, 1_000_000)?,
            breaker_failures: given.small("BREAKER_FAILURES", 0, 1000)?,
            breaker_open_ms: given.number("BREAKER_OPEN_MS", 1, HOUR_MS)?,
            header_limit_bytes: given.small("HEADER_LIMIT_BYTES", 1024, GIB)?,
            nesting_limit: given.small("NESTING_LIMIT", 2, 10_000)?,
            body_limit_bytes: given.small("BODY_LIMIT_BYTES", 1, GIB / 16)?,
            answer_limit_bytes: given.small("ANSWER_LIMIT_BYTES", 1, GIB / 16)?,
            event_limit_bytes: given.small("EVENT_LIMIT_BYTES", 1, GIB / 16)?,
            catalog_ttl_ms: given.number("CATALOG_TTL_MS", 0, 24 * HOUR_MS)?,
            probe_timeout_ms: given.small("PROBE_TIMEOUT_MS", 10, 5 * MINUTE_MS)?,
            client_ip_header: parse_header_name(&given.text("CLIENT_IP_HEADER"))?,
            login_failures: FailurePolicy {
                free: given.small("LOGIN_FREE_FAILURES", 1, 1000)?,
                max_delay_secs: given.number("LOGIN_MAX_DELAY_SECS", 1, 24 * 3600)?,
            },
            audit_retention_days: given.number("AUDIT_RETENTION_DAYS", 1, 3650)?,
            audit_limit_events: given.number("AUDIT_LIMIT_EVENTS", 100, 10_000_000)?,
            request_log: parse_request_log(given)?,
            collector: parse_collector(given)?,
        })
    }
}

/// What the environment holds.
#[derive(Clone, Copy)]
struct Given<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Given<'_> {
    /// A variable that is set to nothing counts as not set.
    fn optional(self, name: &str) -> Option<String> {
        self.0(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn text(self, name: &str) -> String {
        let default = || SETTINGS.iter().find(|setting| setting.name == name)?.default.map(str::to_owned);
        self.optional(name).or_else(default).unwrap_or_default()
    }

    fn number(self, name: &str, low: u64, high: u64) -> Result<u64, Invalid> {
        match self.text(name).parse() {
            Ok(number) if (low..=high).contains(&number) => Ok(number),
            _ => invalid(name, format_args!("must be a whole number between {low} and {high}.")),
        }
    }

    fn small(self, name: &str, low: u64, high: u64) -> Result<u32, Invalid> {
        self.number(name, low, high).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
    }
}

fn parse_origins(list: &str) -> Result<Vec<String>, Invalid> {
    let origins = list.split(',').map(str::trim).filter(|origin| !origin.is_empty());
    origins.map(parse_origin).collect()
}

/// An origin as browsers send it: scheme, host, port if unusual, in lower case, nothing behind.
fn parse_origin(origin: &str) -> Result<String, Invalid> {
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let is_exact = host.is_some_and(|host| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
        !host.is_empty() && host.bytes().all(allowed)
    });
    if is_exact {
        return Ok(origin.to_owned());
    }
    invalid(
        "ALLOWED_ORIGINS",
        "must be exact origins with commas between, as in `https://app.example.com`: no path, no `*`.",
    )
}

fn parse_header_name(name: &str) -> Result<Option<String>, Invalid> {
    if name.is_empty() {
        return Ok(None);
    }
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Ok(Some(name.to_ascii_lowercase()));
    }
    invalid("CLIENT_IP_HEADER", "must be the name of a header.")
}

#[wasm_bindgen(module = "cloudflare:workers")]
extern "C" {
    #[wasm_bindgen(thread_local_v2, js_name = env)]
    static ENV: JsValue;
}

thread_local! {
    static CURRENT: OnceCell<Rc<Config>> = const { OnceCell::new() };
}

/// What is wrong with the settings, if anything: asked once, when the module starts (`entry.js`), so
/// that the runtime refuses to run rather than answer every request with an error.
#[wasm_bindgen]
pub fn complaint() -> Option<String> {
    complaint_about(lookup)
}

/// What is wrong with the settings that `lookup` gives by name, in a sentence that begins with the variable.
///
/// ```
/// let lookup = |name: &str| (name == "BACKENDS").then(|| "[]".to_owned());
/// assert_eq!(comind_edge::complaint_about(lookup).unwrap().split(' ').next(), Some("JWT_SECRET"));
/// ```
pub fn complaint_about(lookup: impl Fn(&str) -> Option<String>) -> Option<String> {
    Config::parse(lookup).err().map(|invalid| invalid.to_string())
}

/// The settings in force: read from the bindings once.
pub(crate) fn current() -> Rc<Config> {
    let read = || match Config::parse(lookup) {
        Ok(config) => Rc::new(config),
        // Not reached: the module did not start.
        Err(invalid) => wasm_bindgen::throw_str(&invalid.to_string()),
    };
    CURRENT.with(|current| Rc::clone(current.get_or_init(read)))
}

fn lookup(name: &str) -> Option<String> {
    ENV.with(|env| Reflect::get(env, &JsString::from(name)).ok()?.as_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const BACKEND: &str = r#"[{"id":"a","provider":"llamacpp","url":"http://127.0.0.1:8080/v1/"}]"#;

    fn parse(changes: &[(&str, &str)]) -> Result<Config, Invalid> {
        let mut values = BTreeMap::from([("BACKENDS", BACKEND), ("JWT_SECRET", SECRET)]);
        values.extend(changes.iter().copied());
        Config::parse(|name| values.get(name).map(|value| (*value).to_owned()))
    }

    fn complaint(changes: &[(&str, &str)]) -> String {
        parse(changes).unwrap_err().to_string()
    }

    #[test]
    fn two_settings_are_enough() {
        let config = parse(&[]).unwrap();
        assert_eq!(config.backends[0].url, "http://127.0.0.1:8080");
        assert_eq!((config.heartbeat_ms, config.rate_limit_rpm, config.body_limit_bytes), (15_000, 600, 16 << 20));
        assert!(config.admin.is_none() && config.allowed_origins.is_empty() && config.client_ip_header.is_none());
    }

    #[test]
    fn each_bad_value_names_its_variable_and_keeps_it_to_itself() {
        for (name, value) in [
            ("BACKENDS", ""),
            ("BACKENDS", "{}"),
            ("BACKENDS", r#"[{"id":"a","provider":"tgi","url":"http://h"}]"#),
            ("BACKENDS", r#"[{"id":"a","provider":"vllm","url":"http://h","key":"k"}]"#),
            ("BACKENDS", r#"[{"id":"a b","provider":"vllm","url":"http://h"}]"#),
            ("BACKENDS", r#"[{"id":"a","provider":"vllm","url":"ftp://h"}]"#),
            ("BACKENDS", r#"[{"id":"a","provider":"vllm","url":"http://u:p@h"}]"#),
            ("BACKENDS", r#"[{"id":"a","provider":"vllm","url":"http://h?x"}]"#),
            ("BACKENDS", r#"[{"id":"a","provider":"vllm","url":"http://"}]"#),
            (
                "BACKENDS",
                r#"[{"id":"a","provider":"vllm","url":"http://h"},{"id":"a","provider":"vllm","url":"http://h"}]"#,
            ),
            ("BACKENDS", r#"[{"id":"a","provider":"vllm","url":"http://h","api_key":"GPU_KEY"}]"#),
            ("BACKENDS", r#"[{"id":"a","provider":"vllm","url":"http://h","api_key":"sk-verysecret"}]"#),
            ("BACKENDS", r#"[{"id":"a","provider":"vllm","url":"http://h","models":{"m":{"vision":true}}}]"#),
            ("JWT_SECRET", ""),
            ("JWT_SECRET", "verysecret"),
            ("JWT_SECRET_PREVIOUS", "verysecret"),
            ("RATE_LIMIT_RPM", "abc"),
            ("RATE_LIMIT_RPM", "-1"),
            ("RATE_LIMIT_TPM", "1.5"),
            ("HEARTBEAT_MS", "0"),
            ("HEARTBEAT_MS", "9"),
            ("BODY_LIMIT_BYTES", "0"),
            ("BODY_LIMIT_BYTES", "67108865"),
            ("ALLOWED_ORIGINS", "*"),
            ("ALLOWED_ORIGINS", "https://a.example/path"),
            ("ALLOWED_ORIGINS", "a.example"),
            ("CLIENT_IP_HEADER", "x forwarded"),
            ("ADMIN_EMAIL", "nobody"),
            ("LOGIN_FREE_FAILURES", "0"),
            ("SERVICE_TOKEN", "verysecret"),
            ("ORGANIZATION", "two words"),
            ("API_TOKEN_ORGANIZATIONS", "main,"),
            ("REGISTRATION", "yes"),
            ("REGISTRATION", "open"),
            ("SSO_TENANTS", "a/../b"),
            ("SSO_TENANTS", ".."),
            ("ACCESS_TOKEN_SECS", "0"),
            ("REFRESH_TOKEN_SECS", "31536001"),
            ("REFRESH_GRACE_MS", "60001"),
            ("CODE_LIFETIME_SECS", "0"),
            ("CODE_TRIES", "0"),
            ("MAX_SESSIONS", "0"),
            ("MAX_API_TOKENS", "0"),
            ("ADMISSION_LEASE_MS", "60001"),
            ("PUBLIC_RATE_LIMIT_RPM", "-1"),
            ("PASSWORD_RATE_LIMIT_RPM", "0"),
            ("MAIL_LIMIT_PER_HOUR", "0"),
            ("CONNECT_TIMEOUT_MS", "9"),
            ("PROGRESS_TIMEOUT_MS", "9"),
            ("TOTAL_TIMEOUT_MS", "0"),
            ("HUNG_TIMEOUT_MS", "9"),
            ("BACKEND_ATTEMPTS", "0"),
            ("RETRY_BURST", "-1"),
            ("BREAKER_FAILURES", "1001"),
            ("BREAKER_OPEN_MS", "0"),
            ("HEADER_LIMIT_BYTES", "1023"),
            ("NESTING_LIMIT", "1"),
            ("AUDIT_RETENTION_DAYS", "0"),
            ("AUDIT_LIMIT_EVENTS", "99"),
            ("REQUEST_LOG", "some"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "verysecret"),
            ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ] {
            let complaint = if name == "ADMIN_EMAIL" {
                complaint(&[(name, value), ("ADMIN_PASSWORD", "long enough to pass")])
            } else {
                complaint(&[(name, value)])
            };
            assert!(complaint.starts_with(name), "{value}: {complaint}");
            assert!(!complaint.contains("verysecret"), "{complaint}");
        }
    }

    #[test]
    fn the_ends_of_ranges_pass() {
        for (name, value) in
            [("HEARTBEAT_MS", "10"), ("BODY_LIMIT_BYTES", "67108864"), ("RATE_LIMIT_RPM", "0"), ("BACKENDS", "[]")]
        {
            assert!(parse(&[(name, value)]).is_ok(), "{name}={value}");
        }
    }

    #[test]
    fn half_an_admin_is_refused() {
        assert!(complaint(&[("ADMIN_EMAIL", "a@b.c")]).starts_with("ADMIN_PASSWORD"));
        assert!(complaint(&[("ADMIN_PASSWORD", "long enough to pass")]).starts_with("ADMIN_EMAIL"));
        assert!(
            complaint(&[("ADMIN_EMAIL", "a@b.c"), ("ADMIN_PASSWORD", "elevenchars")]).starts_with("ADMIN_PASSWORD")
        );
        assert!(parse(&[("ADMIN_EMAIL", "a@b.c"), ("ADMIN_PASSWORD", "twelve chars")]).is_ok());
    }

    #[test]
    fn sso_needs_an_audience_and_a_safe_authority() {
        assert!(parse(&[]).unwrap().sso.is_none());
        assert!(complaint(&[("SSO_TENANTS", "t")]).starts_with("SSO_CLIENT_ID"));
        let with = |authority| parse(&[("SSO_TENANTS", "t, u"), ("SSO_CLIENT_ID", "c"), ("SSO_AUTHORITY", authority)]);
        let sso = with("https://login.example.com/").unwrap().sso.unwrap();
        assert_eq!((sso.tenants, sso.authority.as_str()), (vec!["t".into(), "u".into()], "https://login.example.com"));
        assert!(with("http://127.0.0.1:9999").is_ok());
        for authority in ["http://login.example.com", "http://127.0.0.1.evil.example", "ftp://h", "https://h?x"] {
            assert!(with(authority).unwrap_err().to_string().starts_with("SSO_AUTHORITY"), "{authority}");
        }
    }

    #[test]
    fn tokens_are_for_members_of_the_seeded_organization_unless_said() {
        let gate = |changes: &[(&str, &str)]| parse(changes).unwrap().api_token_organizations;
        assert_eq!(gate(&[]), Some(vec!["main".into()]));
        assert_eq!(gate(&[("ORGANIZATION", "acme")]), Some(vec!["acme".into()]));
        assert_eq!(gate(&[("API_TOKEN_ORGANIZATIONS", "a, b")]), Some(vec!["a".into(), "b".into()]));
        assert_eq!(gate(&[("API_TOKEN_ORGANIZATIONS", "*")]), None);
    }

    #[test]
    fn an_api_key_is_read_from_the_variable_it_names() {
        let backends = r#"[{"id":"a","provider":"openai","url":"https://h/openai/v1","api_key":"GPU_KEY"}]"#;
        let config = parse(&[("BACKENDS", backends), ("GPU_KEY", "sk-1")]).unwrap();
        assert_eq!(config.backends[0].url, "https://h/openai");
        assert_eq!(config.backends[0].api_key.as_ref().map(Secret::expose), Some("sk-1"));
        assert!(!format!("{config:?}").contains("sk-1"));
    }

    #[test]
    fn origins_are_a_list() {
        let config = parse(&[("ALLOWED_ORIGINS", "http://localhost:8787, https://app.example.com")]).unwrap();
        assert_eq!(config.allowed_origins, ["http://localhost:8787", "https://app.example.com"]);
    }

    #[test]
    fn the_readme_has_a_row_for_each_setting_with_its_default() {
        let readme = include_str!("../../../README.md");
        let table = readme.split("### Settings").nth(1).unwrap().split("\n### ").next().unwrap();
        let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(rows.len(), SETTINGS.len());
        for (row, setting) in rows.iter().zip(SETTINGS) {
            let default = setting.default.filter(|default| !default.is_empty());
            let start =
                format!("| `{}` | {}", setting.name, default.map_or(String::new(), |default| format!("`{default}` ")));
            assert!(row.starts_with(&start), "{row}: {start}");
        }
    }

    #[test]
    fn the_start_script_hands_on_every_setting_and_no_other() {
        let script = include_str!("../../../scripts/settings.mjs");
        let named: BTreeSet<&str> =
            script.split('"').filter(|word| SETTINGS.iter().any(|setting| setting.name == *word)).collect();
        assert_eq!(named, SETTINGS.iter().map(|setting| setting.name).collect());
    }
}
