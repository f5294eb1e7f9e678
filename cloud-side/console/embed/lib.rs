//! The built web console: its files, inside the program.
//!
//! Owns which files there are and what their names say about them. Serving them, and what goes with
//! them, belongs to the API. A crate of its own, so that a changed console recompiles nothing that
//! does not serve it.

/// The files of `dist`, sorted by name; none when the console was not built.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// A file of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// Its content.
    pub bytes: &'static [u8],
    /// Its media type.
    pub media_type: &'static str,
    /// Whether its name changes whenever its content does.
    pub immutable: bool,
}

/// The file with this name, such as `index.html` or `assets/index-C6OwcHFp.css`.
pub fn find(name: &str) -> Option<Asset> {
    let at = FILES.binary_search_by_key(&name, |file| file.0).ok()?;
    Some(Asset {
        bytes: FILES[at].1,
        media_type: media_type(name),
        immutable: name.starts_with("assets/"),
    })
}

/// The names of all files.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|file| file.0)
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("json") => "application/json",
        // A browser that must not guess refuses it where a type matters, and says so.
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_found_and_has_a_type_that_browsers_accept() {
        for name in names() {
            let asset = find(name).unwrap();
            assert!(!asset.bytes.is_empty(), "{name}");
            assert_ne!(asset.media_type, "application/octet-stream", "{name}");
            assert_eq!(asset.immutable, name.contains('/'), "{name}");
        }
        assert_eq!(find("assets/../index.html"), None);
        assert_eq!(find(""), None);
        assert_eq!(media_type("a.js"), "text/javascript; charset=utf-8");
        assert_eq!(media_type("js"), "application/octet-stream");
    }
}
