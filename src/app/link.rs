//! Settings in the address of a page, so that what is seen can be shared.

use super::settings::{Settings, Tab};
use crate::ops::MaskStrategy;

/// Largest share that the exploring panel hides.
const MOST: f64 = 0.95;

const TABS: [(Tab, &str); 4] =
    [(Tab::Explore, "explore"), (Tab::Train, "train"), (Tab::Inspect, "inspect"), (Tab::Guide, "guide")];

/// Sets what `query` says, as in `?ratio=0.75&seed=7&strategy=grid`; what it does not know, or cannot read, it leaves.
pub fn apply(settings: &mut Settings, query: &str) {
    for (key, value) in query.trim_start_matches('?').split('&').filter_map(|pair| pair.split_once('=')) {
        let value = decode(value);
        match key {
            "tab" => {
                let named = TABS.iter().find(|(_, name)| *name == value);
                settings.tab = named.map_or(settings.tab, |(tab, _)| *tab);
            }
            "ratio" => {
                if let Ok(ratio) = value.parse::<f64>()
                    && ratio.is_finite()
                {
                    settings.explore.ratio = ratio.clamp(0.0, MOST);
                }
            }
            "seed" => settings.explore.seed = value.parse().map_or(settings.explore.seed, |seed: u32| seed.min(9999)),
            "strategy" => {
                let named = MaskStrategy::ALL.into_iter().find(|strategy| strategy.name() == value);
                settings.explore.strategy = named.unwrap_or(settings.explore.strategy);
            }
            "image" => settings.explore.photo = value,
            _ => {}
        }
    }
}

/// What is set, for [`apply`]; `photo` is the built-in photograph that is seen, if it is one.
pub fn query(settings: &Settings, photo: Option<&str>) -> String {
    let explore = &settings.explore;
    let mut query = format!(
        "?ratio={}&seed={}&strategy={}",
        (explore.ratio * 1e4).round() / 1e4,
        explore.seed,
        explore.strategy.name()
    );
    if let Some(photo) = photo {
        query += &format!("&image={}", encode(photo));
    }
    // Said even of the first panel: whoever follows the link may have left another one open.
    if let Some((_, tab)) = TABS.iter().find(|(tab, _)| *tab == settings.tab) {
        query += &format!("&tab={tab}");
    }
    query
}

/// Percent-encodes all but what a query may hold as it is.
fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        rest = after;
        match (first, after.get(..2).and_then(hex)) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_comes_back() {
        let mut settings = Settings::default();
        settings.explore.ratio = 0.4;
        settings.explore.seed = 7;
        settings.explore.strategy = MaskStrategy::Block;
        settings.tab = Tab::Train;
        let query = query(&settings, Some("animal/ein Käfer&.jpg"));
        assert_eq!(query, "?ratio=0.4&seed=7&strategy=block&image=animal/ein%20K%C3%A4fer%26.jpg&tab=train");
        let mut read = Settings::default();
        apply(&mut read, &query);
        settings.explore.photo = "animal/ein Käfer&.jpg".to_owned();
        assert_eq!(read, settings);
    }

    #[test]
    fn what_cannot_be_read_is_left() {
        let mut settings = Settings::default();
        apply(&mut settings, "?ratio=nan&seed=-1&strategy=&tab=x&image&other=1&=&%zz=%z");
        assert_eq!(settings, Settings::default());
        apply(&mut settings, "ratio=7");
        assert_eq!(settings.explore.ratio, MOST);
        apply(&mut settings, "");
    }
}
