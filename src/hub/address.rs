//! What stands after `hub:`.

use std::fmt;

use super::HubError;

/// What an address begins with where a path could stand too.
pub const PREFIX: &str = "hub:";

/// Longest name that the hub allows for owner and model together, and longest revision that is taken.
const MOST: usize = 96;

/// A model on the hub in one of its revisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// `owner/name`.
    pub repo: String,
    /// A branch, a tag or a commit.
    pub revision: String,
}

impl Address {
    /// Reads `owner/name` or `owner/name@revision`, with or without [`PREFIX`]. The revision is `main` if not given.
    ///
    /// # Errors
    /// [`HubError::Address`].
    pub fn parse(text: &str) -> Result<Address, HubError> {
        let bare = text.strip_prefix(PREFIX).unwrap_or(text);
        let fail =
            |reason: &str| HubError::Address { text: bare.chars().take(2 * MOST).collect(), reason: reason.to_owned() };
        let (repo, revision) = bare.split_once('@').unwrap_or((bare, "main"));
        if repo.split('/').count() != 2 || !repo.split('/').all(is_name) {
            return Err(fail("expected owner/name, of letters, digits, \".\", \"-\" and \"_\""));
        }
        if repo.len() > MOST {
            return Err(fail("the name is longer than the 96 characters that the hub allows"));
        }
        if revision.len() > MOST || !revision.split('/').all(is_name) {
            return Err(fail("expected a branch, tag or commit after \"@\""));
        }
        Ok(Address { repo: repo.to_owned(), revision: revision.to_owned() })
    }
}

impl Address {
    /// The model that `text` may have been meant for where it is no path that exists: `owner/name`, or the page of a model
    /// on the hub at `endpoint`.
    pub fn meant(text: &str, endpoint: &str) -> Option<Address> {
        let scheme = |text: &str| text.split_once("://").map_or(0, |(scheme, _)| scheme.len() + 3);
        let (place, host) = (&text[scheme(text)..], &endpoint[scheme(endpoint)..]);
        let Some(page) = place.strip_prefix(host).and_then(|page| page.strip_prefix('/')) else {
            return Address::parse(text).ok();
        };
        // The page of a file begins as that of its model.
        let mut parts = page.split(['/', '?', '#']);
        Address::parse(&format!("{}/{}", parts.next()?, parts.next()?)).ok()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address { repo, revision } = self;
        write!(f, "{PREFIX}{repo}")?;
        if revision == "main" { Ok(()) } else { write!(f, "@{revision}") }
    }
}

/// Whether `text` is a name in addresses and folders alike: "--" stands for "/" in the cache.
fn is_name(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let bytes = text.as_bytes();
    edge(bytes.first())
        && edge(bytes.last())
        && text.bytes().all(inside)
        && !["..", "--"].iter().any(|pair| text.contains(pair))
}

/// Whether `text` names a commit in full.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && is_hex(text)
}

/// Whether `text` is made of hexadecimal digits alone.
pub(super) fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Whether `name` is a file right inside a folder, on every system: an index must not lead elsewhere.
pub(super) fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        && !name.starts_with('.')
        && !name.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_refused() {
        let read = |text: &str| Address::parse(text).map(|address| (address.repo, address.revision)).ok();
        let is = |repo: &str, revision: &str| Some((repo.to_owned(), revision.to_owned()));
        assert_eq!(read("hub:facebook/vit-mae-base"), is("facebook/vit-mae-base", "main"));
        assert_eq!(read("timm/vit_base_patch16_224.mae@v1.0"), is("timm/vit_base_patch16_224.mae", "v1.0"));
        assert_eq!(read("a/b@refs/pr/3"), is("a/b", "refs/pr/3"));
        for wrong in [
            "", "a", "a/", "/b", "a/b/c", "../b", "a/..", "a/b@", "a/b@../c", "a/b@/c", "a/b@c/", "a b/c", "a/b?c",
            "a/b#c", "a\\b/c", "a--b/c", "a/b@c@d", "ä/b", "a/b%2f", "a/-b", "a/.b",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(read(&format!("a/{}", "b".repeat(95))), None);
        assert_eq!(Address::parse("hub:a/b@v1").expect("read").to_string(), "hub:a/b@v1");
        assert!(Address::parse(&"x".repeat(1 << 20)).expect_err("too long").to_string().len() < 400);
    }

    #[test]
    fn what_was_meant_for_an_address_is_known() {
        let meant = |text: &str| Address::meant(text, "https://hub.example").map(|address| address.to_string());
        for page in
            ["owner/name", "https://hub.example/owner/name", "hub.example/owner/name/tree/main", "owner/name@main"]
        {
            assert_eq!(meant(page), Some("hub:owner/name".to_owned()), "{page}");
        }
        for other in
            ["name", "/owner/name", "https://other.example/owner/name", "https://hub.example/owner", "a/b/c", "ä://"]
        {
            assert_eq!(meant(other), None, "{other}");
        }
    }

    #[test]
    fn names_of_files_lead_nowhere_else() {
        for right in ["model.safetensors", "model-00001-of-00002.safetensors", "pytorch_model.bin"] {
            assert!(is_file_name(right), "{right}");
        }
        for wrong in
            ["", ".", "..", "../../evil", "/etc/evil", "a/b", "a\\b", "C:evil", "a..b", ".hidden", "a b", "a\0"]
        {
            assert!(!is_file_name(wrong), "{wrong}");
        }
    }
}
