//! A page in Prometheus' text format 0.0.4.

use alloc::format;
use alloc::string::String;

/// The page as far as it is written.
#[derive(Default)]
pub(crate) struct Page(String);

impl Page {
    /// Begins a metric.
    pub(crate) fn begin(&mut self, name: &str, kind: &str, help: &str) {
        self.0.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// A sample of it.
    pub(crate) fn line(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.sample(name, labels, &format!("{value}"));
    }

    /// A sample of it, its value as text.
    pub(crate) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        self.0.push_str(name);
        let mut before = '{';
        for (label, value) in labels {
            self.0.push(before);
            self.0.push_str(label);
            self.0.push_str("=\"");
            for character in value.chars() {
                match character {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    other => self.0.push(other),
                }
            }
            self.0.push('"');
            before = ',';
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        self.0.push(' ');
        self.0.push_str(value);
        self.0.push('\n');
    }

    /// All of it.
    pub(crate) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_escaped() {
        let mut page = Page::default();
        page.begin("a_total", "counter", "Help.");
        page.line("a_total", &[("m", "a\\b\"c\nd"), ("n", "")], 7);
        page.line("a_total", &[], 8);
        let expected =
            "# HELP a_total Help.\n# TYPE a_total counter\na_total{m=\"a\\\\b\\\"c\\nd\",n=\"\"} 7\na_total 8\n";
        assert_eq!(page.finish(), expected);
    }
}
