//! Which commit a revision is, and which files it has: one question to the hub.

use std::collections::BTreeSet;
use std::time::Duration;

use hf_hub::api::sync::ApiRepo;
use serde::Deserialize;

use super::address::is_commit;
use super::{Address, HubError, Options};

/// Longest answer that is read; models of many thousand files fit.
const MOST_ANSWER: u64 = 16 << 20;

/// A revision of a model.
pub(super) struct Listing {
    /// Its commit.
    pub commit: String,
    /// Names of all its files.
    pub files: BTreeSet<String>,
}

/// Why there is no listing.
pub(super) enum Failed {
    /// Nobody answers, or not now: what the cache holds may do.
    Unreachable(String),
    /// The hub answers, and the answer is no.
    Refused(HubError),
}

#[derive(Deserialize)]
struct Answer {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

/// Asks the hub for `address`.
pub(super) fn listing(api: &ApiRepo, options: &Options, address: &Address) -> Result<Listing, Failed> {
    let unreachable = |reason: String| Failed::Unreachable(format!("{}: {reason}", options.endpoint));
    let limits = Some(options.patience.min(Duration::from_secs(20)));
    // The client's own call would hide the answer's headers, and wait forever.
    let request = api.info_request().config().http_status_as_error(false).timeout_connect(limits);
    let response = request.timeout_global(Some(options.patience)).timeout_recv_response(limits).build().call();
    let response = response.map_err(|error| unreachable(error.to_string()))?;
    let (repo, endpoint) = (address.repo.clone(), options.endpoint.clone());
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name).and_then(|text| text.to_str().ok()).unwrap_or_default();
    let code = header("x-error-code");
    let refused = match (status, code) {
        (200..=299, _) => None,
        (401, _) if header("x-error-message").contains("Invalid credentials") => {
            Some(HubError::Token { repo, endpoint })
        }
        (_, "GatedRepo") => Some(HubError::Gated { repo, endpoint }),
        (_, "RevisionNotFound") => Some(HubError::NoRevision { repo, revision: address.revision.clone() }),
        // Without a token the hub does not tell a private model from none.
        (401 | 404, _) | (_, "RepoNotFound") => Some(HubError::NoRepo { repo, endpoint }),
        (403, _) => Some(HubError::Gated { repo, endpoint }),
        (408 | 429 | 500.., _) => return Err(unreachable(format!("status {status}"))),
        _ => {
            let reason = format!("{endpoint} answers with status {status}");
            Some(HubError::Transfer { repo, file: format!("revision {}", address.revision), reason })
        }
    };
    if let Some(error) = refused {
        return Err(Failed::Refused(error));
    }
    let odd = |reason: String| {
        let file = format!("revision {}", address.revision);
        Failed::Refused(HubError::Transfer { repo: address.repo.clone(), file, reason })
    };
    let answer: Answer = match response.into_body().into_with_config().limit(MOST_ANSWER).read_json() {
        Ok(answer) => answer,
        Err(ureq::Error::Io(error)) => return Err(unreachable(error.to_string())),
        Err(error) => return Err(odd(format!("{} tells no files: {error}", options.endpoint))),
    };
    if !is_commit(&answer.sha) {
        return Err(odd(format!("{} names no commit", options.endpoint)));
    }
    let files = answer.siblings.into_iter().map(|sibling| sibling.rfilename).collect();
    Ok(Listing { commit: answer.sha, files })
}
