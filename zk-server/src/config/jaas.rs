//! JAAS login configurations: the file in which Apache's servers keep the users of
//! DIGEST-MD5.
//!
//! ```text
//! Server {
//!     org.apache.zookeeper.server.auth.DigestLoginModule required
//!     user_bob="his password";
//! };
//! ```

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use zk_proto::sasl::Secret;

/// The module whose options are users.
const DIGEST_MODULE: &str = "org.apache.zookeeper.server.auth.DigestLoginModule";
/// What Java's module of Kerberos is called, to say that it is not there.
const KERBEROS_MODULE: &str = "com.sun.security.auth.module.Krb5LoginModule";

/// One word or sign. A word's text may be a password.
#[derive(PartialEq, Eq)]
enum Token {
    Word(String),
    Sign(char),
}

/// The options of DigestLoginModule in `section`.
///
/// # Errors
///
/// What is wrong with the file, and on which line. No value is told.
pub(super) fn options(text: &str, section: &str) -> Result<BTreeMap<String, Secret>, String> {
    let mut tokens = Tokens::new(text);
    let mut found = None;
    while let Some(name) = tokens.word()? {
        tokens.sign('{')?;
        let modules = modules(&mut tokens)?;
        tokens.sign(';')?;
        if name == section {
            found = Some(modules);
        }
    }
    let modules = found.ok_or_else(|| format!("it has no section {section}"))?;
    let mut names = modules.iter().map(|(name, _)| name.as_str());
    if names.any(|name| name == KERBEROS_MODULE) {
        return Err(format!(
            "section {section} is about Kerberos; DigestLoginModule alone is supported"
        ));
    }
    let mut modules = modules.into_iter();
    let options = modules.find(|(name, _)| name == DIGEST_MODULE);
    let (_, options) =
        options.ok_or_else(|| format!("section {section} has no {DIGEST_MODULE}"))?;
    Ok(options)
}

/// The users of a server: options `user_…`.
pub(super) fn users(text: &str, section: &str) -> Result<BTreeMap<String, Secret>, String> {
    let options = options(text, section)?.into_iter();
    let users = options
        .filter_map(|(name, password)| Some((name.strip_prefix("user_")?.to_owned(), password)));
    Ok(users.collect())
}

type Module = (String, BTreeMap<String, Secret>);

/// What stands between the braces of a section.
fn modules(tokens: &mut Tokens<'_>) -> Result<Vec<Module>, String> {
    let mut modules = Vec::new();
    while !tokens.take_sign('}')? {
        let missing = tokens.wrong("a module");
        let name = tokens.word()?.ok_or(missing)?;
        let missing = tokens.wrong("required, requisite, sufficient or optional");
        let flag = tokens.word()?.ok_or_else(|| missing.clone())?;
        let flags = ["required", "requisite", "sufficient", "optional"];
        if !flags.contains(&flag.to_ascii_lowercase().as_str()) {
            return Err(missing);
        }
        let mut options = BTreeMap::new();
        while !tokens.take_sign(';')? {
            let missing = tokens.wrong("an option or ;");
            let option = tokens.word()?.ok_or(missing)?;
            tokens.sign('=')?;
            let missing = tokens.wrong("a value");
            let value = tokens.word()?.ok_or(missing)?;
            options.insert(option, Secret::new(value));
        }
        modules.push((name, options));
    }
    Ok(modules)
}

struct Tokens<'t> {
    chars: Peekable<Chars<'t>>,
    line: usize,
    /// Read, and not taken yet.
    ahead: Option<Token>,
}

