//! What can go wrong between here and the hub.

/// Errors of fetching a model.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// No address of a model.
    #[error("hub address \"{text}\": {reason}")]
    Address {
        /// What was given.
        text: String,
        /// What was expected.
        reason: String,
    },
    /// A setting of the environment that makes no sense.
    #[error("{name} = \"{value}\": expected {expected}")]
    Setting {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The hub does not know the model, or does not show it.
    #[error(
        "hub:{repo}: {endpoint} knows no such model, or it is private: check the name; for a private model set \
         HF_TOKEN to a token that may read it"
    )]
    NoRepo {
        /// The model.
        repo: String,
        /// The hub that was asked.
        endpoint: String,
    },
    /// The hub does not take the token.
    #[error(
        "hub:{repo}: {endpoint} refused the token, which is from HF_TOKEN or the file that signing in left: it may have \
         expired; expected one that is valid, or for a public model none"
    )]
    Token {
        /// The model.
        repo: String,
        /// The hub that was asked.
        endpoint: String,
    },
    /// The model has no such branch, tag or commit.
    #[error("hub:{repo}: has no revision \"{revision}\"; expected a branch, tag or commit")]
    NoRevision {
        /// The model.
        repo: String,
        /// What was asked for.
        revision: String,
    },
    /// The model is given out to some accounts alone.
    #[error(
        "hub:{repo}: the model is gated: ask for access at {endpoint}/{repo}, then set HF_TOKEN to a token of that \
         account"
    )]
    Gated {
        /// The model.
        repo: String,
        /// The hub that was asked.
        endpoint: String,
    },
    /// The model has no file of weights that could be read here.
    #[error("{address}: holds no weights; expected one of {expected}")]
    NoWeights {
        /// The model.
        address: String,
        /// The files that would do.
        expected: String,
    },
    /// Not asked, and not in the cache.
    #[error(
        "{address}: {file} is not in the cache {cache}, and HF_HUB_OFFLINE is set: run once without it, or with HF_HOME \
         or HF_HUB_CACHE set to where the model lies"
    )]
    Offline {
        /// The model.
        address: String,
        /// The first file that is missing.
        file: String,
        /// The cache's folder.
        cache: String,
    },
    /// Nobody answers, and the cache does not hold the model.
    #[error(
        "{address}: {reason}, and {file} is not in the cache: check the connection, or set HF_ENDPOINT to a hub that can be \
         reached"
    )]
    Unreachable {
        /// The model.
        address: String,
        /// The first file that is missing.
        file: String,
        /// Who was asked and what happened.
        reason: String,
    },
    /// A file that came otherwise than the hub announced it.
    #[error("hub:{repo}: {file}: expected {expected}, got {got}; the file was deleted, try again")]
    Checksum {
        /// The model.
        repo: String,
        /// The file.
        file: String,
        /// Digest or size that was announced.
        expected: String,
        /// Digest or size of what came.
        got: String,
    },
    /// An index that names what is no file beside it.
    #[error("hub:{repo}: {index}: \"{name}\" is no file beside it")]
    FileName {
        /// The model.
        repo: String,
        /// The index.
        index: String,
        /// What it names.
        name: String,
    },
    /// A file that could not be brought here.
    #[error("hub:{repo}: {file}: {reason}")]
    Transfer {
        /// The model.
        repo: String,
        /// The file, or what was asked for.
        file: String,
        /// What happened.
        reason: String,
    },
    /// The cache cannot be read or written.
    #[error("{path}: {source}")]
    Cache {
        /// The file or folder.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}
