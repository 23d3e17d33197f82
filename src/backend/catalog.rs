//! Who serves what: the union of what the backends said.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Provider;
use crate::error::{Code, Error};
use crate::request::shown;
use crate::types::{
    BackendCapabilities, BackendHealth, BackendSummary, BackendsHealth, Capabilities, List, Model, ModelCapabilities,
    StatedModels, Status,
};

/// A model that a backend serves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Served {
    /// The model's id.
    pub id: String,
    /// Unix seconds; 0 where the server does not say.
    pub created: u64,
    /// What it can do.
    pub capabilities: Capabilities,
}

impl Served {
    /// The models that the configuration states, with what is assumed of them where it is silent.
    pub(super) fn all_stated(stated: &StatedModels) -> impl Iterator<Item = Self> {
        let assumed = Capabilities {
            chat: true,
            completions: true,
            tool_calling: true,
            streaming: true,
            ..Capabilities::default()
        };
        stated.iter().map(move |(id, stated)| Self {
            id: id.clone(),
            created: 0,
            capabilities: stated.capabilities.over(assumed),
        })
    }
}

/// One backend's part of the catalogue.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id in the configuration.
    pub id: String,
    /// Its kind.
    pub provider: Provider,
    /// Whether it answered last time.
    pub status: Status,
    /// What it serves; of a backend that is down, what it served when it last answered.
    pub models: Vec<Served>,
    /// Whether its list of models was ever read.
    pub is_known: bool,
    /// How it answered when it was asked last.
    pub last: Option<Answered>,
}

/// How a backend answered a question about itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Answered {
    /// The HTTP status.
    pub code: u16,
    /// How long it took, in milliseconds.
    pub latency_ms: u64,
}

impl Entry {
    /// A backend that has not been asked yet: what the configuration states is all there is.
    #[must_use]
    pub fn unasked(id: String, provider: Provider, stated: &StatedModels) -> Self {
        let models: Vec<Served> = Served::all_stated(stated).collect();
        Self { id, provider, status: Status::Down, is_known: false, models, last: None }
    }

    fn find(&self, model: &str) -> Option<&Served> {
        self.models.iter().find(|served| served.id == model)
    }
}

/// What all backends serve, in the order of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// One entry a backend.
    pub entries: Vec<Entry>,
}

/// How long a caller should wait for a backend to come back, in milliseconds.
const RETRY_AFTER_MS: u64 = 5000;

impl Catalog {
    /// The answer of `/v1/models`: what the live backends serve, each id once, sorted.
    #[must_use]
    pub fn models(&self) -> List<Model> {
        let mut models = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| entry.status != Status::Down) {
            for served in &entry.models {
                models.entry(served.id.as_str()).or_insert_with(|| to_model(entry, served));
            }
        }
        List::new(models.into_values().collect())
    }

    /// One model, as `/v1/models/{id}` shows it.
    ///
    /// # Errors
    ///
    /// Those of [`choose`](Self::choose).
    pub fn model(&self, id: &str) -> Result<Model, Error> {
        let (entry, served) = self.choose(id)?;
        Ok(to_model(entry, served))
    }

    /// The answer of `/v1/capabilities`.
    #[must_use]
    pub fn capabilities(&self) -> List<BackendCapabilities> {
        let to_shape = |entry: &Entry| BackendCapabilities {
            provider: entry.provider.as_str().to_string(),
            backend: entry.id.clone(),
            status: entry.status,
            capabilities: entry
                .models
                .iter()
                .fold(Capabilities::default(), |all, served| all.union(served.capabilities)),
            models: entry
                .models
                .iter()
                .map(|served| ModelCapabilities { id: served.id.clone(), capabilities: served.capabilities })
                .collect(),
        };
        List::new(self.entries.iter().map(to_shape).collect())
    }

    /// The answer of `/v1/backends`.
    #[must_use]
    pub fn summary(&self) -> List<BackendSummary> {
        let to_shape = |entry: &Entry| BackendSummary {
            id: entry.id.clone(),
            provider: entry.provider.as_str().to_string(),
            status: entry.status,
            models: entry.models.len(),
        };
        List::new(self.entries.iter().map(to_shape).collect())
    }

    /// The answer of `/v1/backends/health`.
    #[must_use]
    pub fn health(&self) -> BackendsHealth {
        let to_shape = |entry: &Entry| BackendHealth {
            provider: entry.provider.as_str().to_string(),
            backend: entry.id.clone(),
            status: entry.status,
            latency_ms: entry.last.map(|answered| answered.latency_ms),
            code: entry.last.map(|answered| answered.code),
        };
        BackendsHealth { backends: self.entries.iter().map(to_shape).collect() }
    }

    /// The first live backend that has a model.
    ///
    /// # Errors
    ///
    /// Those of [`serving`](Self::serving).
    pub fn choose(&self, model: &str) -> Result<(&Entry, &Served), Error> {
        let serving = self.serving(model)?;
        serving.into_iter().next().ok_or_else(|| Error::new(Code::InternalError, "No backend of those that serve."))
    }

    /// The live backends that have a model, at least one, in the order of the configuration.
    ///
    /// # Errors
    ///
    /// [`Code::NoBackendAvailable`] when those that have it are down, or when one is down that was
    /// never asked what it has; [`Code::ModelNotFound`] when all are known and none has it.
    pub fn serving(&self, model: &str) -> Result<Vec<(&Entry, &Served)>, Error> {
        let serving = self.entries.iter().filter_map(|entry| Some((entry, entry.find(model)?)));
        let live: Vec<_> = serving.clone().filter(|(entry, _)| entry.status != Status::Down).collect();
        if !live.is_empty() {
            return Ok(live);
        }
        let is_known = serving.count() > 0;
        if is_known || self.entries.iter().any(|entry| !entry.is_known) {
            let message = if is_known {
                format!("No backend that serves the model `{}` can be reached. Try again soon.", shown(model))
            } else {
                format!(
                    "No backend that is up serves the model `{}`; one that cannot be reached may. Try again soon.{}",
                    shown(model),
                    self.suggestion(model)
                )
            };
            return Err(Error::new(Code::NoBackendAvailable, message).retry_after_ms(RETRY_AFTER_MS));
        }
        let message = format!("There is no model `{}`.{} See GET /v1/models.", shown(model), self.suggestion(model));
        Err(Error { param: Some(Cow::Borrowed("model")), ..Error::new(Code::ModelNotFound, message) })
    }

    /// ` Did you mean …?`, when ids come close: but for letter case, a part of it, or a slip or two.
    fn suggestion(&self, model: &str) -> String {
        let asked = model.to_lowercase();
        let is_close = |id: &str| {
            let id = id.to_lowercase();
            asked.len() >= 3 && (id.contains(&asked) || asked.contains(&id) || distance(&asked, &id) <= 2)
        };
        let models = self.models();
        let close: Vec<String> = models
            .data
            .iter()
            .filter(|model| is_close(&model.id))
            .take(3)
            .map(|model| format!("`{}`", model.id))
            .collect();
        if close.is_empty() { String::new() } else { format!(" Did you mean {}?", close.join(" or ")) }
    }
}

