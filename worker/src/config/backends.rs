//! `BACKENDS`: the inference servers.

use std::collections::BTreeSet;

use comind::backend::Provider;
use comind::secret::Secret;
use comind::types::StatedModels;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Given, Invalid, invalid};

/// An inference server.
#[derive(Debug)]
pub(crate) struct Backend {
    /// Its name, unique.
    pub id: String,
    /// Its kind.
    pub provider: Provider,
    /// Its base URL, without `/v1` and without a slash at the end.
    pub url: String,
    /// The key that the edge shows it.
    pub api_key: Option<Secret>,
    /// What is stated of its models.
    pub models: StatedModels,
    /// Its share of the work, beside the others that have a model; 0: it gets nothing new.
    pub weight: u32,
    /// Whether it understands `stream_options`.
    pub stream_usage: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenBackend {
    id: String,
    provider: Provider,
    url: String,
    api_key: Option<String>,
    #[serde(default)]
    models: StatedModels,
    weight: Option<u32>,
    stream_usage: Option<bool>,
}

pub(super) fn parse_backends(given: Given<'_>) -> Result<Vec<Backend>, Invalid> {
    const NAME: &str = "BACKENDS";
    let Some(text) = given.optional(NAME) else {
        return invalid(
            NAME,
            r#"is not set. Example: [{"id":"gpu-a","provider":"vllm","url":"http://10.0.0.5:8000"}]"#,
        );
    };
    let list: Vec<&RawValue> = serde_json::from_str(&text).or_else(|_| invalid(NAME, "is not a JSON list."))?;
    let mut ids = BTreeSet::new();
    let mut backends = Vec::with_capacity(list.len());
    for (position, backend) in (1..).zip(list) {
        let complain = |complaint: &str| invalid(NAME, format_args!("(entry {position}): {complaint}"));
        let backend: GivenBackend = match serde_json::from_str(backend.get()) {
            Ok(backend) => backend,
            // Without the place within the entry, which nobody counts.
            Err(error) => {
                return complain(&format!("{}.", error.to_string().split(" at line ").next().unwrap_or_default()));
            }
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if backend.id.is_empty() || backend.id.len() > 64 || !backend.id.bytes().all(is_name) {
            return complain("`id` must have 1 to 64 letters, digits, `.`, `_` or `-`.");
        }
        if !ids.insert(backend.id.clone()) {
            return complain("`id` is the same as an earlier one.");
        }
        let Some(url) = parse_base_url(&backend.url) else {
            return complain(
                "`url` must be http:// or https://, a host, and perhaps a path: no user, query or fragment.",
            );
        };
        let api_key = match &backend.api_key {
            None => None,
            // Not echoed: somebody may have put the key itself here.
            Some(name) if !is_variable_name(name) => {
                return complain("`api_key` must be the name of a variable that holds the key, in capitals.");
            }
            Some(name) => match given.optional(name) {
                Some(key) => Some(Secret::new(key)),
                None => return complain("the variable that `api_key` names is not set."),
            },
        };
        let weight = backend.weight.unwrap_or(1);
        if weight > 100 {
            return complain("`weight` must be a whole number between 0 and 100.");
        }
        backends.push(Backend {
            id: backend.id,
            provider: backend.provider,
            url,
            api_key,
            models: backend.models,
            weight,
            stream_usage: backend.stream_usage.unwrap_or(true),
        });
    }
    Ok(backends)
}

fn is_variable_name(name: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    name.starts_with(|first: char| first.is_ascii_uppercase() || first == '_') && name.bytes().all(is_fit)
}

/// The part of a backend's URL that stands before `/v1`; people write it with and without.
pub(super) fn parse_base_url(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split('/').next()?;
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#@\\\"<>`{}|^".contains(&byte);
    let is_right =
        matches!(scheme, "http" | "https") && !host.is_empty() && !host.starts_with(':') && rest.bytes().all(is_plain);
    let base = url.trim_end_matches('/');
    is_right.then(|| base.strip_suffix("/v1").unwrap_or(base).trim_end_matches('/').to_owned())
}