impl<'t> Tokens<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            chars: text.chars().peekable(),
            line: 1,
            ahead: None,
        }
    }

    fn wrong(&self, expected: &str) -> String {
        format!("line {}: expected {expected}", self.line)
    }

    fn sign(&mut self, sign: char) -> Result<(), String> {
        let wrong = self.wrong(&format!("{sign:?}"));
        if self.take_sign(sign)? {
            Ok(())
        } else {
            Err(wrong)
        }
    }

    /// Whether `sign` comes next; then it is taken.
    fn take_sign(&mut self, sign: char) -> Result<bool, String> {
        self.look()?;
        let is_next = self.ahead == Some(Token::Sign(sign));
        if is_next {
            self.ahead = None;
        }
        Ok(is_next)
    }

    /// The next word; `None` if something else comes next.
    fn word(&mut self) -> Result<Option<String>, String> {
        self.look()?;
        match self.ahead.take() {
            Some(Token::Word(word)) => Ok(Some(word)),
            None => Ok(None),
            sign => {
                self.ahead = sign;
                Err(self.wrong("a name"))
            }
        }
    }

    fn look(&mut self) -> Result<(), String> {
        if self.ahead.is_none() {
            self.ahead = self.read()?;
        }
        Ok(())
    }

    fn next_char(&mut self) -> Option<char> {
        let next = self.chars.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn read(&mut self) -> Result<Option<Token>, String> {
        while let Some(c) = self.next_char() {
            match c {
                '/' if self.chars.peek() == Some(&'/') => {
                    while !matches!(self.next_char(), Some('\n') | None) {}
                }
                '/' if self.chars.peek() == Some(&'*') => self.skip_comment()?,
                '"' => return self.quoted().map(Some),
                '{' | '}' | ';' | '=' => return Ok(Some(Token::Sign(c))),
                c if c.is_whitespace() => {}
                first => return Ok(Some(self.plain(first))),
            }
        }
        Ok(None)
    }

    fn skip_comment(&mut self) -> Result<(), String> {
        let unfinished = self.wrong("the end of this comment");
        self.next_char();
        let mut last = ' ';
        loop {
            let c = self.next_char().ok_or_else(|| unfinished.clone())?;
            if last == '*' && c == '/' {
                return Ok(());
            }
            last = c;
        }
    }

    fn quoted(&mut self) -> Result<Token, String> {
        let unfinished = self.wrong("the end of this quote");
        let mut word = String::new();
        loop {
            match self.next_char() {
                Some('"') => return Ok(Token::Word(word)),
                Some('\\') => word.extend(self.next_char()),
                Some('\n') | None => return Err(unfinished),
                Some(c) => word.push(c),
            }
        }
    }

    fn plain(&mut self, first: char) -> Token {
        let mut word = String::from(first);
        let ends = |c: &char| c.is_whitespace() || matches!(c, '{' | '}' | ';' | '=' | '"');
        while let Some(c) = self.chars.next_if(|c| !ends(c)) {
            word.push(c);
        }
        Token::Word(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        // of Apache's documentation
        Server {
            org.apache.zookeeper.server.auth.DigestLoginModule required
            user_super="adminsecret" /* two
            lines */
            user_bob="bob\"s, {secret};"
            other=x;
        };
        Client {
            org.apache.zookeeper.server.auth.DigestLoginModule Required
            username="bob"
            password="bobsecret";
        };
    "#;

    #[test]
    fn users_are_found_in_their_section() {
        let users = users(FILE, "Server").unwrap();
        assert_eq!(users.len(), 2);
        assert_eq!(users["super"], "adminsecret".into());
        assert_eq!(users["bob"], "bob\"s, {secret};".into());
        let client = options(FILE, "Client").unwrap();
        assert_eq!(client["password"], "bobsecret".into());
    }

    #[test]
    fn what_is_wrong_is_told_and_no_password() {
        let module = "org.apache.zookeeper.server.auth.DigestLoginModule";
        for (text, expected) in [
            (String::new(), "no section Server"),
            ("Server {};".into(), "no org.apache"),
            ("Server".into(), "line 1: expected '{'"),
            ("Server { a required; }".into(), "expected ';'"),
            (
                format!("Server {{\n{module} required\nuser_a hush; }};"),
                "line 3: expected '='",
            ),
            (
                format!("Server {{ {module} hush; }};"),
                "expected required,",
            ),
            (
                format!("Server {{ {module} required user_a=\"hush\n\"; }};"),
                "end of this quote",
            ),
            (
                format!("Server {{ {module} required user_a="),
                "expected a value",
            ),
            ("/* hush".into(), "end of this comment"),
            ("; hush".into(), "expected a name"),
            (
                "Server { com.sun.security.auth.module.Krb5LoginModule required; };".into(),
                "Kerberos",
            ),
        ] {
            let error = users(&text, "Server").unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }
}
