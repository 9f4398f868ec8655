//! The configuration file of a user.

use bugcheck_dump::Note;
use std::path::PathBuf;

/// What a configuration file may say about symbols.
///
/// ```toml
/// symbol_path = 'srv*C:\symbols*https://msdl.microsoft.com/download/symbols'
/// image_path = 'C:\images'
/// cache = 'D:\symbol-cache'
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Where PDBs are searched, in WinDbg's syntax.
    pub symbol_path: Option<String>,
    /// Where images are searched, in WinDbg's syntax.
    pub image_path: Option<String>,
    /// The default cache.
    pub cache: Option<PathBuf>,
    /// Settings that are not known here.
    pub notes: Vec<Note>,
}

/// A configuration file that is no TOML, or holds something other than text under a known name.
#[derive(Debug, thiserror::Error)]
#[error("the configuration file cannot be read: {0}")]
pub struct ConfigError(String);

impl Config {
    /// Reads the text of a configuration file.
    ///
    /// # Errors
    /// Where the text is no TOML, or a setting is no text.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let table: toml::Table = toml::from_str(text).map_err(|error| ConfigError(error.to_string()))?;
        let mut config = Self::default();
        for (name, value) in table {
            let setting = match name.as_str() {
                "symbol_path" => &mut config.symbol_path,
                "image_path" => &mut config.image_path,
                "cache" => {
                    config.cache = Some(text_of(&name, value)?.into());
                    continue;
                }
                _ => {
                    config.notes.push(Note::warning(format!("the setting '{}' is not known", name.escape_debug()), None));
                    continue;
                }
            };
            *setting = Some(text_of(&name, value)?);
        }
        Ok(config)
    }
}

fn text_of(name: &str, value: toml::Value) -> Result<String, ConfigError> {
    match value {
        toml::Value::String(text) => Ok(text),
        other => Err(ConfigError(format!("{name} must be text in quotes, not {}", other.type_str()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_three_settings() {
        let config = Config::parse("symbol_path = 'srv*'\nimage_path = '/i'\ncache = '/c'\nother = 1\n").unwrap();
        assert_eq!(config.symbol_path.as_deref(), Some("srv*"));
        assert_eq!(config.image_path.as_deref(), Some("/i"));
        assert_eq!(config.cache, Some("/c".into()));
        assert_eq!(config.notes.len(), 1);
        assert!(Config::parse("cache = 1").unwrap_err().to_string().contains("not integer"));
        assert!(Config::parse("cache = ").is_err());
        assert_eq!(Config::parse("").unwrap(), Config::default());
    }
}