/// How many letters must be put in, left out or changed to make one of the other (Levenshtein).
/// Names of very different or great length are far apart without counting.
fn distance(a: &str, b: &str) -> usize {
    const MAX_BYTES: usize = 200;
    if a.len().abs_diff(b.len()) > 2 || a.len() > MAX_BYTES {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (above, left) in a.bytes().zip(1..) {
        let (mut diagonal, mut before) = (left - 1, left);
        for (beside, cell) in b.bytes().zip(row.iter_mut().skip(1)) {
            let changed = diagonal + usize::from(above != beside);
            diagonal = *cell;
            before = changed.min(before + 1).min(diagonal + 1);
            *cell = before;
        }
    }
    row.last().copied().unwrap_or_default()
}

fn to_model(entry: &Entry, served: &Served) -> Model {
    Model {
        id: served.id.clone(),
        object: Cow::Borrowed("model"),
        created: served.created,
        owned_by: entry.provider.as_str().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn entry(id: &str, status: Status, models: &[&str]) -> Entry {
        let models = models
            .iter()
            .map(|id| Served {
                id: (*id).into(),
                created: 1,
                capabilities: Capabilities { chat: true, ..Capabilities::default() },
            })
            .collect();
        Entry { id: id.into(), provider: Provider::Vllm, status, models, is_known: true, last: None }
    }

    fn choice(catalog: &Catalog, model: &str) -> Result<String, Code> {
        catalog.choose(model).map(|(entry, _)| entry.id.clone()).map_err(|error| error.code)
    }

    #[test]
    fn models_are_the_sorted_union_of_the_live_ones() {
        let catalog = Catalog {
            entries: vec![
                entry("a", Status::Up, &["z", "m"]),
                entry("b", Status::Up, &["m", "k"]),
                entry("c", Status::Down, &["x"]),
            ],
        };
        let ids: Vec<String> = catalog.models().data.into_iter().map(|model| model.id).collect();
        assert_eq!(ids, ["k", "m", "z"]);
    }

    #[test]
    fn the_first_live_backend_is_chosen() {
        let catalog = Catalog {
            entries: vec![
                entry("a", Status::Down, &["m"]),
                entry("b", Status::Up, &["m"]),
                entry("c", Status::Up, &["m"]),
            ],
        };
        assert_eq!(choice(&catalog, "m"), Ok("b".into()));
    }

    #[test]
    fn down_is_not_the_same_as_unknown() {
        let mut catalog = Catalog { entries: vec![entry("a", Status::Down, &["m"]), entry("b", Status::Up, &["k"])] };
        assert_eq!(choice(&catalog, "m"), Err(Code::NoBackendAvailable));
        assert_eq!(choice(&catalog, "x"), Err(Code::ModelNotFound));
        catalog.entries.push(Entry::unasked("c".into(), Provider::OpenAi, &StatedModels::new()));
        assert_eq!(choice(&catalog, "x"), Err(Code::NoBackendAvailable));
    }

    #[test]
    fn distance_counts_slips() {
        for (a, b, expected) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "acb", 2),
            ("abc", "bc", 1),
            ("abc", "abxc", 1),
            ("kitten", "sitten", 1),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
        assert_eq!(distance("a", "abcd"), usize::MAX);
    }

    #[test]
    fn close_names_are_offered() {
        let catalog = Catalog { entries: vec![entry("a", Status::Up, &["Qwen/Qwen2.5-32B-Instruct", "llama3.2:3b"])] };
        let message = |model| catalog.choose(model).unwrap_err().message;
        assert!(message("qwen2.5-32b-instruct").contains("Did you mean `Qwen/Qwen2.5-32B-Instruct`?"));
        assert!(message("llama3.2").contains("`llama3.2:3b`"));
        assert!(message("lama3.2:3b").contains("`llama3.2:3b`"));
        assert!(message("Qwen/Qwen2.5-32B-Insturct").contains("`Qwen/Qwen2.5-32B-Instruct`"));
        assert!(!message("gpt-4o").contains("Did you mean"));
    }
}
