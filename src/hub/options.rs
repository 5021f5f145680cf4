//! Where the hub is, where its files are kept, and who asks: as the hub's client for Python reads the environment.

use std::path::PathBuf;
use std::time::Duration;

use super::HubError;
use crate::platform::variable;

/// How to fetch.
#[derive(Clone)]
pub struct Options {
    /// Address of the hub, without a slash at its end.
    pub endpoint: String,
    /// Folder of the cache, the one with `models--owner--name` in it.
    pub cache: PathBuf,
    /// What private and gated models ask for.
    pub token: Option<String>,
    /// Take what the cache holds and ask nobody.
    pub offline: bool,
    /// How often a transfer that broke is taken up again.
    pub retries: u32,
    /// How long nothing may come before a transfer is given up.
    pub patience: Duration,
}

impl Options {
    /// The hub itself, with a cache in the folder `cache`.
    pub fn new(cache: PathBuf) -> Options {
        Options {
            endpoint: "https://huggingface.co".to_owned(),
            cache,
            token: None,
            offline: false,
            retries: 4,
            patience: Duration::from_secs(60),
        }
    }

    /// As the environment says: `HF_ENDPOINT`; `HF_HUB_CACHE`, `HF_HOME` or `XDG_CACHE_HOME`; `HF_TOKEN`, or the file
    /// that signing in left; `HF_HUB_OFFLINE`.
    ///
    /// # Errors
    /// [`HubError::Setting`].
    pub fn from_env() -> Result<Options, HubError> {
        Options::from_variables(&variable)
    }

    /// As the variables that `of` tells say, see [`Options::from_env`].
    ///
    /// # Errors
    /// [`HubError::Setting`].
    pub fn from_variables(of: &dyn Fn(&str) -> Option<String>) -> Result<Options, HubError> {
        let folder = |name: &str| of(name).map(|path| expanded(&path));
        let home = folder("HF_HOME")
            .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("huggingface")))
            .or_else(|| std::env::home_dir().map(|home| home.join(".cache/huggingface")));
        let cache = folder("HF_HUB_CACHE")
            .or_else(|| folder("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| home.as_ref().map(|home| home.join("hub")));
        let expected = "a folder for the hub's cache, since there is no home folder";
        let cache = cache.ok_or(HubError::Setting { name: "HF_HOME", value: String::new(), expected })?;
        let mut options = Options::new(cache);
        if let Some(endpoint) = of("HF_ENDPOINT") {
            options.endpoint = endpoint.trim_end_matches('/').to_owned();
            if !["https://", "http://"].iter().any(|scheme| endpoint.starts_with(scheme)) {
                let expected = "an address that begins with https:// or http://";
                return Err(HubError::Setting { name: "HF_ENDPOINT", value: endpoint, expected });
            }
        }
        let on = |value: String| ["1", "on", "yes", "true"].contains(&value.to_ascii_lowercase().as_str());
        options.offline = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].into_iter().any(|name| of(name).is_some_and(on));
        let kept = || {
            let file = folder("HF_TOKEN_PATH").or_else(|| home.as_ref().map(|home| home.join("token")))?;
            std::fs::read_to_string(file).ok()
        };
        let token = of("HF_TOKEN").or_else(|| of("HUGGING_FACE_HUB_TOKEN")).or_else(kept);
        options.token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        if options.token.as_ref().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            // Not shown: it may be a secret all the same.
            let expected = "a token of letters, digits and signs";
            return Err(HubError::Setting { name: "HF_TOKEN", value: "…".to_owned(), expected });
        }
        Ok(options)
    }
}

/// Never shows the token.
impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let token = self.token.as_ref().map(|_| "…");
        f.debug_struct("Options")
            .field("endpoint", &self.endpoint)
            .field("cache", &self.cache)
            .field("token", &token)
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

/// `path` with a `~` at its beginning taken for the home folder.
fn expanded(path: &str) -> PathBuf {
    match (path.strip_prefix('~'), std::env::home_dir()) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(variables: &[(&str, &str)]) -> Result<Options, HubError> {
        let of = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Options::from_variables(&of)
    }

    #[test]
    fn the_environment_is_read_as_the_other_clients_read_it() {
        let plain = options(&[("HF_HOME", "/nowhere/hf")]).expect("good");
        assert_eq!((plain.endpoint.as_str(), plain.offline), ("https://huggingface.co", false));
        assert_eq!((plain.cache, plain.token), (PathBuf::from("/nowhere/hf/hub"), None));
        let all = options(&[
            ("HF_HOME", "/nowhere/hf"),
            ("HF_HUB_CACHE", "/nowhere/cache"),
            ("HF_ENDPOINT", "http://mirror:80/"),
            ("HF_TOKEN", " hf_x\n"),
            ("HF_HUB_OFFLINE", "YES"),
        ])
        .expect("good");
        assert_eq!((all.endpoint.as_str(), all.offline), ("http://mirror:80", true));
        assert_eq!((all.cache.clone(), all.token.as_deref()), (PathBuf::from("/nowhere/cache"), Some("hf_x")));
        assert!(!format!("{all:?}").contains("hf_x"));
        let elsewhere = options(&[("XDG_CACHE_HOME", "/nowhere/x"), ("HF_HUB_OFFLINE", "0")]).expect("good");
        assert_eq!((elsewhere.cache, elsewhere.offline), (PathBuf::from("/nowhere/x/huggingface/hub"), false));
        let wrong = options(&[("HF_HOME", "/nowhere"), ("HF_ENDPOINT", "mirror")]).expect_err("no address");
        assert_eq!(
            wrong.to_string(),
            "HF_ENDPOINT = \"mirror\": expected an address that begins with https:// or http://"
        );
        assert!(options(&[("HF_HOME", "/nowhere"), ("HF_TOKEN", "a\r\nb: c")]).is_err());
    }
}
