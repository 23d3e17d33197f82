//! What a request says before its body, brought over in one crossing.

/// Method, URL, headers.
#[derive(Debug)]
pub(crate) struct Head {
    /// Lines: method, URL, then names and values in turn. None of them can hold a line feed (RFC 9110 §5.5).
    text: String,
}

impl Head {
    /// Of what `js/http.js` gives: `POST\nhttp://h/v1/x\ncontent-type\napplication/json`.
    pub(crate) const fn new(text: String) -> Self {
        Self { text }
    }

    /// `GET`, ….
    pub(crate) fn method(&self) -> &str {
        self.line(0)
    }

    /// As sent, with its query.
    pub(crate) fn url(&self) -> &str {
        self.line(1)
    }

    /// The path of the URL, as sent, without the query.
    pub(crate) fn path(&self) -> &str {
        let url = self.url();
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/");
        path.split(['?', '#']).next().unwrap_or("/")
    }

    /// A header by its name in lower case; of several of one name all, with commas between.
    #[inline(never)] // two dozen callers
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.fields().find(|&(given, _)| given == name).map(|(_, value)| value)
    }

    /// How large the headers are, names and values together, in bytes as they were sent: a character each.
    pub(crate) fn header_bytes(&self) -> usize {
        self.fields().map(|(name, value)| name.len() + value.chars().count()).sum()
    }

    #[inline(never)]
    fn line(&self, at: usize) -> &str {
        self.text.split('\n').nth(at).unwrap_or_default()
    }

    fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut lines = self.text.split('\n').skip(2);
        std::iter::from_fn(move || Some((lines.next()?, lines.next()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_taken_apart() {
        let head =
            Head::new("POST\nhttp://h/v1/x?y=1\nauthorization\nBearer a\nx-empty\n\nx-name\nJos\u{e9}".to_owned());
        assert_eq!((head.method(), head.url(), head.path()), ("POST", "http://h/v1/x?y=1", "/v1/x"));
        assert_eq!(head.header("authorization"), Some("Bearer a"));
        assert_eq!((head.header("x-empty"), head.header("x-none"), head.header("Bearer a")), (Some(""), None, None));
        assert_eq!(head.header_bytes(), 13 + 8 + 7 + 6 + 4);
        let bare = Head::new("GET\nhttp://h/".to_owned());
        assert_eq!((bare.header("http://h/"), bare.header_bytes()), (None, 0));
    }

    #[test]
    fn the_path_is_what_was_sent() {
        for (url, expected) in [
            ("http://h/health", "/health"),
            ("http://h:1/v1/models/a%2Fb?x=/y#z", "/v1/models/a%2Fb"),
            ("https://h", "/"),
            ("https://h?x", "/"),
        ] {
            assert_eq!(Head::new(format!("GET\n{url}")).path(), expected);
        }
    }
}
