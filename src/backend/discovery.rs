//! Which models a backend has and what they can do, from the server's own API.
//!
//! A small dialogue without I/O: [`Discovery`] says what to ask next, the shell asks, the answer
//! goes back in.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;

use super::{Provider, Pulse, Served};
use crate::request::Operation;
use crate::types::{Capabilities, StatedModels, from_json, to_json};

/// One question to a backend.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Probe {
    /// Below the backend's base URL.
    pub path: &'static str,
    /// The JSON to `POST`; `None` for `GET`.
    pub body: Option<String>,
    subject: Subject,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Subject {
    /// The list of models; without it the backend is down.
    Models,
    /// More about every model.
    Properties,
    /// More about the model of this index.
    Model(usize),
    /// What it has under way.
    Pulse,
    /// Whether it has this route: asked in the wrong way, it says 405 and not 404, or 400 and not 501.
    Route(Operation),
}

/// The dialogue with one backend.
#[derive(Debug)]
pub struct Discovery {
    provider: Provider,
    pending: VecDeque<Probe>,
    found: Vec<Served>,
    pulse: Option<Pulse>,
}

/// More models than this of one backend are not listed: a list without end must not fill the memory.
const MAX_MODELS: usize = 10_000;

/// What a chat model of unknown make can do. Vision and embeddings are too often absent to be
/// assumed; tools are too often present to be refused, and a server without them says so itself.
const ASSUMED: Capabilities = Capabilities {
    chat: true,
    completions: true,
    embeddings: false,
    vision: false,
    tool_calling: true,
    streaming: true,
};
const EMBEDDING: Capabilities = Capabilities {
    chat: false,
    completions: false,
    embeddings: true,
    vision: false,
    tool_calling: false,
    streaming: false,
};

impl Discovery {
    /// Begins: the first probe is the list of models.
    #[must_use]
    pub fn new(provider: Provider) -> Self {
        let path = match provider {
            Provider::Ollama => "/api/tags",
            Provider::Vllm | Provider::LlamaCpp | Provider::OpenAi => "/v1/models",
        };
        let first = Probe { path, body: None, subject: Subject::Models };
        Self { provider, pending: VecDeque::from([first]), found: Vec::new(), pulse: None }
    }

    /// What to ask next; `None` when all is known.
    pub fn poll_probe(&mut self) -> Option<Probe> {
        self.pending.pop_front()
    }

    /// Takes the answer to a probe.
    ///
    /// Gives `false` when it makes no sense and the backend must count as down; an answer
    /// about details that makes no sense only leaves the details as they were.
    pub fn handle_answer(&mut self, probe: &Probe, status: u16, body: &[u8]) -> bool {
        match (probe.subject, status) {
            (Subject::Models, 200) => return self.handle_models(body),
            (Subject::Models, _) => return false,
            (Subject::Properties, 200) => self.handle_properties(body),
            (Subject::Model(index), 200) => self.handle_show(index, body),
            (Subject::Pulse, 200) => self.pulse = Pulse::read(body),
            (Subject::Route(operation), 400 | 404 | 405 | 501) => {
                self.handle_route(operation, matches!(status, 400 | 405));
            }
            _ => {}
        }
        true
    }

    /// What the backend said of its work, if it is of a kind that does.
    #[must_use]
    pub const fn pulse(&self) -> Option<Pulse> {
        self.pulse
    }

    /// The models, those of the configuration included, whose statements win.
    #[must_use]
    pub fn finish(self, stated: &StatedModels) -> Vec<Served> {
        let mut found = self.found;
        for served in &mut found {
            if let Some(stated) = stated.get(&served.id) {
                served.capabilities = stated.capabilities.over(served.capabilities);
            }
        }
        for served in Served::all_stated(stated) {
            if found.iter().all(|known| known.id != served.id) {
                found.push(served);
            }
        }
        found.sort_by(|a, b| a.id.cmp(&b.id));
        found.dedup_by(|a, b| a.id == b.id);
        found
    }

