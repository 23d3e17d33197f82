//! The table of what the edge serves and what each route asks of its caller.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::auth::{Need, Scope};
use crate::error::{Code, Error};
use crate::request::Operation;

/// A request method that some route has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// `GET`, and `HEAD` with it.
    Get,
    /// `POST`.
    Post,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
}

impl Method {
    /// The spelling in a request and in `Allow`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// What a request's method asks for; `HEAD` asks for what `GET` gives.
    #[must_use]
    pub fn parse(method: &str) -> Option<Self> {
        match method {
            "GET" | "HEAD" => Some(Self::Get),
            "POST" => Some(Self::Post),
            "PATCH" => Some(Self::Patch),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }
}

macro_rules! routes {
    ($($(#[doc = $doc:literal])+ $name:ident = $method:ident $path:literal, $need:expr;)+) => {
        /// One thing that the edge does. A handler belongs to each.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Route {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Route {
            /// Every route, in the order of the README's table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The method it answers.
            #[must_use]
            pub const fn method(self) -> Method {
                match self { $(Self::$name => Method::$method,)+ }
            }

            /// The path; `{id}` stands for one segment, or for a model's all the rest.
            #[must_use]
            pub const fn path(self) -> &'static str {
                match self { $(Self::$name => $path,)+ }
            }

            /// What it does, in a sentence.
            #[must_use]
            pub const fn summary(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc,)+),)+ }
            }

            /// What it asks of its caller.
            #[must_use]
            pub const fn need(self) -> Need {
                match self { $(Self::$name => $need,)+ }
            }
        }
    };
}

routes! {
    /// Whether the edge is up.
    Health = Get "/health", Need::Public;
    /// What has been counted, for a monitor.
    Metrics = Get "/metrics", Need::Service;
    /// This interface, as OpenAPI describes it.
    OpenApi = Get "/openapi.json", Need::Public;
    /// Sign in.
    Login = Post "/v1/auth/login", Need::Public;
    /// Buy the next pair of tokens.
    Refresh = Post "/v1/auth/refresh", Need::Public;
    /// End a session.
    Logout = Post "/v1/auth/logout", Need::Public;
    /// Sign in with another one's word for who it is.
    Sso = Post "/v1/auth/sso", Need::Public;
    /// Who the caller is.
    Me = Get "/v1/auth/me", Need::Any;
    /// Whether an address has an account.
    CheckRegistration = Get "/v1/auth/check-registration", Need::Public;
    /// Ask for an account.
    Register = Post "/v1/auth/register", Need::Public;
    /// Make the account with the code that was mailed.
    Confirm = Post "/v1/auth/confirm", Need::Public;
    /// Change one's own password.
    ChangePassword = Post "/v1/auth/change-password", Need::Session;
    /// Ask for a code to set a new password.
    RequestPasswordReset = Post "/v1/auth/password-reset-request", Need::Public;
    /// Set a new password with that code.
    ResetPassword = Post "/v1/auth/password-reset", Need::Public;
    /// Set a user's password.
    SetPassword = Post "/v1/auth/admin/set-password", Need::Service;
    /// Make a user.
    CreateUser = Post "/v1/auth/admin/users", Need::Service;
    /// All users.
    Users = Get "/v1/auth/admin/users", Need::Service;
    /// One user.
    User = Get "/v1/auth/admin/users/{id}", Need::Service;
    /// Suspend a user, or set name, privileges and groups.
    UpdateUser = Patch "/v1/auth/admin/users/{id}", Need::Service;
    /// Delete a user with everything of theirs.
    DeleteUser = Delete "/v1/auth/users/{id}", Need::Service;
    /// The models that live backends serve.
    Models = Get "/v1/models", Need::Scope(Scope::ModelsRead);
    /// One model.
    Model = Get "/v1/models/{id}", Need::Scope(Scope::ModelsRead);
    /// A chat completion, plain or streaming.
    ChatCompletions = Post "/v1/chat/completions", Need::Scope(Scope::ChatWrite);
    /// A completion of a text, plain or streaming.
    Completions = Post "/v1/completions", Need::Scope(Scope::ChatWrite);
    /// Texts as vectors.
    Embeddings = Post "/v1/embeddings", Need::Scope(Scope::ChatWrite);
    /// The backends, and how many models each has.
    Backends = Get "/v1/backends", Need::Scope(Scope::ModelsRead);
    /// How each backend answered last.
    BackendsHealth = Get "/v1/backends/health", Need::Scope(Scope::ModelsRead);
    /// What each backend and model can do.
    Capabilities = Get "/v1/capabilities", Need::Scope(Scope::ModelsRead);
    /// The scopes that a token may be given.
    ApiTokenScopes = Get "/v1/api-tokens/scopes", Need::Session;
    /// Make a personal access token.
    CreateApiToken = Post "/v1/api-tokens", Need::Session;
    /// The user's personal access tokens.
    ApiTokens = Get "/v1/api-tokens", Need::Session;
    /// Revoke a personal access token.
    RevokeApiToken = Delete "/v1/api-tokens/{id}", Need::Session;
    /// Put a new personal access token in the place of one.
    RotateApiToken = Post "/v1/api-tokens/{id}/rotate", Need::Session;
    /// What happened to accounts, tokens and passwords.
    AuditLogs = Get "/v1/admin/audit-logs", Need::Session;
}

