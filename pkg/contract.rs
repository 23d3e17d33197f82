//! Writes what the package's JavaScript and TypeScript need to know of the core: `contract.js` (routes, error codes)
//! and `types.d.ts` (the wire's shapes), into the folder that is named. Run by `pkg/build.sh`.

use std::error::Error;
use std::fmt::Write;
use std::path::PathBuf;
use std::{env, fs};

use comind::auth::Need;
use comind::error::Code;
use comind::route::Route;
use comind::types::{self, chat};
use ts_rs::{Config, TS};

/// What a client has no use for: the operator's and the auditor's routes.
fn is_for_clients(route: Route) -> bool {
    route.need() != Need::Service && !matches!(route, Route::AuditLogs | Route::OpenApi)
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::args().nth(1).ok_or("usage: contract FOLDER")?);
    fs::write(folder.join("contract.js"), javascript()?)?;
    fs::write(folder.join("types.d.ts"), typescript()?)?;
    Ok(())
}

fn javascript() -> Result<String, std::fmt::Error> {
    let mut js = String::from("// Written by contract.rs from the core's tables.\n");
    js.push_str("\n/** Method, path, and whether a token goes with it. */\nexport const ROUTES = {\n");
    for &route in Route::ALL.iter().filter(|route| is_for_clients(**route)) {
        let takes_token = u8::from(route.need() != Need::Public);
        writeln!(js, "  {route:?}: [{:?}, {:?}, {takes_token}],", route.method().as_str(), route.path())?;
    }
    js.push_str(
        "};\n\n/** The HTTP status of each error code; 0 for what only a client can find. */\nexport const CODES = {\n",
    );
    for code in Code::ALL {
        writeln!(js, "  {}: {},", code.as_str(), code.status())?;
    }
    js.push_str("};\n\n/** What a status alone tells. */\nexport const STATUSES = {\n");
    let ordinary = |status: u16| if status < 500 { Code::BadRequest } else { Code::InternalError };
    for status in 400..600 {
        let code = Code::from_status(status);
        if code != ordinary(status) {
            writeln!(js, "  {status}: {:?},", code.as_str())?;
        }
    }
    js.push_str("};\n");
    Ok(js)
}

fn typescript() -> Result<String, std::fmt::Error> {
    let mut ts = String::from("// Written by contract.rs from the core's types.\n");
    ts.push_str("\n/** What can go wrong; the README says when. */\nexport type ErrorCode =");
    for code in Code::ALL {
        write!(ts, "\n  | {:?}", code.as_str())?;
    }
    ts.push_str(";\n");
    let config = Config::new().with_large_int("number");
    macro_rules! declare {
        ($($shape:ty,)+) => { $(declare::<$shape>(&mut ts, &config)?;)+ };
    }
    declare!(
        types::Health,
        types::LoginResponse,
        types::User,
        types::List<ts_rs::Dummy>,
        types::Model,
        types::Capabilities,
        types::Status,
        types::BackendSummary,
        types::BackendHealth,
        types::BackendsHealth,
        types::BackendCapabilities,
        types::ModelCapabilities,
        types::ApiToken,
        types::ScopeList,
        types::Usage,
        chat::Message,
        chat::TextContent,
        chat::Content,
        chat::TextPart,
        chat::ContentPart,
        chat::ImageUrl,
        chat::Detail,
        chat::Answerer,
        chat::ToolKind,
        chat::Tool,
        chat::FunctionDefinition,
        chat::Schema,
        chat::Anything,
        chat::ToolCall,
        chat::FunctionCall,
        chat::FinishReason,
        chat::ChatCompletion,
        chat::ChatCompletionChoice,
        chat::ChatCompletionMessage,
        chat::Logprobs,
        chat::TokenLogprob,
        chat::ChatCompletionChunk,
        chat::ChatCompletionChunkChoice,
        chat::Delta,
        chat::ToolCallDelta,
        chat::FunctionDelta,
        chat::Completion,
        chat::CompletionChoice,
        chat::Embeddings,
        chat::Embedding,
        chat::EmbeddingUsage,
    );
    Ok(ts)
}

fn declare<T: TS>(ts: &mut String, config: &Config) -> std::fmt::Result {
    writeln!(ts, "\n{}export {}", T::docs().unwrap_or_default(), T::decl(config))
}