    fn handle_models(&mut self, body: &[u8]) -> bool {
        let found = match self.provider {
            Provider::Ollama => read_tags(body),
            Provider::Vllm | Provider::LlamaCpp | Provider::OpenAi => read_models(body),
        };
        let Some(found) = found else { return false };
        self.found = found;
        match self.provider {
            Provider::Ollama => {
                for (index, served) in self.found.iter().enumerate() {
                    let body =
                        to_json(&[("model", &served.id)].into_iter().collect::<alloc::collections::BTreeMap<_, _>>());
                    self.pending.push_back(Probe {
                        path: "/api/show",
                        body: Some(body),
                        subject: Subject::Model(index),
                    });
                }
            }
            Provider::LlamaCpp => {
                self.pending.push_back(Probe { path: "/props", body: None, subject: Subject::Properties });
                // Without an input there is nothing to do, but it says 501 first when it cannot embed at all.
                // One that serves several models would miss the model's name before it knew.
                if self.found.len() == 1 {
                    let (path, subject) = (Operation::Embedding.path(), Subject::Route(Operation::Embedding));
                    self.pending.push_back(Probe { path, body: Some("{}".into()), subject });
                }
            }
            Provider::Vllm => {
                let path = self.provider.pulse_path();
                self.pending.push_back(Probe { path, body: None, subject: Subject::Pulse });
                // It serves what its one model is for.
                for operation in [Operation::ChatCompletion, Operation::Completion, Operation::Embedding] {
                    let subject = Subject::Route(operation);
                    self.pending.push_back(Probe { path: operation.path(), body: None, subject });
                }
            }
            Provider::OpenAi => {}
        }
        true
    }

    fn handle_properties(&mut self, body: &[u8]) {
        let Some(props) = from_json::<Props>(body) else { return };
        for served in &mut self.found {
            let capabilities = &mut served.capabilities;
            if capabilities.chat {
                capabilities.vision = props.modalities.vision;
                capabilities.tool_calling = props.chat_template_caps.as_ref().is_none_or(|caps| caps.supports_tools);
            }
        }
    }

    fn handle_route(&mut self, operation: Operation, is_there: bool) {
        for served in &mut self.found {
            let capabilities = &mut served.capabilities;
            match operation {
                Operation::ChatCompletion => {
                    capabilities.chat = is_there;
                    capabilities.tool_calling &= is_there;
                }
                Operation::Completion => capabilities.completions = is_there,
                Operation::Embedding => capabilities.embeddings = is_there,
            }
            capabilities.streaming &= capabilities.chat || capabilities.completions;
        }
    }

    fn handle_show(&mut self, index: usize, body: &[u8]) {
        let Some(show) = from_json::<Show>(body) else { return };
        let Some(served) = self.found.get_mut(index) else { return };
        if let Some(names) = show.capabilities {
            served.capabilities = from_names(&names);
        }
    }
}

/// Ollama's words; llama.cpp uses the first two of them too.
fn from_names(names: &[String]) -> Capabilities {
    let has = |name: &str| names.iter().any(|known| known == name);
    let generates = has("completion");
    Capabilities {
        chat: generates,
        completions: generates,
        embeddings: has("embedding"),
        vision: has("vision") || has("multimodal"),
        tool_calling: has("tools"),
        streaming: generates,
    }
}

#[derive(Deserialize)]
struct ModelList {
    data: Vec<ModelEntry>,
    /// llama.cpp's second list, in Ollama's form.
    #[serde(default)]
    models: Vec<Tag>,
}