impl Route {
    /// What the route asks a model to do, if it is one of inference.
    #[must_use]
    pub const fn operation(self) -> Option<Operation> {
        match self {
            Self::ChatCompletions => Some(Operation::ChatCompletion),
            Self::Completions => Some(Operation::Completion),
            Self::Embeddings => Some(Operation::Embedding),
            _ => None,
        }
    }
}

/// A route and the `{id}` of its path, percent-decoded; empty where it has none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Match {
    /// The route.
    pub route: Route,
    /// The `{id}`.
    pub id: String,
}

/// Why no route answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NoMatch {
    /// No route has the path.
    NotFound,
    /// These methods would have been right: the value of `Allow`.
    MethodNotAllowed(String),
}

impl From<NoMatch> for Error {
    fn from(no_match: NoMatch) -> Self {
        match no_match {
            NoMatch::NotFound => Self::new(
                Code::NotFound,
                "There is no such route. All API routes start with `/v1/`; see the documentation.",
            ),
            NoMatch::MethodNotAllowed(allow) => {
                Self::new(Code::MethodNotAllowed, format!("This path answers {allow} only."))
            }
        }
    }
}

/// Finds the route of a request. The path is as sent, without the query.
///
/// An exact path wins over one with `{id}`. One trailing slash is not a different path for a
/// program that joined its base URL carelessly, but it is to us: 404, so that caches see one name.
///
/// # Errors
///
/// [`NoMatch`], with the methods for `Allow` when only the method was wrong.
pub fn find(method: &str, path: &str) -> Result<Match, NoMatch> {
    let asked = Method::parse(method);
    let exact = Route::ALL.iter().filter(|route| route.path() == path).map(|&route| (route, String::new()));
    let mut candidates: Vec<(Route, String)> = exact.collect();
    if candidates.is_empty() {
        candidates = Route::ALL.iter().filter_map(|&route| Some((route, id_of(route, path)?))).collect();
    }
    if candidates.is_empty() {
        return Err(NoMatch::NotFound);
    }
    let allow = allow_of(candidates.iter().map(|(route, _)| route.method()));
    let found = candidates.into_iter().find(|(route, _)| Some(route.method()) == asked);
    found.map(|(route, id)| Match { route, id }).ok_or(NoMatch::MethodNotAllowed(allow))
}

fn id_of(route: Route, path: &str) -> Option<String> {
    let (start, end) = route.path().split_once("{id}")?;
    let id = path.strip_prefix(start)?.strip_suffix(end).filter(|id| !id.is_empty())?;
    // Ids of models are names with slashes in them (`Qwen/Qwen2.5-32B-Instruct`); ours are not.
    if id.contains('/') && route != Route::Model {
        return None;
    }
    percent_decode(id)
}

