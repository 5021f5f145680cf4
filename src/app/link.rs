//! Settings in the address of a page, so that what is seen can be shared.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

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

/// What a query may not hold as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
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
        apply(&mut read, "image=a+b%2Bc%2");
        assert_eq!(read.explore.photo, "a b+c%2");
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