#[derive(Deserialize)]
struct ModelEntry {
    id: String,
    #[serde(default)]
    created: Option<f64>,
    /// llama.cpp's.
    #[serde(default)]
    meta: Meta,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta {
    vocab_type: Option<u32>,
}

/// The vocabulary of BERT and its like (llama.cpp's `LLAMA_VOCAB_TYPE_WPM`): they read and do not write.
const WORD_PIECE: Option<u32> = Some(3);

#[derive(Deserialize)]
struct TagList {
    models: Vec<Tag>,
}

#[derive(Deserialize)]
struct Tag {
    #[serde(default)]
    model: String,
    #[serde(default)]
    capabilities: Vec<String>,
}

#[derive(Deserialize)]
struct Show {
    capabilities: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Props {
    #[serde(default)]
    modalities: Modalities,
    chat_template_caps: Option<TemplateCaps>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Modalities {
    vision: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TemplateCaps {
    supports_tools: bool,
}

fn read_models(body: &[u8]) -> Option<Vec<Served>> {
    let list: ModelList = from_json(body)?;
    let served = list.data.into_iter().filter(|entry| !entry.id.is_empty()).take(MAX_MODELS).map(|entry| {
        let tag = list.models.iter().find(|tag| tag.model == entry.id);
        let embeds = tag.is_some_and(|tag| tag.capabilities.iter().any(|name| name == "embedding"));
        let generates = tag
            .is_none_or(|tag| tag.capabilities.is_empty() || tag.capabilities.iter().any(|name| name == "completion"));
        let is_reader = (embeds && !generates) || entry.meta.vocab_type == WORD_PIECE;
        let capabilities = if is_reader { EMBEDDING } else { ASSUMED };
        Served { created: whole_secs(entry.created), id: entry.id, capabilities }
    });
    Some(served.collect())
}

fn read_tags(body: &[u8]) -> Option<Vec<Served>> {
    let list: TagList = from_json(body)?;
    let named = list.models.into_iter().filter(|tag| !tag.model.is_empty()).take(MAX_MODELS);
    Some(named.map(|tag| Served { id: tag.model, created: 0, capabilities: ASSUMED }).collect())
}

/// Some servers send fractions of a second, or nothing.
fn whole_secs(created: Option<f64>) -> u64 {
    const FAR_FUTURE: f64 = 1e11;
    match created {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
        Some(secs) if (0.0..FAR_FUTURE).contains(&secs) => secs as u64,
        _ => 0,
    }
}

/// The path of the probe that asks for the list of models, for a message to the operator.
impl core::fmt::Display for Probe {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&format!("{} {}", if self.body.is_some() { "POST" } else { "GET" }, self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{StatedCapabilities, StatedModel};
    use std::string::ToString;
    use std::vec;

    const NO_EMBEDDINGS: (&str, &str) = ("POST /v1/embeddings", "");

    fn run(provider: Provider, answers: &[(&str, &str)], stated: &StatedModels) -> Option<Vec<Served>> {
        let mut discovery = Discovery::new(provider);
        while let Some(probe) = discovery.poll_probe() {
            let (_, body) = answers.iter().find(|(asked, _)| *asked == probe.to_string())?;
            if !discovery.handle_answer(&probe, 200, body.as_bytes()) {
                return None;
            }
        }
        Some(discovery.finish(stated))
    }

    #[test]
    fn llamacpp_tells_tools_and_vision_by_its_properties() {
        let models = r#"{"models":[{"name":"m","model":"m","capabilities":["completion"]}],"object":"list","data":[{"id":"m","created":1795385175}]}"#;
        let props = r#"{"modalities":{"vision":true},"chat_template_caps":{"supports_tools":false}}"#;
        let found = run(
            Provider::LlamaCpp,
            &[("GET /v1/models", models), ("GET /props", props), NO_EMBEDDINGS],
            &StatedModels::new(),
        );
        let capabilities = Capabilities { vision: true, tool_calling: false, ..ASSUMED };
        assert_eq!(found, Some(vec![Served { id: "m".into(), created: 1_795_385_175, capabilities }]));
    }

    #[test]
    fn llamacpp_tells_an_embedding_model() {
        let models = r#"{"models":[{"model":"e","capabilities":["embedding"]}],"data":[{"id":"e"}]}"#;
        let found = run(
            Provider::LlamaCpp,
            &[("GET /v1/models", models), ("GET /props", "{}"), NO_EMBEDDINGS],
            &StatedModels::new(),
        );
        assert_eq!(found.unwrap()[0].capabilities, EMBEDDING);
    }

    #[test]
    fn llamacpp_says_whether_it_embeds_and_its_vocabulary_whether_it_writes() {
        for (vocab_type, status, expected) in
            [(2, 501, ASSUMED), (2, 400, Capabilities { embeddings: true, ..ASSUMED }), (3, 400, EMBEDDING)]
        {
            let mut discovery = Discovery::new(Provider::LlamaCpp);
            let list = discovery.poll_probe().unwrap();
            let body = format!(r#"{{"data":[{{"id":"m","meta":{{"vocab_type":{vocab_type}}}}}]}}"#);
            assert!(discovery.handle_answer(&list, 200, body.as_bytes()));
            while let Some(probe) = discovery.poll_probe() {
                let status = if probe.body.is_some() { status } else { 404 };
                assert!(discovery.handle_answer(&probe, status, b""));
            }
            assert_eq!(discovery.finish(&StatedModels::new())[0].capabilities, expected);
        }
    }

    #[test]
    fn a_llamacpp_of_several_models_is_not_asked_whether_it_embeds() {
        let mut discovery = Discovery::new(Provider::LlamaCpp);
        let list = discovery.poll_probe().unwrap();
        assert!(discovery.handle_answer(&list, 200, br#"{"data":[{"id":"a"},{"id":"b"}]}"#));
        let asked: Vec<String> =
            core::iter::from_fn(|| discovery.poll_probe()).map(|probe| probe.to_string()).collect();
        assert_eq!(asked, ["GET /props"]);
    }

    #[test]
    fn ollama_is_asked_about_each_model() {
        let tags = r#"{"models":[{"name":"a","model":"a"}]}"#;
        let show = r#"{"capabilities":["completion","vision","tools"]}"#;
        let mut discovery = Discovery::new(Provider::Ollama);
        let list = discovery.poll_probe().unwrap();
        assert!(discovery.handle_answer(&list, 200, tags.as_bytes()));
        let probe = discovery.poll_probe().unwrap();
        assert_eq!(probe.body.as_deref(), Some(r#"{"model":"a"}"#));
        assert!(discovery.handle_answer(&probe, 200, show.as_bytes()));
        assert_eq!(discovery.poll_probe(), None);
        let capabilities = discovery.finish(&StatedModels::new())[0].capabilities;
        assert_eq!(capabilities, Capabilities { vision: true, tool_calling: true, ..ASSUMED });
    }

    #[test]
    fn statements_win_and_add() {
        let models = r#"{"data":[{"id":"a"},{"id":"a"},{"id":""}]}"#;
        let sighted = StatedCapabilities { vision: Some(true), ..StatedCapabilities::default() };
        let stated = StatedModels::from([
            ("a".into(), StatedModel { capabilities: sighted }),
            ("b".into(), StatedModel::default()),
        ]);
        let found = run(Provider::OpenAi, &[("GET /v1/models", models)], &stated).unwrap();
        assert_eq!(found.iter().map(|served| served.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(found[0].capabilities, Capabilities { vision: true, ..ASSUMED });
        assert_eq!(found[1].capabilities, ASSUMED);
    }

    #[test]
    fn vllm_says_what_it_has_under_way() {
        let mut discovery = Discovery::new(Provider::Vllm);
        let list = discovery.poll_probe().unwrap();
        assert!(discovery.handle_answer(&list, 200, br#"{"data":[{"id":"a"}]}"#));
        let metrics = discovery.poll_probe().unwrap();
        assert_eq!(metrics.to_string(), "GET /metrics");
        discovery.handle_answer(&metrics, 200, b"vllm:num_requests_running{} 3.0\n");
        assert_eq!(discovery.pulse(), Some(Pulse { load: 3, progress: 0 }));
    }

    #[test]
    fn vllm_serves_what_it_has_routes_for() {
        for (routes, expected) in
            [(["/v1/chat/completions", "/v1/completions"].as_slice(), ASSUMED), (&["/v1/embeddings"], EMBEDDING)]
        {
            let mut discovery = Discovery::new(Provider::Vllm);
            let list = discovery.poll_probe().unwrap();
            discovery.handle_answer(&list, 200, br#"{"data":[{"id":"a"}]}"#);
            while let Some(probe) = discovery.poll_probe() {
                let status = if routes.contains(&probe.path) { 405 } else { 404 };
                assert!(discovery.handle_answer(&probe, status, b""));
            }
            assert_eq!(discovery.finish(&StatedModels::new())[0].capabilities, expected);
        }
    }

    #[test]
    fn nonsense_in_the_list_is_down_and_in_details_is_ignored() {
        for body in ["", "{}", "<html>", r#"{"data":7}"#] {
            assert_eq!(run(Provider::OpenAi, &[("GET /v1/models", body)], &StatedModels::new()), None);
        }
        let found = run(
            Provider::LlamaCpp,
            &[("GET /v1/models", r#"{"data":[{"id":"m","created":-5.5}]}"#), ("GET /props", "nope"), NO_EMBEDDINGS],
            &StatedModels::new(),
        );
        assert_eq!(found.unwrap()[0].created, 0);
    }
}