fn allow_of(methods: impl Iterator<Item = Method>) -> String {
    let mut names: Vec<&str> = Vec::new();
    for method in methods {
        names.push(method.as_str());
        if method == Method::Get {
            names.push("HEAD");
        }
    }
    names.push("OPTIONS");
    names.join(", ")
}

/// Undoes percent-encoding (RFC 3986 §2.1); `None` when what comes out is not UTF-8 or has a NUL.
#[must_use]
pub fn percent_decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text).into_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let value = digit(rest.next())? * 16 + digit(rest.next())?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_found_by_its_own_path() {
        for &route in Route::ALL {
            let name = if route == Route::Model { "x/y" } else { "x" };
            let path = route.path().replace("{id}", name);
            let id = if route.path().contains("{id}") { name } else { "" };
            assert_eq!(find(route.method().as_str(), &path), Ok(Match { route, id: id.into() }));
        }
    }

    #[test]
    fn an_operation_has_one_path() {
        for &route in Route::ALL {
            if let Some(operation) = route.operation() {
                assert_eq!(operation.path(), route.path());
            }
        }
    }

    #[test]
    fn head_is_answered_where_get_is() {
        assert_eq!(find("HEAD", "/health").unwrap().route, Route::Health);
        assert!(find("HEAD", "/v1/auth/login").is_err());
    }

    #[test]
    fn an_id_keeps_its_slashes_and_loses_its_encoding() {
        for path in ["/v1/models/Qwen/Qwen2.5-32B-Instruct", "/v1/models/Qwen%2FQwen2.5-32B-Instruct"] {
            assert_eq!(find("GET", path).unwrap().id, "Qwen/Qwen2.5-32B-Instruct");
        }
        assert_eq!(find("GET", "/v1/models/%C3%A9").unwrap().id, "é");
    }

    #[test]
    fn a_wrong_method_names_the_right_ones() {
        assert_eq!(find("POST", "/health"), Err(NoMatch::MethodNotAllowed("GET, HEAD, OPTIONS".into())));
        assert_eq!(find("PUT", "/v1/api-tokens"), Err(NoMatch::MethodNotAllowed("POST, GET, HEAD, OPTIONS".into())));
        assert_eq!(find("BREW", "/v1/auth/login"), Err(NoMatch::MethodNotAllowed("POST, OPTIONS".into())));
    }

    #[test]
    fn the_exact_path_wins() {
        assert_eq!(find("GET", "/v1/api-tokens/scopes").unwrap().route, Route::ApiTokenScopes);
        assert_eq!(find("DELETE", "/v1/api-tokens/abc").unwrap().route, Route::RevokeApiToken);
        assert_eq!(find("POST", "/v1/api-tokens/abc/rotate").unwrap().id, "abc");
    }

    #[test]
    fn everything_else_is_not_found() {
        for path in [
            "",
            "/",
            "/v1",
            "/v1/",
            "/models",
            "/v1/models/",
            "/v1/api-tokens/x/y",
            "/v1/api-tokens//rotate",
            "/v1/api-tokens/x/y/rotate",
            "/v1/api-tokens/x/rotate/",
            "/health/",
            "/v1/models/%",
            "/v1/models/%zz",
            "/v1/models/%ff",
            "/v1/models/%00",
        ] {
            assert_eq!(find("GET", path), Err(NoMatch::NotFound), "{path}");
        }
    }

    #[test]
    fn the_readme_has_a_row_for_each_route_and_no_other() {
        let readme = include_str!("../README.md");
        let table = readme.split("### Routes").nth(1).unwrap().split("\n### ").next().unwrap();
        let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(rows.len(), Route::ALL.len());
        for (row, route) in rows.iter().zip(Route::ALL) {
            let need = match route.need() {
                Need::Public => "nothing".into(),
                Need::Any => "any token".into(),
                Need::Service => "the service token".into(),
                Need::Session => "a session".into(),
                Need::Scope(scope) => format!("`{}`", scope.as_str()),
            };
            let start = format!("| `{} {}` | {need} | ", route.method().as_str(), route.path());
            assert!(row.starts_with(&start), "{row}: {start}");
        }
    }
}
